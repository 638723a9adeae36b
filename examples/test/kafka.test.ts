import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Fiber, Stream } from "effect"
import { run, start } from "./program.js"

/** The numbers of a table, in their order. */
const numbersOf = (text: string): ReadonlyArray<number> =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => Number(line.slice(-6).replace(",", "")))

/** Waits for the first records of a topic. */
const until = (brokers: ReadonlyArray<string>, topic: string) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const count = Stream.runCount(kafka.read(topic)).pipe(Effect.orElseSucceed(() => 0)) // not made yet
    yield* Effect.repeat(Effect.delay(count, "100 millis"), { until: (records) => records > 0 })
  }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))

describeWithOwnKafka("activities-to-kafka", () => {
  it.scopedLive("of two that are started the first ends as Fenced, and every activity is in the topic once", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Broker.make()
      const env = { KAFKA_BROKERS: brokers.join() }
      const older = yield* start("activities-to-kafka", [], { env })
      yield* until(brokers, "marketo.activities")
      const newer = yield* Effect.fork(run("activities-to-kafka", [], { env }))
      const first = yield* older.ended
      assert.strictEqual(first.code, 1)
      assert.match(first.stderr, /another producer of this transactional id took over: stop \(Fenced\)/)
      assert.notInclude(first.stderr, "    at ")
      const second = yield* Fiber.join(newer)
      assert.strictEqual(second.code, 0, second.stderr)
      const [written = 0, ...rest] = numbersOf(second.stdout)
      assert.isAbove(written, 0)
      assert.deepStrictEqual(rest, [5_000, 5_000, 0], second.stdout)
      const third = yield* run("activities-to-kafka", [], { env })
      assert.deepStrictEqual(numbersOf(third.stdout), [0, 5_000, 5_000, 0], third.stderr)
    }),
  )
})
