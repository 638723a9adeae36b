/** What does not need a broker: in memory, under the test's clock. */
import { assert, describe, it } from "@effect/vitest"
import type { ActivitySink, SinkError } from "@effect-marketo/core"
import { KafkaClient, KafkaError, MemoryClient, Partitioner, type Producer } from "@effect-marketo/kafka"
import { KafkaSink, RecordTooLarge } from "@effect-marketo/sink-kafka"
import { SinkSuite } from "@effect-marketo/sink-testing"
import {
  Chunk,
  Clock,
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  TestClock,
} from "effect"
import { headerOf, readAll, textOf } from "./support/kafka.js"

const subscription = { instance: "123-ABC-456", name: "all" }
const checkpointTopic = "marketo__123-ABC-456__all__checkpoint"

const batch = (sequence: number, count = 3): ActivitySink.Batch =>
  SinkSuite.batch(subscription, sequence, SinkSuite.texts(count, 1000 * sequence))

const textsOf = ({ records }: ActivitySink.Batch) => Chunk.toReadonlyArray(records).map(({ text }) => text)

/** A cluster in memory with a topic `activities` of four partitions. */
const cluster = Effect.gen(function* () {
  const client = Context.get(yield* Layer.build(MemoryClient.layer), KafkaClient.KafkaClient)
  yield* client.createTopic({ name: "activities", partitions: 4 })
  return client
})

const make = (client: KafkaClient.Service, options: Partial<KafkaSink.Options> = {}, hooks: KafkaSink.Hooks = {}) =>
  Effect.provideService(
    KafkaSink.make({ topic: "activities", createTopics: true, ...options }, hooks),
    KafkaClient.KafkaClient,
    client,
  )

const open = (client: KafkaClient.Service, options?: Partial<KafkaSink.Options>, hooks?: KafkaSink.Hooks) =>
  Effect.flatMap(make(client, options, hooks), (sink) => sink.open(subscription))

const texts = (client: KafkaClient.Service, topic = "activities") =>
  Effect.map(readAll(client, topic), (records) => records.map(({ value }) => textOf(value)))

/** Order within a key is the promise; which partition is read first is not. */
const sorted = (lines: ReadonlyArray<string>) => [...lines].sort()

const refusal = <A, R>(effect: Effect.Effect<A, SinkError.SinkError, R>) =>
  Effect.map(Effect.flip(effect), ({ description, reason }) => `${reason}: ${description}`)

/** Another way through a transaction. */
type Fault = (producer: Producer.TransactionalProducer) => Producer.TransactionalProducer["transaction"]

/** The n-th transaction of all producers goes the n-th way; the first is that of `open`. */
const withFaults = (client: KafkaClient.Service, faults: ReadonlyArray<Fault | undefined>): KafkaClient.Service => {
  const left = [...faults]
  return {
    ...client,
    transactionalProducer: (options) =>
      Effect.map(client.transactionalProducer(options), (producer) => ({
        ...producer,
        transaction: (use) => (left.shift()?.(producer) ?? producer.transaction)(use),
      })),
  }
}

const error = (reason: KafkaError.Reason) => new KafkaError.KafkaError({ reason, description: "on purpose" })

const answerLost: Fault = (producer) => (use) => Effect.zipRight(producer.transaction(use), error("OutcomeUnknown"))
const neverSent: Fault = () => () => error("OutcomeUnknown")
const unavailable: Fault = () => () => error("Unavailable")
/** Longer than the transaction may be open. */
const slow: Fault = (producer) => (use) =>
  producer.transaction((transaction) => Effect.zipLeft(use(transaction), Effect.sleep("2 minutes")))

