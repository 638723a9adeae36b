/** What every `KafkaClient` does, in memory and over a broker. */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  DateTime,
  Deferred,
  type Duration,
  Effect,
  Exit,
  Fiber,
  type Layer,
  Option,
  Schedule,
  type Scope,
  Stream,
} from "effect"
import { KafkaClient, KafkaError, type KafkaRecord, Partitioner, type Producer } from "../src/index.js"

let count = 0
/** A name of this run: brokers are shared. */
export const fresh = (name: string) => `kafka-${name}-${process.pid}-${Date.now().toString(36)}-${count++}`

export const record = (value: string): KafkaRecord.ProducerRecord => ({ key: null, value })

export const send = (
  producer: Producer.Producer,
  topic: string,
  values: readonly [string, ...ReadonlyArray<string>],
  partition = 0,
) => producer.send({ topic, partition }, [record(values[0]), ...values.slice(1).map(record)])

const decoder = new TextDecoder()
export const text = ({ value }: KafkaRecord.ConsumerRecord) =>
  Option.getOrElse(
    Option.map(value, (bytes) => decoder.decode(bytes)),
    () => "tombstone",
  )

/** Partition after partition. */
export const read = (topic: string, partition?: number) =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const records = Chunk.toReadonlyArray(yield* Stream.runCollect(client.read(topic, partition)))
    return records.toSorted((one, other) => one.partition - other.partition) // stable
  })

/** What is readable, when that is `expected`: a commit is answered a moment before readers see it. */
export const expectRead = (topic: string, expected: ReadonlyArray<string>) =>
  Effect.map(read(topic), (records) => records.map(text)).pipe(
    Effect.repeat(
      Schedule.spaced("50 millis").pipe(
        Schedule.intersect(Schedule.recurs(40)),
        Schedule.zipRight(Schedule.identity<ReadonlyArray<string>>()),
        Schedule.untilOutput((found) => found.length >= expected.length),
      ),
    ),
    Effect.map((found) => assert.deepStrictEqual(found, expected)),
  )

export const newTopic = (partitions = 1, config: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const name = fresh("topic")
    assert.isTrue(yield* client.createTopic({ name, partitions, config }))
    return name
  })

export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, KafkaError.KafkaError)
    return error.reason
  })

export interface Settings {
  readonly layer: Layer.Layer<KafkaClient.KafkaClient, KafkaError.KafkaError>
  /** A short time of a transaction, and a time after which one that lasts that long is certainly over. */
  readonly transactionTimeout: Duration.DurationInput
  readonly over: Duration.DurationInput
}

