import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Simulator } from "@effect-marketo/simulator"
import { CustomActivitySource, Progress } from "@effect-marketo/source-kafka"
import { Chunk, Effect, Fiber, Layer, Stream } from "effect"
import * as child from "./support/child.js"
import { fill, LEADS, later, marketo, member, quiet, repeated, stored, topics } from "./support/kit.js"

const range = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)
const match = { endpoint: "addCustomActivities" } as const

const letters = (topic: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (client) => Effect.map(Stream.runCollect(client.read(topic)), Chunk.size))

describeWithKafka("a source", (brokers) => {
  const kafka = KafkaClient.layer({ brokers })

  it.scopedLive("whose members come and go while Marketo fails now and then loses and repeats nothing", () =>
    Effect.gen(function* () {
      const count = 50_000
      const place = yield* topics("churn", 12)
      yield* fill(place, range(count).map(later))
      let progress = Progress.empty
      const join = CustomActivitySource.stream({
        ...member,
        topic: place.topic,
        groupId: place.topic,
        deadLetterTopic: place.dead,
        concurrency: 2,
      }).pipe(
        Stream.runForEach((done) =>
          Effect.sync(() => {
            progress = Progress.add(progress, done)
          }),
        ),
        Effect.fork,
      )
      const members = [yield* join]
      let joins = 1
      let leaves = 0
      while ((yield* stored).size < count) {
        yield* Effect.sleep("2500 millis")
        if (members.length < 2 || (members.length < 4 && joins < 2 * leaves)) {
          members.push(yield* join)
          joins++
        } else {
          const oldest = members.shift()
          if (oldest !== undefined) yield* Fiber.interrupt(oldest)
          leaves++
        }
      }
      yield* Effect.forEach(members, Fiber.interrupt)
      const counts = yield* stored
      assert.deepStrictEqual([counts.size, repeated(counts)], [count, 0])
      assert.strictEqual(yield* letters(place.dead), 0)
      assert.isAbove(joins + leaves, 5)
      assert.isAtMost(progress.records, count)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          kafka,
          quiet,
          marketo({
            leads: LEADS,
            latency: "40 millis",
            // three of a hundred calls
            faults: [
              { fault: "error", code: "608", match, every: 97 },
              { fault: "cut", executed: true, match, every: 89 },
              { fault: "http", status: 502, match, every: 101 },
            ],
          }),
        ),
      ),
    ),
  )

  it.scopedLive("that is killed again and again loses nothing, and reading back keeps it from repeating anything", () =>
    Effect.gen(function* () {
      const kills = 10
      const each = 2_000
      const place = yield* topics("kill", 6)
      const { clientId, clientSecret, url } = yield* Simulator.Simulator
      const args = [place.topic, place.dead, brokers.join(","), url, clientId, clientSecret]
      let oldest = yield* child.start(args)
      for (let n = 0; n < kills; n++) {
        // its successor is on its way, as a supervisor's would be
        const next = yield* child.start(args)
        const before = (yield* stored).size
        yield* fill(place, range(each, n * each).map(later))
        while ((yield* stored).size < before + 900) yield* Effect.sleep("20 millis")
        // in the middle of something, whatever it is
        yield* Effect.sleep(Math.random() * 400)
        yield* child.kill(oldest)
        oldest = next
      }
      while ((yield* stored).size < kills * each) yield* Effect.sleep("200 millis")
      const counts = yield* stored
      assert.deepStrictEqual([counts.size, repeated(counts)], [kills * each, 0])
      assert.strictEqual(yield* letters(place.dead), 0)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          kafka,
          quiet,
          Simulator.layerServer({
            activities: 0,
            leads: LEADS,
            latency: "100 millis",
            limits: { calls: 100_000, concurrent: 100, dailyQuota: 1e6 },
          }),
        ),
      ),
    ),
  )
})
