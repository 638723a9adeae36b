import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Simulator } from "@effect-marketo/simulator"
import { CustomActivitySource, Progress } from "@effect-marketo/source-kafka"
import { Chunk, Effect, Fiber, Layer, Stream } from "effect"
import * as child from "./support/child.js"
import { addCalls, fill, LEADS, later, marketo, quick, quiet, repeated, stored, topics } from "./support/kit.js"

type Fault = NonNullable<Simulator.Options["faults"]>[number]

const range = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)
const match = { endpoint: "addCustomActivities" } as const

const letters = (topic: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (client) => Effect.map(Stream.runCollect(client.read(topic)), Chunk.size))

describeWithKafka("a source", (brokers) => {
  const kafka = KafkajsClient.layer({ brokers })

  const executed: Fault = { fault: "cut", executed: true, match, every: 89 }
  // with those, three of a hundred calls
  const notExecuted: ReadonlyArray<Fault> = [
    { fault: "error", code: "608", match, every: 97 },
    { fault: "error", code: "611", match, every: 101 },
  ]

  /** Members come and go every few seconds, four times at least, while so many records or more are written. */
  const churn = (least: number, options: Partial<CustomActivitySource.Options>) =>
    Effect.gen(function* () {
      const place = yield* topics("churn", 12)
      yield* fill(place, range(least).map(later))
      let count = least
      let progress = Progress.empty
      const join = CustomActivitySource.stream({
        ...quick,
        ...options,
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
      while ((yield* stored).size < count || joins + leaves < 5) {
        yield* Effect.sleep("2500 millis")
        if ((yield* stored).size > count - 5_000 && joins + leaves < 5) {
          yield* fill(place, range(5_000, count).map(later))
          count += 5_000
        }
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
      const { calls } = yield* Simulator.Simulator
      const faults = (yield* calls).map(({ fault }) => fault).filter((fault) => fault !== undefined)
      return { count, faults, progress }
    })

  it.scopedLive("whose members come and go while Marketo fails now and then loses and repeats nothing", () =>
    Effect.gen(function* () {
      const { count, faults, progress } = yield* churn(50_000, {})
      const lost = faults.filter((fault) => fault === "cut").length
      assert.isAbove(lost, 0)
      assert.isAbove(faults.length, lost)
      assert.isAtMost(progress.records, count)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          kafka,
          quiet,
          marketo({ data: { leads: LEADS }, latency: "40 millis", faults: [executed, ...notExecuted] }),
        ),
      ),
    ),
  )

  it.scopedLive("without reading back, loses nothing, and repeats nothing as long as every call is answered", () =>
    Effect.gen(function* () {
      const { count, faults, progress } = yield* churn(20_000, { onAssign: "write" })
      assert.isAbove(faults.length, 0)
      // what is committed while a member ends is not reported any more
      assert.isAtMost(progress.records, count)
      assert.strictEqual(progress.added, progress.records)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(kafka, quiet, marketo({ data: { leads: LEADS }, latency: "40 millis", faults: notExecuted })),
      ),
    ),
  )

  const each = 2_000
  const lanes = 3

  /** Its successor is on its way each time, as a supervisor's would be; what the processes have done comes back. */
  const killing = (kills: number, onAssign: "readBack" | "write") =>
    Effect.gen(function* () {
      const place = yield* topics("kill", 6)
      const { clientId, clientSecret, url } = yield* Simulator.Simulator
      const args = [place.topic, place.dead, brokers.join(","), url, clientId, clientSecret, onAssign, String(lanes)]
      let oldest = yield* child.start(args)
      const processes = [oldest]
      for (let n = 0; n < kills; n++) {
        const next = yield* child.start(args)
        processes.push(next)
        const before = (yield* addCalls).length
        yield* fill(place, range(each, n * each).map(later))
        while ((yield* addCalls).length < before + lanes) yield* Effect.sleep("5 millis")
        // in the middle of something, whatever it is
        yield* Effect.sleep(Math.random() * 200)
        yield* child.kill(oldest.process)
        oldest = next
      }
      while ((yield* stored).size < kills * each) yield* Effect.sleep("200 millis")
      assert.strictEqual(yield* letters(place.dead), 0)
      return processes.map(({ progress }) => progress()).reduce(Progress.add)
    })

  const simulator = Simulator.layerServer({
    data: { activities: 0, leads: LEADS },
    latency: "100 millis",
    limits: { calls: 100_000, concurrent: 100, dailyQuota: 1e6 },
  })

  it.scopedLive("that is killed again and again loses nothing, and reading back keeps it from repeating anything", () =>
    Effect.gen(function* () {
      const kills = 10
      const { confirmed } = yield* killing(kills, "readBack")
      const counts = yield* stored
      assert.deepStrictEqual([counts.size, repeated(counts)], [kills * each, 0])
      // it was killed between a call and its commit, else this shows nothing
      assert.isAbove(confirmed, 0)
    }).pipe(Effect.provide(Layer.mergeAll(kafka, quiet, simulator))),
  )

  it.scopedLive("that is killed without reading back loses nothing, and repeats at most a call of each lane", () =>
    Effect.gen(function* () {
      const kills = 3
      const { confirmed } = yield* killing(kills, "write")
      const counts = yield* stored
      assert.deepStrictEqual([counts.size, confirmed], [kills * each, 0])
      assert.isAbove(repeated(counts), 0)
      assert.isAtMost(repeated(counts), kills * lanes * 300)
    }).pipe(Effect.provide(Layer.mergeAll(kafka, quiet, simulator))),
  )
})