export const contract = ({ layer, over, transactionTimeout }: Settings) => {
  const test = <E>(name: string, effect: Effect.Effect<void, E, KafkaClient.KafkaClient | Scope.Scope>) =>
    it.scopedLive(name, () => Effect.provide(effect, layer))

  describe("topics", () => {
    test(
      "are made once, and known with their partitions",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const name = fresh("topic")
        assert.deepStrictEqual(yield* client.topic(name), Option.none())
        assert.isTrue(yield* client.createTopic({ name, partitions: 3, config: { "max.message.bytes": "2000" } }))
        assert.isFalse(yield* client.createTopic({ name, partitions: 3 }))
        assert.deepStrictEqual(yield* client.topic(name), Option.some({ name, partitions: 3, replicas: 1 }))
        assert.strictEqual((yield* client.topicConfig(name))["max.message.bytes"], "2000")
      }),
    )

    test(
      "that are missing are named",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const name = fresh("missing")
        const producer = yield* client.producer()
        const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const present = yield* newTopic()
        const attempts: ReadonlyArray<Effect.Effect<unknown, KafkaError.KafkaError, KafkaClient.KafkaClient>> = [
          send(producer, name, ["a"]),
          send(producer, present, ["a"], 1),
          transactional.transaction((transaction) => send(transaction, name, ["a"])),
          read(name),
          read(present, 1),
          client.topicConfig(name),
          client.deleteRecords({ topic: name, partition: 0 }, 0n),
        ]
        const reasons = yield* Effect.forEach(attempts, reasonOf, { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(reasons), new Set(["UnknownTopic"]))
      }),
    )

    test(
      "end where readers of what is committed end",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const producer = yield* client.producer()
        yield* send(producer, topic, ["a", "b"], 1)
        const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* transactional.transaction((transaction) =>
          Effect.gen(function* () {
            yield* send(transaction, topic, ["c"], 1)
            assert.deepStrictEqual([...(yield* client.endOffsets(topic))].toSorted(), [
              [0, 0n],
              [1, 2n],
            ])
          }),
        )
        // the record, and the mark of its transaction
        yield* Effect.repeat(client.endOffsets(topic), { until: (ends) => ends.get(1) === 4n })
        assert.deepStrictEqual([...(yield* client.committedOffsets(fresh("group"), topic))], [])
        const missing = fresh("missing")
        assert.deepStrictEqual(
          yield* Effect.forEach([client.endOffsets(missing), client.committedOffsets("g", missing)], reasonOf),
          ["UnknownTopic", "UnknownTopic"],
        )
      }),
    )

    test(
      "lose the records before an offset when told to",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        yield* send(producer, topic, ["a", "b", "c"])
        yield* client.deleteRecords({ topic, partition: 0 }, 2n)
        const [left, ...others] = yield* read(topic)
        assert.deepStrictEqual([left?.offset, others], [2n, []])
        yield* client.deleteRecords({ topic, partition: 0 }, 3n)
        assert.deepStrictEqual(yield* read(topic), [])
      }),
    )
  })

  describe("a producer", () => {
    test(
      "writes all of a record, and says where the last one is",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const producer = yield* client.producer()
        const bytes = Uint8Array.of(0, 255, 10)
        const timestamp = DateTime.unsafeMake("2026-01-02T03:04:05.678Z")
        assert.strictEqual(yield* send(producer, topic, ["a", "b"], 1), 1n)
        const offset = yield* producer.send({ topic, partition: 1 }, [
          { key: "Zürich", value: bytes, headers: { one: "1", more: ["2", bytes] }, timestamp },
          { key: bytes, value: null },
        ])
        assert.strictEqual(offset, 3n)
        const [, , first, second] = yield* read(topic, 1)
        const utf8 = (value: string) => [...new TextEncoder().encode(value)]
        const list = (value: Option.Option<Uint8Array> | undefined) =>
          Option.map(value ?? Option.none(), (some) => [...some])
        assert.deepStrictEqual([first?.topic, first?.partition, first?.offset], [topic, 1, 2n])
        assert.deepStrictEqual(list(first?.key), Option.some(utf8("Zürich")))
        assert.deepStrictEqual(list(first?.value), Option.some([...bytes]))
        assert.deepStrictEqual(first?.timestamp, timestamp)
        assert.deepStrictEqual(
          (first?.headers.one ?? []).map((value) => value && [...value]),
          [utf8("1")],
        )
        assert.deepStrictEqual(
          (first?.headers.more ?? []).map((value) => value && [...value]),
          [utf8("2"), [...bytes]],
        )
        assert.deepStrictEqual(list(second?.key), Option.some([...bytes]))
        assert.deepStrictEqual(second?.value, Option.none())
        assert.isBelow(Math.abs(Date.now() - Number(second?.timestamp.epochMillis)), 60_000)
        assert.deepStrictEqual(yield* read(topic, 0), [])
      }),
    )

    test(
      "keeps the order in which sends to a partition were started",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        const values = Array.from({ length: 50 }, (_, index) => `${index}`)
        const offsets = yield* Effect.forEach(values, (value) => send(producer, topic, [value]), {
          concurrency: "unbounded",
        })
        assert.deepStrictEqual(offsets, values.map(BigInt))
        assert.deepStrictEqual((yield* read(topic)).map(text), values)
      }),
    )

    test(
      "sends by key to the partitions of Java's client, in the order of each key, and in a transaction",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(6)
        const producer = yield* client.producer()
        const keyed = (key: string | null, value: string): KafkaRecord.ProducerRecord => ({ key, value })
        yield* producer.sendByKey(topic, [keyed("4711", "a"), keyed("foobar", "b"), keyed("4711", "c")])
        // as Java's DefaultPartitioner answers
        assert.deepStrictEqual(
          (yield* read(topic, Partitioner.partition("4711", 6))).map(text).filter((value) => value !== "b"),
          ["a", "c"],
        )
        assert.strictEqual(Partitioner.partition("4711", 6), 4)
        yield* producer.sendByKey(topic, [keyed(null, "d"), keyed(null, "e")])
        const keyless = (yield* read(topic)).filter((each) => ["d", "e"].includes(text(each)))
        assert.strictEqual(new Set(keyless.map(({ partition }) => partition)).size, 1)
        const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* transactional.transaction((transaction) => transaction.sendByKey(topic, [keyed("4711", "f")]))
        yield* Effect.repeat(read(topic, 4), { until: (records) => records.map(text).at(-1) === "f" })
        assert.strictEqual(yield* reasonOf(producer.sendByKey(fresh("missing"), [keyed("k", "v")])), "UnknownTopic")
      }),
    )

    test(
      "sends by key what it can when one record is too large, and names its place",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2, { "max.message.bytes": "1000" })
        const producer = yield* client.producer()
        const of = (partition: number) =>
          ["a", "b", "c", "d", "e", "f"].find((key) => Partitioner.partition(key, 2) === partition) ?? ""
        const error = yield* Effect.flip(
          producer.sendByKey(topic, [
            { key: of(0), value: "kept" },
            { key: of(1), value: "kept" },
            { key: of(1), value: "x".repeat(2000) },
          ]),
        )
        assert.deepStrictEqual([error.reason, error.index], ["RecordTooLarge", 2])
        assert.deepStrictEqual((yield* read(topic, 0)).map(text), ["kept"])
      }),
    )

    test(
      "refuses a record that is too large, names it, and goes on",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(1, { "max.message.bytes": "1000" })
        const producer = yield* client.producer()
        const error = yield* Effect.flip(send(producer, topic, ["a", "b", "x".repeat(2000), "c"]))
        assert.deepStrictEqual([error.reason, error.index], ["RecordTooLarge", 2])
        assert.notInclude(error.message, "xxx")
        yield* send(producer, topic, ["d"])
        assert.strictEqual(text((yield* read(topic)).at(-1) ?? assert.fail("nothing was written")), "d")
      }),
    )
  })

  describe("a transaction", () => {
    test(
      "shows all of it when it is committed, over partitions and topics, and nothing before",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const [one, two] = [yield* newTopic(2), yield* newTopic()]
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* producer.transaction((transaction) =>
          Effect.gen(function* () {
            yield* Effect.all(
              [send(transaction, one, ["a"], 0), send(transaction, one, ["b"], 1), send(transaction, two, ["c"])],
              { concurrency: "unbounded" },
            )
            assert.deepStrictEqual([yield* read(one), yield* read(two)], [[], []])
          }),
        )
        yield* expectRead(one, ["a", "b"])
        yield* expectRead(two, ["c"])
      }),
    )

    test(
      "that fails or is interrupted is aborted, and the next one is whole",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const failure = yield* Effect.flip(
          producer.transaction((transaction) => Effect.zipRight(send(transaction, topic, ["a"]), Effect.fail("no"))),
        )
        assert.strictEqual(failure, "no")
        const sent = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          producer.transaction((transaction) =>
            Effect.zipRight(
              Effect.zipRight(send(transaction, topic, ["b"]), Deferred.succeed(sent, undefined)),
              Effect.never,
            ),
          ),
        )
        yield* Deferred.await(sent)
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
        yield* producer.transaction((transaction) => send(transaction, topic, ["c"]))
        yield* expectRead(topic, ["c"])
      }),
    )

    test(
      "with a send that failed cannot be committed, whatever became of the failure",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(1, { "max.message.bytes": "1000" })
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const reason = yield* reasonOf(
          producer.transaction((transaction) =>
            Effect.zipRight(
              send(transaction, topic, ["a"]),
              Effect.ignore(send(transaction, topic, ["x".repeat(2000)])),
            ),
          ),
        )
        assert.strictEqual(reason, "RecordTooLarge")
        yield* producer.transaction((transaction) => send(transaction, topic, ["b"]))
        yield* expectRead(topic, ["b"])
      }),
    )

    test(
      "waits for sends that nobody waited for",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* producer.transaction((transaction) =>
          Effect.zipRight(Effect.forkDaemon(send(transaction, topic, ["a"])), Effect.yieldNow()),
        )
        yield* expectRead(topic, ["a"])
      }),
    )

    test(
      "has the producer to itself",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* Effect.all(
          ["a", "b", "c"].map((value) => producer.transaction((transaction) => send(transaction, topic, [value]))),
          { concurrency: "unbounded" },
        )
        yield* expectRead(topic, ["a", "b", "c"])
      }),
    )

    test(
      "of an older producer is fenced, and hides nothing of the newer one's",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const transactionalId = fresh("id")
        const older = yield* client.transactionalProducer({ transactionalId })
        const takeOver = Effect.gen(function* () {
          const newer = yield* client.transactionalProducer({ transactionalId })
          yield* newer.transaction((transaction) => send(transaction, topic, ["new"]))
        })
        const reason = yield* reasonOf(
          older.transaction((transaction) =>
            Effect.gen(function* () {
              yield* send(transaction, topic, ["old"])
              yield* Effect.scoped(takeOver)
              yield* send(transaction, topic, ["older"])
            }),
          ),
        )
        assert.strictEqual(reason, "Fenced")
        assert.strictEqual(yield* reasonOf(older.transaction(() => Effect.void)), "Fenced")
        yield* expectRead(topic, ["new"])
      }),
    )

    test(
      "that was open for longer than its time is expired, one without a send is not",
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const make = Effect.suspend(() =>
          client.transactionalProducer({ transactionalId: fresh("id"), transactionTimeout }),
        )
        const [idle, slow] = yield* Effect.all([make, make])
        const [, reason] = yield* Effect.all(
          [
            idle.transaction((transaction) => Effect.zipRight(Effect.sleep(over), send(transaction, topic, ["a"]))),
            reasonOf(
              slow.transaction((transaction) =>
                Effect.zipRight(send(transaction, topic, ["b"], 1), Effect.sleep(over)),
              ),
            ),
          ],
          { concurrency: "unbounded" },
        )
        assert.strictEqual(reason, "TransactionExpired")
        assert.strictEqual(yield* reasonOf(slow.transaction(() => Effect.void)), "ProducerSpent")
        yield* expectRead(topic, ["a"])
      }),
    )
  })
}