/** Runs `effect` to its end, with all the time that it waits for. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

const stored = (client: KafkaClient.Service) => readAll(client, checkpointTopic)

describe("records", () => {
  it.scoped("have the lead as key, the text as value, and headers that say what it is", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(client)
      const one = batch(1, 100)
      yield* writer.write(one)
      const byText = new Map((yield* readAll(client, "activities")).map((record) => [textOf(record.value), record]))
      assert.strictEqual(byText.size, 100)
      for (const record of one.records) {
        const found = byText.get(record.text)
        assert(found !== undefined)
        assert.strictEqual(textOf(found.key), record.leadId)
        assert.strictEqual(found.partition, Partitioner.partition(record.leadId, 4))
        assert.deepStrictEqual(
          Object.keys(found.headers).map((name) => [name, headerOf(found, name)]),
          [
            ["content-type", "application/json"],
            ["marketo-guid", record.identity],
            ["marketo-activity-type-id", "1"],
            ["marketo-activity-date", new Date(record.activityDate.epochMillis).toISOString()],
            ["marketo-instance", "123-ABC-456"],
            ["marketo-schema-version", "1"],
          ],
        )
        assert.strictEqual(found.timestamp.epochMillis, 0, "the time of the test's clock")
      }
    }),
  )

  it.scoped("have the name of their type, where it is known", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(client, {}, { activityTypes: [{ id: 1, name: "Visit Webpage" }] })
      yield* writer.write(batch(1, 1))
      const [record] = yield* readAll(client, "activities")
      assert(record !== undefined)
      assert.strictEqual(headerOf(record, "marketo-activity-type"), "Visit Webpage")
    }),
  )

  it.scoped("have the time of the activity, when they shall", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(client, { timestamp: "activityDate" })
      const one = batch(1, 1)
      yield* writer.write(one)
      const [record] = yield* readAll(client, "activities")
      assert.deepStrictEqual(record?.timestamp, Chunk.unsafeHead(one.records).activityDate)
    }),
  )

  it.scoped("go where `route` says, encoded by `encode`, with the headers of `headers`", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(
        client,
        { topic: ["even", "odd"] },
        {
          route: ({ leadId }) => (Number(leadId) % 2 === 0 ? "even" : "odd"),
          headers: ({ leadId }) => ({ "marketo-schema-version": "mine", lead: leadId }),
          encode: {
            contentType: "application/avro",
            values: (records) =>
              Effect.succeed(Chunk.toReadonlyArray(records).map(({ identity }) => Uint8Array.of(0, identity.length))),
          },
        },
      )
      yield* writer.write(batch(1, 10))
      for (const [topic, rest] of [
        ["even", 0],
        ["odd", 1],
      ] as const) {
        const records = yield* readAll(client, topic)
        assert.strictEqual(records.length, 5)
        for (const record of records) {
          assert.strictEqual(Number(textOf(record.key)) % 2, rest)
          assert.deepStrictEqual(Option.getOrThrow(record.value), Uint8Array.of(0, 36))
          assert.strictEqual(headerOf(record, "content-type"), "application/avro")
          assert.strictEqual(headerOf(record, "marketo-schema-version"), "mine")
          assert.strictEqual(headerOf(record, "lead"), textOf(record.key))
        }
      }
    }),
  )

  it.scoped("fail with the encoder, with one that forgets a record, and with a route to nowhere", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const refused = (hooks: KafkaSink.Hooks) =>
        Effect.flatMap(open(client, { topic: ["a", "b"] }, hooks), (writer) => refusal(writer.write(batch(1))))
      const encode = (values: NonNullable<KafkaSink.Hooks["encode"]>["values"]) =>
        refused({ route: () => "a", encode: { contentType: "x", values } })
      assert.strictEqual(yield* encode(() => Effect.succeed(["1"])), "Other: `encode` gave 1 values for 3 records")
      assert.strictEqual(
        yield* refused({ route: () => "c" }),
        "Other: `route` gave the topic c, and `topic` lists a, b",
      )
      const sink = yield* KafkaSink.make(
        { topic: "activities", createTopics: true },
        { encode: { contentType: "x", values: () => Effect.fail("no registry") } },
      ).pipe(Effect.provideService(KafkaClient.KafkaClient, client))
      const failed = yield* Effect.flip(Effect.flatMap(sink.open(subscription), (writer) => writer.write(batch(1))))
      assert.deepStrictEqual([failed.reason, failed.cause], ["Other", "no registry"])
      assert.deepStrictEqual(yield* texts(client, "a"), [])
    }),
  )
})

describe("the start", () => {
  it.scoped("names the topic that is missing, or makes it", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const options = { topic: ["activities", "more"], rejectedTopic: "rejected", createTopics: false }
      const hooks = { route: () => "more" }
      const advice = "Create it, or let the sink do so by `createTopics: true`"
      assert.strictEqual(
        yield* refusal(make(client, options, hooks)),
        `Unavailable: the topic more does not exist. ${advice}`,
      )
      yield* client.createTopic({ name: "more" })
      assert.strictEqual(
        yield* refusal(make(client, options, hooks)),
        `Unavailable: the topic rejected does not exist. ${advice}`,
      )
      assert.include(
        yield* refusal(open(client, { createTopics: false })),
        `the topic ${checkpointTopic} does not exist. Create it with one partition, cleanup.policy=delete, retention.ms=-1 and retention.bytes=-1`,
      )
      yield* open(client, { ...options, createTopics: true }, hooks)
      assert.deepStrictEqual(
        yield* client.topic("rejected"),
        Option.some({ name: "rejected", partitions: 1, replicas: 1 }),
      )
      assert.deepStrictEqual(
        yield* client.topic(checkpointTopic),
        Option.some({ name: checkpointTopic, partitions: 1, replicas: 1 }),
      )
      const { "cleanup.policy": policy, "retention.ms": retention } = yield* client.topicConfig(checkpointTopic)
      assert.deepStrictEqual([policy, retention], ["delete", "-1"])
    }),
  )

  it.scoped("refuses options that make no sense", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const wrong: ReadonlyArray<Partial<KafkaSink.Options>> = [
        { topic: [] },
        { topic: ["a", "b"] },
        { topic: "a", rejectedTopic: "a" },
        { topic: "a", checkpointTopic: "a" },
        { prefix: "" },
        { prefix: "my topics" },
        { tooLarge: "reject" },
      ]
      for (const options of wrong) {
        assert.match(yield* refusal(make(client, options)), /^Other: /, JSON.stringify(options))
      }
      assert.isTrue(Option.isNone(yield* client.topic("a")))
    }),
  )

  it.effect("takes its options from Config", () =>
    Effect.gen(function* () {
      const options = {
        topic: Config.string("TOPIC"),
        createTopics: Config.succeed(true),
        unavailableFor: Config.duration("PATIENCE"),
      }
      const client = yield* Effect.map(Layer.build(MemoryClient.layer), Context.get(KafkaClient.KafkaClient))
      yield* Layer.build(KafkaSink.layerConfig(options)).pipe(
        Effect.provideService(KafkaClient.KafkaClient, client),
        Effect.withConfigProvider(
          ConfigProvider.fromMap(
            new Map([
              ["TOPIC", "from-config"],
              ["PATIENCE", "1 minute"],
            ]),
          ),
        ),
      )
      assert.isTrue(Option.isSome(yield* client.topic("from-config")))
    }).pipe(Effect.scoped),
  )
})

describe("checkpoints", () => {
  it.scoped("are core's text, under the subscription's key, and name the writer, from `open` on", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const first = yield* open(client)
      const [claim] = yield* stored(client)
      assert(claim !== undefined)
      assert.isTrue(Option.isNone(first.checkpoint))
      assert.isTrue(Option.isNone(claim.value))
      assert.strictEqual(textOf(claim.key), "123-ABC-456/all")
      yield* first.write(batch(1))
      const second = yield* open(client)
      assert.deepStrictEqual(second.checkpoint, Option.some(batch(1).checkpoint))
      const [again, ...more] = yield* stored(client)
      assert(again !== undefined)
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(JSON.parse(textOf(again.value)).sequence, 1)
      assert.notStrictEqual(headerOf(again, "writer"), headerOf(claim, "writer"))
    }),
  )

  it.scoped("are refused when they cannot be read, and nothing is written over them", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      yield* open(client)
      const producer = yield* client.producer()
      const put = (key: string, value: string) =>
        producer.send({ topic: checkpointTopic, partition: 0 }, [{ key, value }])
      for (const garbage of ["", "null", "{", '{"v":1}']) {
        yield* put("123-ABC-456/all", garbage)
        assert.match(yield* refusal(open(client)), /^CheckpointRefused: .*damaged or cut off/)
      }
      yield* put("123-ABC-456/all", '{"v":2}')
      assert.match(yield* refusal(open(client)), /^CheckpointRefused: .*newer release/)
      assert.strictEqual(textOf((yield* stored(client)).at(-1)?.value ?? Option.none()), '{"v":2}')
      yield* put("ann@example.com", "{}")
      const foreign = yield* refusal(open(client))
      assert.match(foreign, /^CheckpointRefused: .* has records that are not of 123-ABC-456\/all/)
      assert.notInclude(foreign, "ann@example.com")
    }),
  )

  it.scoped("are not taken for none when the newest record has no value and is no sink's", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      yield* Effect.flatMap(open(client), (first) => first.write(batch(1)))
      const producer = yield* client.producer()
      yield* producer.send({ topic: checkpointTopic, partition: 0 }, [{ key: "123-ABC-456/all", value: null }])
      assert.match(yield* refusal(open(client)), /^CheckpointRefused: .* has no value, and no sink wrote it/)
      const newest = (yield* stored(client)).at(-1)
      assert(newest !== undefined)
      assert.isTrue(Option.isNone(newest.value))
    }),
  )

  it.scoped("are found at the end of a topic that was never trimmed", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      yield* Effect.flatMap(open(client), (first) => first.write(batch(1)))
      const newest = textOf((yield* stored(client)).at(-1)?.value ?? Option.none())
      const producer = yield* client.producer()
      const record = { key: "123-ABC-456/all", value: newest }
      yield* producer.send({ topic: checkpointTopic, partition: 0 }, [record, ...Array(50_000).fill(record)])
      assert.deepStrictEqual((yield* open(client)).checkpoint, Option.some(batch(1).checkpoint))
    }),
  )

  it.scoped("need a topic with one partition that is kept for ever and not compacted", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const config = { "cleanup.policy": "delete", "retention.ms": "-1" }
      const topics = {
        wide: { partitions: 2, config },
        compacted: { config: { ...config, "cleanup.policy": "compact" } },
        forgetful: { config: { ...config, "retention.ms": "604800000" } },
        small: { config: { ...config, "retention.bytes": "1000000" } },
        narrow: { config: { ...config, "max.message.bytes": "1000" } },
        exact: { config: { ...config, "message.timestamp.after.max.ms": "10" } },
        alone: { config: { ...config, "min.insync.replicas": "2" } },
      }
      const words = {
        wide: "has 2 partitions, and the order of checkpoints needs exactly one",
        compacted: "has cleanup.policy=compact, and then compaction can remove records: set cleanup.policy=delete",
        forgetful: "has retention.ms=604800000, and then a program that rests loses its position: set retention.ms=-1",
        small: "has retention.bytes=1000000, and then the newest record can be deleted: set retention.bytes=-1",
        narrow:
          "has max.message.bytes=1000, and then the state may not fit into a record: set max.message.bytes=100000",
        exact: "has message.timestamp.after.max.ms=10, and then",
        alone: "has min.insync.replicas=2, and it has 1 replica, so no write is ever acknowledged",
      }
      for (const name of ["wide", "compacted", "forgetful", "small", "narrow", "exact", "alone"] as const) {
        yield* client.createTopic({ name, ...topics[name] })
        const found = yield* refusal(open(client, { checkpointTopic: name }))
        assert.match(found, /^CheckpointRefused/)
        assert.include(found, words[name])
        assert.deepStrictEqual(yield* readAll(client, name), [])
      }
    }),
  )

  it.scoped("are trimmed, so that a start reads few of them; a refused trim is said once and stops nothing", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(client)
      for (let sequence = 1; sequence <= 120; sequence++) yield* writer.write(batch(sequence, 0))
      const left = yield* stored(client)
      assert.isAtMost(left.length, 50)
      assert.strictEqual(JSON.parse(textOf(left.at(-1)?.value ?? Option.none())).sequence, 120)

      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel._tag === "Warning") warnings.push(String(message))
      })
      const refusing = { ...client, deleteRecords: () => error("Misconfigured") }
      yield* Effect.gen(function* () {
        const writer = yield* open(refusing)
        for (let sequence = 121; sequence <= 240; sequence++) yield* writer.write(batch(sequence, 0))
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.strictEqual(warnings.length, 1)
      assert.match(warnings[0] ?? "", /cannot be trimmed/)
    }),
  )
})

describe("a record that is too large", () => {
  const large = `${SinkSuite.texts(1)[0]?.slice(0, -1)},"more":"${"å".repeat(2_000)}"}`
  const [before = "", after = ""] = SinkSuite.texts(2, 7)
  const one = SinkSuite.batch(subscription, 1, [before, large, after])
  const { identity } = Chunk.unsafeGet(one.records, 1)
  const size = Buffer.byteLength(large)

  const limited = Effect.gen(function* () {
    const client = yield* cluster
    const config = { "max.message.bytes": "2000" }
    yield* client.createTopic({ name: "small", partitions: 2, config })
    yield* client.createTopic({ name: "rejected-small", partitions: 2, config })
    return client
  })

  it.scoped("fails with its identity and size, and without its contents", () =>
    Effect.gen(function* () {
      const client = yield* limited
      const failed = yield* Effect.flip(Effect.flatMap(open(client, { topic: "small" }), ({ write }) => write(one)))
      assert.strictEqual(failed.reason, "RecordRejected")
      assert.deepStrictEqual(failed.cause, new RecordTooLarge.RecordTooLarge({ topic: "small", identity, size }))
      assert.include(failed.message, `record ${identity} has ${size} bytes, more than the topic small takes`)
      assert.notInclude(failed.message, "åå")
      assert.notInclude(failed.message, "@")
      assert.deepStrictEqual(yield* texts(client, "small"), [])
    }),
  )

  it.scoped("goes whole to the rejected topic, if it shall", () =>
    Effect.gen(function* () {
      const client = yield* limited
      const options = { topic: "small", rejectedTopic: "rejected", tooLarge: "reject" } as const
      yield* Effect.flatMap(open(client, options), ({ write }) => write(one))
      assert.deepStrictEqual(sorted(yield* texts(client, "small")), sorted([before, after]))
      const [record, ...more] = yield* readAll(client, "rejected")
      assert(record !== undefined)
      assert.deepStrictEqual(more, [])
      assert.strictEqual(textOf(record.value), large)
      assert.strictEqual(headerOf(record, "marketo-rejected"), "too-large")
      assert.strictEqual(headerOf(record, "marketo-rejected-topic"), "small")
      assert.strictEqual(headerOf(record, "marketo-guid"), identity)
      assert.strictEqual(headerOf(record, "marketo-size"), `${size}`)
      assert.isUndefined(headerOf(record, "marketo-truncated"))
    }),
  )

  /** The limits of topics cannot be read, or were lowered after the start. */
  const untold = Effect.map(
    limited,
    (client): KafkaClient.Service => ({
      ...client,
      topicConfig: (name) => Effect.map(client.topicConfig(name), ({ "max.message.bytes": _, ...config }) => config),
    }),
  )

  it.scoped("is kept there when the limit of that topic is not told", () =>
    Effect.gen(function* () {
      const client = yield* untold
      const options = { topic: "small", rejectedTopic: "rejected", tooLarge: "reject" } as const
      yield* Effect.flatMap(open(client, options), ({ write }) => write(one))
      const [record] = yield* readAll(client, "rejected")
      assert.strictEqual(record && textOf(record.value), large)
    }),
  )

  it.scoped("that neither topic takes is an error that says which limit to raise", () =>
    Effect.gen(function* () {
      const client = yield* untold
      const options = { topic: "small", rejectedTopic: "rejected-small", tooLarge: "reject" } as const
      const error = yield* Effect.flip(Effect.flatMap(open(client, options), ({ write }) => write(one)))
      assert.match(error.message, /more than the topic rejected-small takes, though it is for such records/)
    }),
  )

  it.scoped("leaves its head there, when all of it does not fit, and so does what could not be decoded", () =>
    Effect.gen(function* () {
      const client = yield* limited
      const options = { topic: "small", rejectedTopic: "rejected-small", tooLarge: "reject" } as const
      const two = SinkSuite.batch(subscription, 1, [before, large, after], [large])
      yield* Effect.flatMap(open(client, options), ({ write }) => write(two))
      assert.deepStrictEqual(sorted(yield* texts(client, "small")), sorted([before, after]))
      const records = yield* readAll(client, "rejected-small")
      assert.deepStrictEqual(records.map((record) => headerOf(record, "marketo-rejected")).sort(), [
        "too-large",
        "undecodable",
      ])
      for (const record of records) {
        const head = textOf(record.value)
        assert.isTrue(large.startsWith(head), "cut between two characters")
        assert.isAbove(head.length, 500)
        assert.strictEqual(headerOf(record, "marketo-size"), `${size}`)
        assert.strictEqual(headerOf(record, "marketo-truncated"), "true")
      }
    }),
  )
})

