/**
 * Records as other people's producers and brokers write them: every codec, any header, any size, aborted and compacted.
 */
import { assert, it } from "@effect/vitest"
import { Compression, KafkaClient, KafkajsClient, type KafkaRecord } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithKafka, describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Chunk, Duration, Effect, Exit, Option, Schedule, Stream } from "effect"
import { quick, unique, until } from "./consumerKit.js"
import { read } from "./contract.js"

const MEBI = 2 ** 20

const names = Object.keys(Compression.codecs) as ReadonlyArray<Compression.Compression>

const bytes = (text: string) => new TextEncoder().encode(text)
const textOf = (value: Option.Option<Uint8Array>) =>
  Option.match(value, { onNone: () => "none", onSome: (some) => new TextDecoder().decode(some) })

const send = (
  topic: string,
  records: ReadonlyArray<KafkaRecord.ProducerRecord>,
  options?: KafkaClient.ProducerOptions,
) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const producer = yield* kafka.producer(options)
    const [first, ...others] = records
    if (first !== undefined) yield* producer.send({ topic, partition: 0 }, [first, ...others])
  }).pipe(Effect.scoped)

const create = (name: string, config: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const topic = unique(name)
    yield* kafka.createTopic({ name: topic, partitions: 1, config })
    return topic
  })

/** What the only member of a new group is given, and commits, until there are `count`. */
const consume = (topic: string, count: number, unreadable: "fail" | "deliver" = "fail") =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    return yield* kafka
      .consume({ topic, groupId: unique(topic), unreadable, ...quick, restart: Schedule.spaced("100 millis") })
      .pipe(
        Stream.mapEffect((batch) => {
          assert.isTrue(batch.claim(batch.length))
          return Effect.as(batch.commit(batch.length), batch.records)
        }),
        Stream.flattenChunks,
        Stream.take(count),
        Stream.runCollect,
        Effect.map(Chunk.toReadonlyArray),
      )
  })

