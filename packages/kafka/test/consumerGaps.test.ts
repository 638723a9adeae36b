import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, Metrics, type PartitionBatch } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Chunk, Effect, HashMap, Logger, Metric, Option, Schedule, Stream } from "effect"
import kafkajs from "kafkajs"
import { fill, member, quick, unique, until, workThrough } from "./consumerKit.js"

interface Line {
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Collects what is logged at level ERROR. */
const errorsTo = (lines: Array<Line>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      if (logLevel.label !== "ERROR") return
      lines.push({ text: String(message), annotations: Object.fromEntries(HashMap.toEntries(annotations)) })
    }),
  )

const gapsOf = (topic: string) =>
  Effect.map(Metric.value(Metric.tagged(Metrics.gapOffsets, "topic", topic)), ({ count }) => count)

describeWithKafka("a partition that does not have the next offset", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })

  /** The offsets of the next batch; committed, if it is to be. */
  const next = (options: KafkaClient.ConsumerOptions, isCommitted = true) =>
    Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
      kafka.consume(options).pipe(
        Stream.mapEffect((batch) =>
          Effect.as(
            isCommitted ? workThrough(batch, () => Effect.void) : Effect.void,
            Array.from(batch.records, ({ offset }) => Number(offset)),
          ),
        ),
        Stream.runHead,
        Effect.map(Option.getOrThrow),
      ),
    )

  /** A group that has committed the first `count` records of a partition. */
  const commitFirst = (options: KafkaClient.ConsumerOptions, count: number) =>
    Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
      kafka.consume(options).pipe(
        Stream.take(1),
        Stream.runForEach((batch) => {
          batch.claim(count)
          return batch.commit(count)
        }),
      ),
    )

  const withAdmin = (use: (admin: kafkajs.Admin) => Promise<unknown>) =>
    Effect.promise(async () => {
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
      await admin.connect()
      await use(admin).finally(() => admin.disconnect())
    })

  describe.concurrent("consuming it", () => {
    it.scopedLive("counts and logs the offsets that are gone, and goes on with the first that is left", () => {
      const lines: Array<Line> = []
      return Effect.gen(function* () {
        const topic = unique("gone")
        const kafka = yield* KafkaClient.KafkaClient
        yield* fill(topic, 1, 100)
        for (const from of ["earliest", "latest"] as const) {
          const options = { topic, groupId: `${topic}-${from}`, ...quick, from }
          yield* commitFirst({ ...options, from: "earliest" }, 20)
        }
        yield* kafka.deleteRecords({ topic, partition: 0 }, 60n)
        for (const from of ["earliest", "latest"] as const) {
          const options = { topic, groupId: `${topic}-${from}`, ...quick, from }
          lines.length = 0
          const before = yield* gapsOf(topic)
          // what the topic still has is not skipped, wherever a new group would begin
          assert.deepStrictEqual(
            yield* next(options, false),
            Array.from({ length: 40 }, (_, i) => 60 + i),
          )
          assert.strictEqual((yield* gapsOf(topic)) - before, 40)
          assert.lengthOf(lines, 1)
          assert.match(lines[0]?.text ?? "", /^40 offsets from 20 on were removed from partition 0 of topic gone/)
          assert.deepInclude(lines[0]?.annotations, { topic, partition: 0, offsets: "40", position: "20", next: "60" })
          // it is said once: the group stands behind the gap now
          assert.strictEqual((yield* next(options))[0], 60)
          assert.strictEqual((yield* gapsOf(topic)) - before, 40)
        }
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo(lines)))
    })

    it.scopedLive('fails with onGap "fail", again and again, until somebody decides', () =>
      Effect.gen(function* () {
        const topic = unique("fail")
        const kafka = yield* KafkaClient.KafkaClient
        yield* fill(topic, 1, 100)
        const options = { topic, groupId: topic, ...quick, onGap: "fail" } as const
        yield* commitFirst(options, 20)
        yield* kafka.deleteRecords({ topic, partition: 0 }, 60n)
        for (let n = 0; n < 2; n++) {
          const error = yield* Effect.flip(next(options))
          assert.strictEqual(error.reason, "OffsetOutOfRange")
          assert.isFalse(error.isRetryable)
          assert.match(
            error.message,
            /40 offsets from 20 on were removed from partition 0.*Set the group's offset to 60/,
          )
        }
        assert.strictEqual((yield* next({ ...options, onGap: "continue" }))[0], 60)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo([]))),
    )

    it.scopedLive("counts what is removed behind the batch that is worked on", () =>
      Effect.gen(function* () {
        const topic = unique("behind")
        const kafka = yield* KafkaClient.KafkaClient
        // several times what one fetch may bring
        yield* fill(topic, 1, 5_000, "x".repeat(1_000))
        const given: Array<PartitionBatch.PartitionBatch> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => given.push(batch))),
          Effect.forkScoped,
        )
        yield* until(() => given.length === 1)
        const [batch] = given as [PartitionBatch.PartitionBatch]
        yield* kafka.deleteRecords({ topic, partition: 0 }, 4_990n)
        batch.claim(batch.length)
        assert.isTrue(yield* batch.commit(batch.length))
        yield* until(() => given.length === 2)
        assert.strictEqual(Chunk.headNonEmpty((given[1] as PartitionBatch.PartitionBatch).records).offset, 4_990n)
        assert.strictEqual(yield* gapsOf(topic), 4_990 - batch.length)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo([]))),
    )

    it.scopedLive("reads a partition that ends before the committed offset from where `from` says", () => {
      const lines: Array<Line> = []
      return Effect.gen(function* () {
        const topic = unique("anew")
        yield* fill(topic, 1, 10)
        const options = { topic, groupId: topic, ...quick }
        // as the one before it, with more records, had left it
        const partitions = [{ partition: 0, offset: "100" }]
        yield* withAdmin((admin) => admin.setOffsets({ groupId: topic, topic, partitions }))
        assert.deepStrictEqual(yield* next(options), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        assert.strictEqual(yield* gapsOf(topic), 90)
        assert.match(lines[0]?.text ?? "", /ends 90 offsets before 100.*the topic was made anew/)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo(lines)))
    })

    it.scopedLive("reads all of a topic that is made anew while it is consumed", () =>
      Effect.gen(function* () {
        const topic = unique("again")
        yield* fill(topic, 1, 100)
        const seen: Array<string> = []
        yield* member({ topic, groupId: topic, ...quick }, (batch) =>
          workThrough(batch, (records) =>
            Effect.sync(() => {
              for (const { value } of records) seen.push(`${Option.getOrNull(value)}`)
            }),
          ),
        ).pipe(Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 50 }), Effect.forkScoped)
        yield* until(() => seen.length === 100)
        yield* withAdmin((admin) => admin.deleteTopics({ topics: [topic] }))
        // fewer than before: a member that looks only when there are more cannot tell that the topic is another one
        yield* Effect.retry(fill(topic, 1, 50, "new"), { times: 50 })
        yield* until(() => seen.filter((value) => value === "new").length === 50)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo([]))),
    )

    it.scopedLive("does not count the offsets of transactions", () =>
      Effect.gen(function* () {
        const topic = unique("transactions")
        const kafka = yield* KafkaClient.KafkaClient
        yield* kafka.createTopic({ name: topic })
        const producer = yield* kafka.transactionalProducer({ transactionalId: topic })
        const send = (value: string) =>
          producer.transaction((transaction) => transaction.send({ topic, partition: 0 }, [{ key: null, value }]))
        const abort = producer.transaction((transaction) =>
          Effect.zipRight(
            transaction.send({ topic, partition: 0 }, [{ key: null, value: "aborted" }]),
            Effect.fail("aborted" as const),
          ),
        )
        const seen: Array<number> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick, onGap: "fail" }).pipe(
          Stream.runForEach((batch) =>
            workThrough(batch, (records) =>
              Effect.sync(() => seen.push(...Array.from(records, ({ offset }) => Number(offset)))),
            ),
          ),
          Effect.forkScoped,
        )
        for (let n = 1; n <= 3; n++) {
          yield* Effect.ignore(abort)
          yield* send("kept")
          yield* until(() => seen.length === n)
        }
        // each transaction takes an offset for its end
        assert.deepStrictEqual(seen, [2, 6, 10])
        assert.strictEqual(yield* gapsOf(topic), 0)
      }).pipe(Effect.provide(layer)),
    )
  })
})