describe("a write in doubt", () => {
  it.scoped("is settled without a repeat when only the answer was lost", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(withFaults(client, [undefined, answerLost, undefined, answerLost]))
      yield* inTime(Effect.forEach([batch(1), batch(2), batch(3)], writer.write))
      const expected = [batch(1), batch(2), batch(3)].flatMap(textsOf)
      assert.deepStrictEqual(sorted(yield* texts(client)), sorted(expected))
    }),
  )

  it.scoped("is made again when it was never made", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const faults = [undefined, neverSent, undefined, neverSent, unavailable, answerLost]
      const writer = yield* open(withFaults(client, faults))
      yield* inTime(Effect.forEach([batch(1), batch(2), batch(3)], writer.write))
      const expected = [batch(1), batch(2), batch(3)].flatMap(textsOf)
      assert.deepStrictEqual(sorted(yield* texts(client)), sorted(expected))
    }),
  )

  it.scoped("is made again when its transaction grew too old and nobody took over", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const writer = yield* open(withFaults(client, [undefined, slow]))
      yield* inTime(Effect.forEach([batch(1), batch(2)], writer.write))
      assert.deepStrictEqual(sorted(yield* texts(client)), sorted([batch(1), batch(2)].flatMap(textsOf)))
    }),
  )

  it.scoped("ends as Fenced when somebody took over, who is not disturbed", () =>
    Effect.gen(function* () {
      for (const fault of [slow, neverSent, answerLost, unavailable]) {
        const client = yield* cluster
        const other = yield* Deferred.make<ActivitySink.Writer, SinkError.SinkError>()
        const takenOver: Fault = (producer) => (use) =>
          Effect.zipRight(Deferred.complete(other, Effect.scoped(open(client))), fault(producer)(use))
        const writer = yield* open(withFaults(client, [undefined, takenOver]))
        assert.match(yield* refusal(inTime(writer.write(batch(1)))), /^Fenced: /)
        const newer = yield* other
        assert.isTrue(Option.isNone(newer.checkpoint))
        const theirs = SinkSuite.batch(subscription, 1, SinkSuite.texts(3, 5000))
        yield* newer.write(theirs)
        assert.deepStrictEqual(sorted(yield* texts(client)), sorted(textsOf(theirs)))
      }
    }),
  )

  it.scoped("is given up after `unavailableFor`, and its writer is spent", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const faults = [undefined, ...Array.from({ length: 1_000 }, () => unavailable)]
      const writer = yield* open(withFaults(client, faults), { unavailableFor: "1 minute" })
      const [failed, at] = yield* inTime(Effect.zip(Effect.flip(writer.write(batch(1))), Clock.currentTimeMillis))
      assert.deepStrictEqual([failed.reason, failed.message.includes("cannot write batch 1 of")], ["Unavailable", true])
      assert.isAtLeast(at, 60_000)
      assert.isBelow(at, 67_000)
      assert.match(yield* refusal(writer.write(batch(1))), /^Fenced: this writer of .* is spent/)
      assert.deepStrictEqual(yield* texts(client), [])
    }),
  )

  it.scoped("can be interrupted while it waits for Kafka, and its writer is spent", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const faults = [undefined, ...Array.from({ length: 1_000 }, () => unavailable)]
      const writer = yield* open(withFaults(client, faults))
      const fiber = yield* Effect.fork(writer.write(batch(1)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.match(yield* refusal(writer.write(batch(1))), /^Fenced: this writer of .* is spent/)
    }),
  )

  it.scoped("is not interrupted between its first send and its commit", () =>
    Effect.gen(function* () {
      const client = yield* cluster
      const begun = yield* Effect.makeLatch()
      const paused: Fault = (producer) => (use) =>
        producer.transaction((transaction) =>
          Effect.zipLeft(use(transaction), Effect.zipRight(begun.open, Effect.sleep("10 seconds"))),
        )
      const writer = yield* open(withFaults(client, [undefined, paused]))
      const fiber = yield* Effect.fork(writer.write(batch(1)))
      yield* begun.await
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(interruption)
      assert.deepStrictEqual(sorted(yield* texts(client)), sorted(textsOf(batch(1))))
    }),
  )
})