describeWithKafka("records on a broker", (brokers) => {
  const live = <E>(name: string, test: Effect.Effect<void, E, KafkaClient.KafkaClient>, options = {}) =>
    it.live(name, () => Effect.provide(test, KafkajsClient.layer({ brokers, ...options })))

  for (const codec of names) {
    // the broker compresses anew what comes in another compression, with the code of Java's producer
    live(
      `are read when a Java program has compressed them with ${codec}`,
      Effect.gen(function* () {
        const topic = yield* create(codec, { "compression.type": codec === "none" ? "uncompressed" : codec })
        const records = Array.from({ length: 3000 }, (_, n) => ({
          key: `k${n % 7}`,
          value: `${n} ${Math.sin(n)} ${"Zürich ".repeat(n % 60)}`,
          headers: { n: `${n}` },
        }))
        yield* send(topic, records, { compression: codec === "gzip" ? "none" : "gzip" })
        const found = yield* consume(topic, records.length)
        assert.deepStrictEqual(
          found.map(({ value }) => textOf(value)),
          records.map(({ value }) => value),
        )
        assert.deepStrictEqual(yield* read(topic), found)
        assert.deepStrictEqual(found[2999]?.headers.n, [Buffer.from("2999")])
      }),
    )

    // a broker unpacks what it is sent, and refuses what it cannot
    live(
      `are written with ${codec}, or that is refused with the list of what can be written`,
      Effect.gen(function* () {
        const topic = yield* create(codec)
        const value = `${"something ".repeat(20_000)}${Array.from({ length: 5000 }, (_, n) => Math.cos(n)).join()}`
        const written = yield* Effect.either(send(topic, [{ key: "k", value }], { compression: codec }))
        if (written._tag === "Left") {
          assert.isFalse(Compression.codecs[codec].canWrite)
          assert.strictEqual(written.left.reason, "Misconfigured")
          assert.match(written.left.message, new RegExp(`"${codec}".*use one of none, gzip, snappy`))
          return
        }
        assert.deepStrictEqual(
          (yield* read(topic)).map((record) => textOf(record.value)),
          [value],
        )
      }),
    )

    live(
      `that take too much unpacked are one record that says so, with ${codec}, and those around them are read`,
      Effect.gen(function* () {
        const type = codec === "none" ? "uncompressed" : codec
        const topic = yield* create(codec, { "compression.type": type, "max.message.bytes": `${16 * MEBI}` })
        const bomb = { key: "large", value: new Uint8Array(8 * MEBI) }
        yield* send(topic, [{ key: null, value: "before" }])
        yield* send(topic, [bomb], { compression: codec === "gzip" ? "none" : "gzip" })
        yield* send(topic, [{ key: null, value: "after" }])

        const refused = yield* Effect.flip(consume(topic, 3))
        assert.strictEqual(refused.reason, "RecordUnreadable")
        const found = yield* consume(topic, 3, "deliver")
        assert.deepStrictEqual(
          found.map(({ offset, value }) => [offset, textOf(value)]),
          [
            [0n, "before"],
            [1n, "none"],
            [2n, "after"],
          ],
        )
        const { count, description, firstOffset, reason, size } = found[1]?.unreadable ?? {}
        assert.deepStrictEqual({ count, firstOffset, reason }, { count: 1, firstOffset: 1n, reason: "TooLarge" })
        assert.match(description ?? "", new RegExp(`offsets 1 to 1 .*compression ${codec}.* ${MEBI} bytes`))
        assert.isTrue(codec === "none" || (size ?? 0) < MEBI)

        const kafka = yield* KafkaClient.KafkaClient
        const failed = yield* Effect.flip(Stream.runDrain(kafka.read(topic)))
        assert.strictEqual(failed.reason, "RecordUnreadable")
        const all = yield* Stream.runCollect(kafka.read(topic, 0, { unreadable: "deliver" }))
        assert.deepStrictEqual(Chunk.toReadonlyArray(all), found)
      }),
      { maxDecompressedBytes: MEBI },
    )
  }

  live(
    "that unpack to a hundred times of what a batch may take are passed over in the memory of a few batches",
    Effect.gen(function* () {
      const topic = yield* create("bombs")
      const kafka = yield* KafkaClient.KafkaClient
      const one = { key: null, value: new Uint8Array(16 * MEBI) }
      const count = 50
      yield* Effect.scoped(
        Effect.gen(function* () {
          const producer = yield* kafka.producer({ compression: "gzip" })
          for (let n = 0; n < count; n++) yield* producer.send({ topic, partition: 0 }, [one])
        }),
      )
      const before = process.memoryUsage().rss
      let most = 0
      const watch = setInterval(() => {
        most = Math.max(most, process.memoryUsage().rss - before)
      }, 2)
      const found = yield* Effect.ensuring(
        consume(topic, count, "deliver"),
        Effect.sync(() => clearInterval(watch)),
      )
      assert.isTrue(found.every(({ unreadable }) => unreadable?.reason === "TooLarge"))
      // unpacked they have 800 MiB
      assert.isBelow(most, (count * one.value.length) / 4)
    }),
    { maxDecompressedBytes: 8 * MEBI },
  )

  live(
    "keep headers of any name, repeated, empty and without a value, and may be sent on with them",
    Effect.gen(function* () {
      const topic = yield* create("headers")
      const headers: Record<string, ReadonlyArray<Uint8Array | null>> = Object.create(null)
      const odd = ["constructor", "__proto__", "toString", "hasOwnProperty", "", "Zürich", "x".repeat(300)]
      for (const name of odd) headers[name] = [bytes("1"), null, new Uint8Array(), bytes("2")]
      yield* send(topic, [{ key: null, value: "first", headers }])
      const [first] = yield* consume(topic, 1)
      assert(first !== undefined)
      yield* send(topic, [{ key: null, value: "second", headers: first.headers }])
      for (const { headers: found } of yield* read(topic)) {
        assert.deepStrictEqual(Object.keys(found), odd)
        assert.isNull(Object.getPrototypeOf(found))
        for (const name of odd) {
          assert.deepStrictEqual(
            found[name]?.map((value) => value && [...value]),
            [[49], null, [], [50]],
          )
        }
      }
    }),
  )

  live(
    "with 20,000 headers take no longer than 20,000 records with one each",
    Effect.gen(function* () {
      const count = 20_000
      const many = yield* create("many-headers")
      const list = Object.fromEntries(Array.from({ length: count }, (_, n) => [`h${n}`, "v"]))
      yield* send(many, [{ key: null, value: "x", headers: list }])
      const few = yield* create("few-headers")
      yield* send(
        few,
        Array.from({ length: count }, (_, n) => ({ key: null, value: "x", headers: { [`h${n}`]: "v" } })),
      )
      const timed = (topic: string) => Effect.map(Effect.timed(read(topic)), ([time]) => Duration.toMillis(time))
      const bare = yield* timed(few)
      const heavy = yield* timed(many)
      assert.isBelow(heavy, 2 * bare)
      const [record] = yield* read(many)
      assert.strictEqual(Object.keys(record?.headers ?? {}).length, count)
    }),
  )

  live(
    "of an aborted transaction stay hidden, also behind a key of four zero bytes, which is an int32 0",
    Effect.gen(function* () {
      const topic = yield* create("aborted")
      const kafka = yield* KafkaClient.KafkaClient
      const producer = yield* kafka.transactionalProducer({ transactionalId: topic })
      const put = (value: string, key: Uint8Array | null, end: Exit.Exit<void, string>) =>
        producer.transaction((transaction) =>
          Effect.zipRight(
            Effect.forEach([1, 2, 3], (n) =>
              transaction.send({ topic, partition: 0 }, [{ key, value: `${value}${n}` }]),
            ),
            end,
          ),
        )
      yield* put("a", null, Exit.void)
      yield* Effect.flip(put("b", new Uint8Array(4), Exit.fail("aborted")))
      yield* put("c", new Uint8Array(4), Exit.void)
      const found = yield* consume(topic, 6)
      const expected = ["a1", "a2", "a3", "c1", "c2", "c3"]
      assert.deepStrictEqual(
        found.map(({ value }) => textOf(value)),
        expected,
      )
      assert.deepStrictEqual(
        (yield* read(topic)).map(({ value }) => textOf(value)),
        expected,
      )
    }).pipe(Effect.scoped),
  )
})

