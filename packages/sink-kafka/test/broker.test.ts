/** What only a broker can tell: transactions, fencing, and connections that break. */
import { assert, it } from "@effect/vitest"
import type { ActivitySink } from "@effect-marketo/core"
import { KafkaClient, KafkajsClient, type KafkajsOptions, Partitioner } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkaSink, RecordTooLarge } from "@effect-marketo/sink-kafka"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Chunk, Context, Deferred, Effect, Either, Fiber, Layer, Logger, LogLevel, Option, type Scope } from "effect"
import { following, headerOf, readAll, textOf, unique } from "./support/kafka.js"
import * as sockets from "./support/sockets.js"

const subscription = { instance: "123-ABC-456", name: "all" }

/** Ten records a batch, of leads that come again in every batch. */
const batch = (sequence: number): ActivitySink.Batch =>
  SinkSuite.batch(subscription, sequence, SinkSuite.texts(10, 10 * sequence))

const batches = (until: number) => Array.from({ length: until }, (_, i) => batch(i + 1))

describeWithKafka("KafkaSink on a broker", (brokers) => {
  const connect = (transport?: KafkajsOptions.Transport) =>
    Effect.map(Layer.build(KafkajsClient.layer({ brokers }, transport)), (context) =>
      following(Context.get(context, KafkaClient.KafkaClient)),
    )

  /** A topic of six partitions, and what makes a sink on it. */
  const fresh = Effect.gen(function* () {
    const client = yield* connect()
    const prefix = unique()
    const topic = `${prefix}-activities`
    yield* client.createTopic({ name: topic, partitions: 6 })
    const open = (options: Partial<KafkaSink.Options> = {}, over = client) =>
      KafkaSink.make({ topic, prefix, createTopics: true, ...options }).pipe(
        Effect.provideService(KafkaClient.KafkaClient, over),
        Effect.flatMap((sink) => sink.open(subscription)),
      )
    /** Each record of the batches once, on its partition, and in order for each lead. */
    const expectStored = (expected: ReadonlyArray<ActivitySink.Batch>) =>
      Effect.gen(function* () {
        const texts = expected.flatMap(({ records }) => Chunk.toReadonlyArray(records).map(({ text }) => text))
        const found = yield* readAll(client, topic, texts.length)
        assert.deepStrictEqual(found.map(({ value }) => textOf(value)).sort(), [...texts].sort())
        const position = new Map(texts.map((text, index) => [text, index]))
        const last = new Map<string, number>()
        for (const { key, partition, value } of found) {
          const lead = textOf(key)
          assert.strictEqual(partition, Partitioner.partition(lead, 6))
          const at = position.get(textOf(value)) ?? -1
          assert.isAbove(at, last.get(lead) ?? -1)
          last.set(lead, at)
        }
      })
    return { client, prefix, topic, open, expectStored }
  })

  /** A real broker, real time, and no log: what it would say is the faults that are made here. */
  const live = <E>(name: string, test: Effect.Effect<void, E, Scope.Scope>) =>
    it.scopedLive(name, () => Effect.provide(test, Logger.minimumLogLevel(LogLevel.None)))

  const sequenceOf = ({ checkpoint }: ActivitySink.Writer) =>
    Option.match(checkpoint, { onNone: () => 0, onSome: ({ sequence }) => sequence })

  live(
    "settles lost answers and requests that never went out, with no repeat",
    Effect.gen(function* () {
      const { expectStored, open } = yield* fresh
      const faulty = sockets.make()
      const writer = yield* open({}, yield* connect(faulty))
      const faults = [
        undefined,
        { request: "EndTxn", do: "cut after" },
        { request: "EndTxn", do: "cut before" },
        { request: "Produce", do: "cut after" },
        { request: "Produce", do: "cut before" },
        { request: "EndTxn", do: "cut after" },
        undefined,
      ] as const
      for (const [index, fault] of faults.entries()) {
        if (fault !== undefined) faulty.next(fault)
        yield* writer.write(batch(index + 1))
        assert.isTrue(faulty.isDone())
      }
      yield* expectStored(batches(faults.length))
      assert.strictEqual(sequenceOf(yield* open()), faults.length)
    }),
  )

  live(
    "of two copies that write at once, the older ends as Fenced, and the data are exact",
    Effect.gen(function* () {
      const { expectStored, open } = yield* fresh
      const started = yield* Deferred.make<void>()
      const takenOver = yield* Deferred.make<void>()
      const copy = (before: (sequence: number) => Effect.Effect<unknown>) =>
        Effect.gen(function* () {
          const writer = yield* open({}, yield* connect())
          for (let sequence = sequenceOf(writer) + 1; sequence <= 60; sequence++) {
            yield* before(sequence)
            yield* writer.write(batch(sequence))
          }
        }).pipe(Effect.scoped, Effect.either)
      const first = yield* Effect.fork(
        copy((sequence) => {
          if (sequence === 6) return Deferred.succeed(started, undefined)
          return sequence === 50 ? Deferred.await(takenOver) : Effect.void
        }),
      )
      yield* Effect.raceFirst(Deferred.await(started), Fiber.join(first))
      const other = yield* copy(() => Deferred.succeed(takenOver, undefined))
      const one = yield* Fiber.join(first)
      assert.isTrue(Either.isRight(other))
      assert.deepStrictEqual(Either.isLeft(one) ? one.left.reason : "ended", "Fenced")
      yield* expectStored(batches(60))
    }),
  )

  live(
    "after its transaction grew too old it goes on, or is Fenced when somebody took over",
    Effect.gen(function* () {
      const expired = (isTakenOver: boolean) =>
        Effect.gen(function* () {
          const { expectStored, open } = yield* fresh
          const faulty = sockets.make()
          const writer = yield* open({ transactionTimeout: "1500 millis" }, yield* connect(faulty))
          yield* writer.write(batch(1))
          faulty.next({ request: "EndTxn", do: { delay: 10_000 } })
          const write = yield* Effect.fork(Effect.either(writer.write(batch(2))))
          if (!isTakenOver) {
            assert.isTrue(Either.isRight(yield* Fiber.join(write)))
            return yield* expectStored(batches(2))
          }
          yield* Effect.repeat(Effect.sleep("20 millis"), { until: faulty.isDone })
          const newer = yield* open()
          assert.strictEqual(sequenceOf(newer), 1)
          yield* newer.write(batch(2))
          const outcome = yield* Fiber.join(write)
          assert.strictEqual(Either.isLeft(outcome) ? outcome.left.reason : "written", "Fenced")
          yield* newer.write(batch(3))
          yield* expectStored(batches(3))
        })
      yield* Effect.all([expired(false), expired(true)], { concurrency: "unbounded", discard: true })
    }),
  )

  live(
    "finds its newest checkpoint among aborted ones, over many short segments",
    Effect.gen(function* () {
      const { client, expectStored, open, prefix } = yield* fresh
      const checkpointTopic = `${prefix}-checkpoints`
      yield* client.createTopic({
        name: checkpointTopic,
        partitions: 1,
        config: { "cleanup.policy": "delete", "retention.ms": "-1", "segment.ms": "20" },
      })
      const faulty = sockets.make()
      const through = yield* connect(faulty)
      let sequence = 0
      for (let start = 0; start < 3; start++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* open({ checkpointTopic }, through)
            assert.strictEqual(sequenceOf(writer), sequence)
            for (let n = 0; n < 21; n++) {
              if (n % 7 === 0) faulty.next({ request: "EndTxn", do: "cut before" })
              yield* writer.write(batch(++sequence))
            }
          }),
        )
      }
      yield* expectStored(batches(sequence))
    }),
  )

  live(
    "goes on from its checkpoint, whatever compression the broker gives to the topics",
    Effect.gen(function* () {
      for (const compression of ["uncompressed", "gzip", "snappy", "lz4", "zstd"]) {
        const { client, open, prefix } = yield* fresh
        const checkpointTopic = `${prefix}-checkpoints`
        const kept = { "cleanup.policy": "delete", "retention.ms": "-1", "compression.type": compression }
        yield* client.createTopic({ name: checkpointTopic, partitions: 1, config: kept })
        for (let sequence = 1; sequence <= 3; sequence++) {
          const writer = yield* open({ checkpointTopic })
          assert.strictEqual(sequenceOf(writer), sequence - 1)
          yield* writer.write(batch(sequence))
        }
      }
    }),
  )

  live(
    "refuses topics at the start that could never take what it writes",
    Effect.gen(function* () {
      const { client, open, prefix } = yield* fresh
      const [compacted, alone] = [`${prefix}-compacted`, `${prefix}-alone`]
      yield* client.createTopic({ name: compacted, config: { "cleanup.policy": "compact" } })
      yield* client.createTopic({ name: alone, config: { "min.insync.replicas": "2" } })
      for (const [rejectedTopic, words] of [
        [compacted, /cleanup\.policy=compact.*set cleanup\.policy=delete/],
        [alone, /min\.insync\.replicas=2, and it has 1 replica/],
      ] as const) {
        const { message } = yield* Effect.flip(open({ rejectedTopic }))
        assert.match(message, words)
      }
    }),
  )

  live(
    "writes a page of more than a megabyte for one partition, compressed or not",
    Effect.gen(function* () {
      for (const compression of ["none", "gzip"] as const) {
        const { client, open, topic } = yield* fresh
        const writer = yield* open({ compression })
        const [text = ""] = SinkSuite.texts(1)
        const texts = Array.from(
          { length: 300 },
          (_, n) => `${text.slice(0, -1)},"n":${n},"more":"${"x".repeat(10_000)}"}`,
        )
        yield* writer.write(SinkSuite.batch(subscription, 1, texts))
        const stored = yield* readAll(client, topic, texts.length)
        assert.isTrue(stored.map(({ value }) => textOf(value)).join("\n") === texts.join("\n"))
      }
    }),
  )

  live(
    "a record that the broker does not take fails with its identity, or goes to the rejected topic",
    Effect.gen(function* () {
      const { client, open, prefix, topic } = yield* fresh
      const [text = "", other = ""] = SinkSuite.texts(2)
      const large = `${text.slice(0, -1)},"more":"${"x".repeat(2_000_000)}"}`
      const one = SinkSuite.batch(subscription, 1, [other, large])
      const { identity } = Chunk.unsafeGet(one.records, 1)

      const failed = yield* Effect.flip(Effect.flatMap(open(), ({ write }) => write(one)))
      assert.strictEqual(failed.reason, "RecordRejected")
      assert.deepStrictEqual(
        failed.cause,
        new RecordTooLarge.RecordTooLarge({ topic, identity, size: Buffer.byteLength(large) }),
      )
      assert.deepStrictEqual(yield* readAll(client, topic), [])

      const rejectedTopic = `${prefix}-rejected`
      yield* Effect.flatMap(open({ rejectedTopic, tooLarge: "reject" }), ({ write }) => write(one))
      assert.deepStrictEqual(
        (yield* readAll(client, topic, 1)).map(({ value }) => textOf(value)),
        [other],
      )
      const [rejected] = yield* readAll(client, rejectedTopic, 1)
      assert(rejected !== undefined)
      const head = textOf(rejected.value)
      assert.isTrue(large.startsWith(head))
      assert.isAbove(head.length, 1_000_000)
      assert.strictEqual(headerOf(rejected, "marketo-guid"), identity)
      assert.strictEqual(headerOf(rejected, "marketo-size"), `${Buffer.byteLength(large)}`)

      // compressed it is small
      const two = SinkSuite.batch(subscription, 2, [large])
      yield* Effect.flatMap(open({ compression: "gzip" }), ({ write }) => write(two))
      assert.strictEqual((yield* readAll(client, topic, 2)).length, 2)
    }),
  )
})
