import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { CustomActivitySource, DeadLetter, Progress, Redrive } from "@effect-marketo/source-kafka"
import { Chunk, Clock, Deferred, Duration, Effect, Fiber, Layer, Option, Ref, Stream } from "effect"
import kafkajs from "kafkajs"
import {
  addCalls,
  booking,
  fill,
  marketo,
  quick,
  quiet,
  record,
  repeated,
  stored,
  take,
  topics,
  unique,
} from "./support/kit.js"

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

const source = (
  { dead, topic }: { readonly topic: string; readonly dead: string },
  options: Partial<CustomActivitySource.Options> = {},
) => CustomActivitySource.stream({ ...quick, ...options, topic, groupId: topic, deadLetterTopic: dead })

describeWithKafka("a source on a broker", (brokers) => {
  const kafka = KafkajsClient.layer({ brokers })
  /** kafkajs retries a topic that is gone for that long. */
  const impatient = KafkajsClient.layer({ brokers, deliveryTimeout: Duration.seconds(2) })
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

  it.scopedLive("a backlog goes out in full calls: 10,000 records of 12 partitions in 34 to 36", () =>
    Effect.gen(function* () {
      const place = yield* topics("calls", 12)
      yield* fill(
        place,
        range(10_000).map((n) => record(n)),
      )
      const done = yield* take(10_000)(source(place, { batch: { maxWait: "1 second" } }))
      assert.deepStrictEqual([done.added, repeated(yield* stored)], [10_000, 0])
      assert.include([34, 35, 36], (yield* addCalls).length)
    }).pipe(Effect.provide(layer({ latency: "150 millis" }))),
  )

  it.scopedLive("an outage of Marketo that outlasts a session makes no rebalance", () =>
    Effect.gen(function* () {
      const place = yield* topics("outage", 3)
      yield* fill(
        place,
        range(300).map((n) => record(n)),
      )
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
      yield* Effect.acquireRelease(
        Effect.promise(() => admin.connect()),
        () => Effect.promise(() => admin.disconnect()),
      )
      const fiber = yield* Effect.fork(take(300)(source(place, { sessionTimeout: "6 seconds" })))
      while ((yield* addCalls).length === 0) yield* Effect.sleep("20 millis")
      const group = Effect.promise(async () => {
        const { groups } = await admin.describeGroups([place.topic])
        return groups.map(({ members, state }) => `${state} ${members.map(({ memberId }) => memberId)}`).join()
      })
      const seen = new Set<string>()
      // when the outage is over the source may end, and leave the group, before this program looks again
      const isOut = Effect.map(stored, ({ size }) => size === 0)
      while (yield* isOut) {
        const state = yield* group
        if (yield* isOut) seen.add(state)
        yield* Effect.sleep("100 millis")
      }
      const done = yield* Fiber.join(fiber)
      assert.deepStrictEqual([done.added, repeated(yield* stored)], [300, 0])
      assert.strictEqual(seen.size, 1)
      assert.match([...seen].join(), /^Stable \S+$/)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          kafka,
          quiet,
          marketo(
            { faults: [{ fault: "error", code: "608", match: { endpoint: "addCustomActivities" } }] },
            { addCustomActivities: { retries: 0 } },
          ),
        ),
      ),
    ),
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
      const isInFlight = Effect.gen(function* () {
        const { records } = yield* Ref.get(seen)
        return records > 0 && records < (yield* addCalls).length * 300
      })
      while (!(yield* isInFlight)) yield* Effect.sleep("20 millis")
      const begun = yield* Clock.currentTimeMillis
      yield* Fiber.interrupt(first)
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 15_000)
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
        assert.isBelow((yield* Clock.currentTimeMillis) - begun, 15_000)
      }
      yield* Effect.fork(Stream.runDrain(source(place)))
      while ((yield* stored).size < 300) yield* Effect.sleep("50 millis")
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.scopedLive(
    "a dead-letter topic that is deleted ends the stream with advice, and the next run loses and repeats nothing",
    () =>
      Effect.gen(function* () {
        const place = yield* topics("dead-gone", 1)
        const client = yield* KafkaClient.KafkaClient
        const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
        yield* Effect.acquireRelease(
          Effect.promise(() => admin.connect()),
          () => Effect.promise(() => admin.disconnect()),
        )
        yield* fill(place, [{ key: "k", value: "{" }, ...range(20).map((n) => record(n))])
        const isStarted = yield* Deferred.make<void>()
        const running = yield* source(place).pipe(
          Stream.runForEach(() => Deferred.succeed(isStarted, undefined)),
          Effect.flip,
          Effect.fork,
        )
        yield* Deferred.await(isStarted)

        yield* Effect.promise(() => admin.deleteTopics({ topics: [place.dead] }))
        yield* fill(place, [{ key: "k", value: "{" }, ...range(30, 20).map((n) => record(n))])
        const error = yield* Fiber.join(running)
        if (error._tag !== "KafkaError") return assert.fail(error.message)
        assert.strictEqual(error.reason, "UnknownTopic")
        assert.include(error.message, `${place.dead} until a person has changed something`)

        yield* client.createTopic({ name: place.dead, partitions: 1 })
        const done = yield* take(31)(source(place))
        assert.deepStrictEqual([done.added + done.confirmed, done.deadLettered], [30, 1])
        assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [50, 0])
        const [letter, ...others] = Chunk.toReadonlyArray(yield* Stream.runCollect(client.read(place.dead)))
        assert.strictEqual(others.length, 0)
        assert.strictEqual(
          Option.getOrThrow(Option.flatMap(Option.fromNullable(letter), DeadLetter.fromRecord)).offset,
          21n,
        )
      }).pipe(Effect.provide(Layer.mergeAll(impatient, quiet, marketo()))),
  )

  for (const [setting, value] of Object.entries({
    "min.insync.replicas": "2",
    "cleanup.policy": "compact",
    "message.timestamp.before.max.ms": "1",
    "message.timestamp.after.max.ms": "1",
    "max.message.bytes": "2000",
  })) {
    it.scopedLive(`a dead-letter topic with ${setting}=${value} is refused at the start`, () =>
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const name = unique("odd")
        yield* client.createTopic({ name, partitions: 1, config: { [setting]: value } })
        const error = yield* Effect.flip(Stream.runDrain(source({ topic: "any", dead: name })))
        assert.include(error.message, `the topic ${name} cannot take dead letters: it has ${setting}=${value}`)
      }).pipe(Effect.provide(layer())),
    )
  }

  it.scopedLive("a value of 2 MB is a dead letter with its beginning, and the rest goes on", () =>
    Effect.gen(function* () {
      const place = yield* topics("large", 1, { "max.message.bytes": "4000000" })
      const large = booking(2, { primaryAttributeValue: "x".repeat(2_000_000) })
      yield* fill(place, [record(1), record(2, large), record(3)])
      const done = yield* take(3)(source(place))
      assert.deepStrictEqual([done.added, done.deadLettered], [2, 1])
      const client = yield* KafkaClient.KafkaClient
      const letters = Chunk.toReadonlyArray(yield* Stream.runCollect(client.read(place.dead)))
      assert.deepStrictEqual(
        letters.map((one) => [DeadLetter.fromRecord(one).pipe(Option.map(({ isCut }) => isCut)), one.value]),
        [[Option.some(true), Option.some(Buffer.from(large.slice(0, 1_000)))]],
      )
    }).pipe(Effect.provide(layer())),
  )

  it.scopedLive("dead letters are redriven once, and the source takes them up", () =>
    Effect.gen(function* () {
      const place = yield* topics("redrive", 2)
      const client = yield* KafkaClient.KafkaClient
      const exhaustedTopic = unique("exhausted")
      yield* client.createTopic({ name: exhaustedTopic, partitions: 1 })
      yield* fill(place, [
        ...range(20).map((n) => record(n)),
        ...range(5).map((n) => record(n, booking(100 + n, { leadId: 1 }))),
      ])
      yield* take(25)(source(place))
      const redrive = { topic: place.topic, deadLetterTopic: place.dead, exhaustedTopic, maxAttempts: 2 }
      const looked = yield* Redrive.run({ ...redrive, dryRun: true })
      const moved = yield* Redrive.run(redrive)
      const again = yield* Redrive.run(redrive)
      assert.deepStrictEqual([looked.redriven, moved.redriven, again.redriven, again.doneBefore], [5, 5, 0, 5])
      // their lead is still unknown; they have been tried twice by then
      yield* take(5)(source(place))
      const last = yield* Redrive.run(redrive)
      assert.deepStrictEqual([last.letters, last.exhausted, last.doneBefore], [10, 5, 5])
      // a commit is answered a moment before readers see it
      const exhausted = yield* Effect.repeat(Stream.runCollect(client.read(exhaustedTopic)), {
        until: ({ length }) => length >= 5,
        times: 30,
      })
      assert.isTrue(
        Chunk.every(exhausted, (one) => Option.exists(DeadLetter.fromRecord(one), ({ attempts }) => attempts === 2)) &&
          exhausted.length === 5,
      )
    }).pipe(Effect.provide(layer())),
  )
})