describeWithOwnKafka("records of a compacted topic", () => {
  it.scopedLive("are read past a batch that the cleaner has emptied", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Broker.make({ settings: { "log.cleaner.backoff.ms": 200 } })
      yield* Effect.gen(function* () {
        const config = { "cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01" }
        const topic = yield* create("compacted", config)
        const kafka = yield* KafkaClient.KafkaClient
        const producer = yield* kafka.transactionalProducer({ transactionalId: topic })
        const put = (value: string, end: Exit.Exit<void, string>) =>
          Effect.exit(
            producer.transaction((transaction) =>
              Effect.zipRight(transaction.send({ topic, partition: 0 }, [{ key: "k", value }]), end),
            ),
          )
        for (const value of ["a", "b", "c"]) yield* put(value, Exit.void)
        yield* put("aborted", Exit.fail("aborted"))
        yield* Effect.sleep("600 millis") // the next record begins a new segment, and the one before may be cleaned
        yield* put("d", Exit.void)
        const values = Effect.map(read(topic), (records) => records.map(({ value }) => textOf(value)))
        // "a" and "b" are gone when the cleaner has been there
        yield* Effect.repeat(values, { until: (found) => found.length === 2, schedule: Schedule.spaced("200 millis") })
        assert.deepStrictEqual(yield* values, ["c", "d"])
        let seen: ReadonlyArray<string> = []
        yield* consume(topic, 2).pipe(
          Effect.tap((records) => {
            seen = records.map(({ value }) => textOf(value))
          }),
          Effect.forkScoped,
        )
        yield* until(() => seen.length === 2)
        assert.deepStrictEqual(seen, ["c", "d"])
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers })), Effect.scoped)
    }),
  )
})
