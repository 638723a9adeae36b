import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { CustomActivitySource, DeadLetter, Progress, Redrive } from "@effect-marketo/source-kafka"
import { Chunk, Clock, Effect, Fiber, Layer, Option, Ref, Stream } from "effect"
import { booking, fill, marketo, member, quiet, record, repeated, stored, take, topics, unique } from "./support/kit.js"

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

const source = ({ dead, topic }: { readonly topic: string; readonly dead: string }) =>
  CustomActivitySource.stream({ ...member, topic, groupId: topic, deadLetterTopic: dead })

describeWithKafka("a source on a broker", (brokers) => {
  const kafka = KafkaClient.layer({ brokers })
  const layer = (options: Parameters<typeof marketo>[0] = {}) => Layer.mergeAll(kafka, quiet, marketo(options))

  it.scopedLive(
    "poison in the first, middle and last place of a batch goes to the dead letters, the rest to Marketo",
    () =>
      Effect.gen(function* () {
        const place = yield* topics("poison", 1)
        const poison = { key: "k", value: "{" }
        yield* fill(place, [
          poison,
          ...range(149).map((n) => record(n)),
          { key: "k", value: null },
          ...range(148, 149).map((n) => record(n)),
          { key: "k", value: booking(0, { leadId: 1 }) },
        ])
        const done = yield* take(300)(source(place))
        assert.deepStrictEqual([done.added, done.deadLettered], [297, 3])
        assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [297, 0])
        const client = yield* KafkaClient.KafkaClient
        const letters = yield* Stream.runCollect(client.read(place.dead))
        assert.deepStrictEqual(
          Chunk.toReadonlyArray(letters).map((one) => Option.getOrThrow(DeadLetter.fromRecord(one)).offset),
          [0n, 150n, 299n],
        )
      }).pipe(Effect.provide(layer())),
  )

  it.scopedLive("stopped with a call in flight it commits that call, and the next run goes on behind it", () =>
    Effect.gen(function* () {
      const place = yield* topics("stop", 1)
      yield* fill(
        place,
        range(900).map((n) => record(n)),
      )
      const seen = yield* Ref.make(Progress.empty)
      const first = yield* source(place).pipe(
        Stream.runForEach((done) => Ref.update(seen, (sum) => Progress.add(sum, done))),
        Effect.fork,
      )
      while ((yield* Ref.get(seen)).records === 0) yield* Effect.sleep("20 millis")
      const begun = yield* Clock.currentTimeMillis
      yield* Fiber.interrupt(first)
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 5_000)
      const left = 900 - (yield* stored).size
      const rest = yield* take(left)(source(place))
      assert.strictEqual(rest.records, left)
      assert.strictEqual(rest.confirmed, 0)
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [900, 0])
    }).pipe(Effect.provide(layer({ latency: "500 millis" }))),
  )

  it.scopedLive("stopped while it joins its group it ends within seconds, and loses nothing", () =>
    Effect.gen(function* () {
      const place = yield* topics("join", 3)
      yield* fill(
        place,
        range(300).map((n) => record(n)),
      )
      for (const millis of [0, 30, 100, 300, 600]) {
        const fiber = yield* Effect.fork(Stream.runDrain(source(place)))
        yield* Effect.sleep(millis)
        const begun = yield* Clock.currentTimeMillis
        yield* Fiber.interrupt(fiber)
        assert.isBelow((yield* Clock.currentTimeMillis) - begun, 6_000)
      }
      yield* Effect.fork(Stream.runDrain(source(place)))
      while ((yield* stored).size < 300) yield* Effect.sleep("50 millis")
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.scopedLive("dead letters are redriven once, and the source takes them up", () =>
    Effect.gen(function* () {
      const place = yield* topics("redrive", 2)
      const client = yield* KafkaClient.KafkaClient
      const parkingTopic = unique("parking")
      yield* client.createTopic({ name: parkingTopic, partitions: 1 })
      yield* fill(place, [
        ...range(20).map((n) => record(n)),
        ...range(5).map((n) => record(n, booking(100 + n, { leadId: 1 }))),
      ])
      yield* take(25)(source(place))
      const redrive = { deadLetterTopic: place.dead, parkingTopic, maxAttempts: 2 }
      const looked = yield* Redrive.run({ ...redrive, dryRun: true })
      const moved = yield* Redrive.run(redrive)
      const again = yield* Redrive.run(redrive)
      assert.deepStrictEqual([looked.redriven, moved.redriven, again.redriven, again.doneBefore], [5, 5, 0, 5])
      // their lead is still unknown; they have been tried twice by then
      yield* take(5)(source(place))
      const last = yield* Redrive.run(redrive)
      assert.deepStrictEqual([last.letters, last.parked, last.doneBefore], [10, 5, 5])
      const parked = yield* Stream.runCollect(client.read(parkingTopic))
      assert.isTrue(Chunk.every(parked, (one) => DeadLetter.attemptsOf(one) === 2) && parked.length === 5)
    }).pipe(Effect.provide(layer())),
  )
})
