import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkaError, type KafkaRecord, MemoryClient } from "@effect-marketo/kafka"
import { DeadLetter, Redrive } from "@effect-marketo/source-kafka"
import { Chunk, DateTime, Effect, Option, Stream, TestClock } from "effect"

const [topic, dead, exhaustedTopic] = ["in", "dead", "exhausted"]
const redrive = { topic, deadLetterTopic: dead, exhaustedTopic }
const text = (bytes: Uint8Array | null | undefined) => new TextDecoder().decode(bytes ?? undefined)

interface Letter {
  readonly code?: string
  readonly type?: string
  readonly attempts?: number
  readonly headers?: KafkaRecord.ProducerRecord["headers"]
}

const letter = (n: number, { attempts = 1, code = "1004", headers = {}, type = "100001" }: Letter = {}) => ({
  key: `k${n}`,
  value: `v${n}`,
  headers: {
    "x-own": ["a", "b"],
    [DeadLetter.headers.topic]: topic,
    [DeadLetter.headers.partition]: String(n % 2),
    [DeadLetter.headers.offset]: String(n),
    [DeadLetter.headers.code]: code,
    [DeadLetter.headers.activityTypeId]: type,
    [DeadLetter.headers.attempts]: String(attempts),
    [DeadLetter.headers.source]: "group",
    ...headers,
  },
})

const setUp = (letters: ReadonlyArray<KafkaRecord.ProducerRecord>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      yield* client.createTopic({ name: topic, partitions: 2 })
      yield* client.createTopic({ name: dead, partitions: 3 })
      yield* client.createTopic({ name: exhaustedTopic, partitions: 1 })
      const producer = yield* client.producer()
      for (const [n, one] of letters.entries()) yield* producer.send({ topic: dead, partition: n % 3 }, [one])
    }),
  )

const read = (name: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (client) =>
    Effect.map(Stream.runCollect(client.read(name)), Chunk.toReadonlyArray),
  )

const values = (records: ReadonlyArray<KafkaRecord.ConsumerRecord>) =>
  records.map(({ value }) => text(Option.getOrUndefined(value))).sort()

const none = { letters: 0, redriven: 0, exhausted: 0, doneBefore: 0, notSelected: 0, inDoubt: 0, cut: 0, unroutable: 0 }

const of = (codes: string, type = 100_001) => ({
  topic: Option.some(topic),
  codes: codes.split(","),
  activityTypeId: Option.some(type),
})

const range = (count: number) => Array.from({ length: count }, (_, n) => n)

describe("Redrive", () => {
  it.effect("puts each letter back once: where it came from, with its own headers, and one more attempt", () =>
    Effect.gen(function* () {
      yield* setUp(range(700).map((n) => letter(n)))
      const summary = yield* Redrive.run(redrive)
      const counts = { ...none, letters: 700, redriven: 700 }
      assert.deepStrictEqual(summary, { ...counts, groups: [{ ...of("1004"), ...counts }] })
      const records = yield* read(topic)
      assert.deepStrictEqual(
        values(records),
        range(700)
          .map((n) => `v${n}`)
          .sort(),
      )
      for (const { headers, key, partition, value } of records) {
        const n = Number(text(Option.getOrUndefined(value)).slice(1))
        assert.strictEqual(partition, n % 2)
        assert.strictEqual(text(Option.getOrUndefined(key)), `k${n}`)
        assert.deepStrictEqual(Object.keys(headers).sort(), ["marketo.redrive.attempts", "x-own"])
        assert.deepStrictEqual(headers["x-own"]?.map(text), ["a", "b"])
        assert.strictEqual(text(headers["marketo.redrive.attempts"]?.[0]), "2")
      }
      const again = yield* Redrive.run(redrive)
      assert.deepStrictEqual([again.letters, again.redriven, again.doneBefore], [700, 0, 700])
      assert.strictEqual((yield* read(topic)).length, 700)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("a dry run says the same and writes nothing", () =>
    Effect.gen(function* () {
      yield* setUp([letter(0), letter(1, { attempts: 5 })])
      const summary = yield* Redrive.run({ ...redrive, dryRun: true })
      assert.deepStrictEqual([summary.redriven, summary.exhausted], [1, 1])
      assert.deepStrictEqual([yield* read(topic), yield* read(exhaustedTopic)], [[], []])
      assert.strictEqual((yield* read(dead)).length, 2)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("says what becomes of the letters of each code and type, and a dry run says the same", () =>
    Effect.gen(function* () {
      const isUnknown = { [DeadLetter.headers.execution]: "Unknown" }
      const { [DeadLetter.headers.activityTypeId]: _, ...withoutType } = letter(0, { code: "undecodable" }).headers
      yield* setUp([
        ...range(3).map((n) => letter(n)),
        letter(3, { attempts: 5 }),
        letter(4, { headers: isUnknown }),
        letter(5, { code: "1003,1004" }),
        letter(6, { type: "100002" }),
        letter(7, { code: "1003" }),
        letter(8, { code: "1003" }),
        { ...letter(9), headers: withoutType },
      ])
      const groups = [
        { ...none, ...of("1004"), letters: 5, redriven: 3, exhausted: 1, inDoubt: 1 },
        { ...none, ...of("1003"), letters: 2, notSelected: 2 },
        { ...none, ...of("1003,1004"), letters: 1, redriven: 1 },
        { ...none, ...of("1004", 100_002), letters: 1, redriven: 1 },
        { ...none, ...of("undecodable"), activityTypeId: Option.none(), letters: 1, notSelected: 1 },
      ]
      const options = { ...redrive, select: { codes: ["1004"] } }
      const look = yield* Redrive.run({ ...options, dryRun: true })
      assert.deepStrictEqual(look.groups, groups)
      assert.deepStrictEqual(yield* Redrive.run(options), look)
      const again = yield* Redrive.run(options)
      assert.deepStrictEqual(again.groups[0], { ...none, ...of("1004"), letters: 5, doneBefore: 4, inDoubt: 1 })
      for (const name of Object.keys(none) as ReadonlyArray<keyof typeof none>) {
        assert.strictEqual(
          again.groups.reduce((sum, group) => sum + group[name], 0),
          again[name],
        )
      }
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("past the cap they go to the topic of the exhausted as they are, once", () =>
    Effect.gen(function* () {
      yield* setUp([letter(0, { attempts: 2 }), letter(1, { attempts: 3 }), letter(2, { attempts: 4 })])
      yield* Redrive.run({ ...redrive, maxAttempts: 3 })
      yield* Redrive.run({ ...redrive, maxAttempts: 3 })
      assert.deepStrictEqual(values(yield* read(topic)), ["v0"])
      const exhausted = yield* read(exhaustedTopic)
      assert.deepStrictEqual(values(exhausted), ["v1", "v2"])
      assert.isTrue(exhausted.every((one) => Option.isSome(DeadLetter.fromRecord(one))))
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("selects by code, type and time; what is in doubt only when asked, what is cut never", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000)
      yield* setUp([
        letter(0, { code: "1004" }),
        letter(1, { code: "1003,1004" }),
        letter(2, { code: "1003" }),
        letter(3, { type: "100002" }),
        letter(4, { headers: { [DeadLetter.headers.execution]: "Unknown" } }),
        letter(5, { headers: { [DeadLetter.headers.valueBytes]: "2000000" } }),
        { key: null, value: "no dead letter" },
      ])
      const select = (selection: Redrive.Selection) =>
        Effect.map(Redrive.run({ ...redrive, select: selection, dryRun: true }), ({ redriven }) => redriven)
      const all = yield* Redrive.run({ ...redrive, dryRun: true })
      assert.deepStrictEqual([all.letters, all.redriven, all.inDoubt, all.cut], [6, 4, 1, 1])
      assert.strictEqual(yield* select({ codes: ["1003"] }), 2)
      assert.strictEqual(yield* select({ activityTypeIds: [100_002] }), 1)
      assert.strictEqual(yield* select({ inDoubt: true }), 5)
      assert.strictEqual(yield* select({ from: DateTime.unsafeMake(1_000) }), 4)
      assert.strictEqual(yield* select({ from: DateTime.unsafeMake(1_001) }), 0)
      assert.strictEqual(yield* select({ until: DateTime.unsafeMake(1_000) }), 0)
      assert.strictEqual(yield* select({ codes: ["1004"], activityTypeIds: [100_001] }), 2)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("stopped between any two of its writes it has done each letter wholly or not at all", () =>
    Effect.gen(function* () {
      yield* setUp(range(900).map((n) => letter(n, n % 9 === 0 ? { attempts: 5 } : {})))
      const client = yield* KafkaClient.KafkaClient
      for (let runs = 0; runs < 40; runs++) {
        let sends = 0
        const failing: KafkaClient.Service = {
          ...client,
          transactionalProducer: (options) =>
            Effect.map(client.transactionalProducer(options), (producer) => ({
              ...producer,
              transaction: (use) =>
                producer.transaction((tx) =>
                  use({
                    ...tx,
                    send: (to, records) =>
                      ++sends > runs
                        ? new KafkaError.KafkaError({ reason: "Unavailable", description: "gone" })
                        : tx.send(to, records),
                  }),
                ),
            })),
        }
        yield* Effect.ignore(Effect.provideService(Redrive.run(redrive), KafkaClient.KafkaClient, failing))
      }
      assert.strictEqual((yield* read(topic)).length, 800)
      assert.strictEqual((yield* read(exhaustedTopic)).length, 100)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("a transaction has 300 letters at most, and some megabytes", () =>
    Effect.gen(function* () {
      const x = "x".repeat(1_000_000)
      const large = range(12).map((n) => (n < 6 ? { ...letter(n), value: x } : letter(n, { headers: { x } })))
      yield* setUp([...large, ...range(700).map((n) => letter(n + 12))])
      const client = yield* KafkaClient.KafkaClient
      const sizes: Array<{ letters: number; bytes: number }> = []
      const watched: KafkaClient.Service = {
        ...client,
        transactionalProducer: (options) =>
          Effect.map(client.transactionalProducer(options), (producer) => ({
            ...producer,
            transaction: (use) => {
              const size = { letters: 0, bytes: 0 }
              sizes.push(size)
              return producer.transaction((tx) =>
                use({
                  ...tx,
                  send: (to, records) => {
                    if (to.topic === topic) size.letters += records.length
                    for (const { headers = {}, value } of records) {
                      size.bytes += (value?.length ?? 0) + (headers.x === undefined ? 0 : x.length)
                    }
                    return tx.send(to, records)
                  },
                }),
              )
            },
          })),
      }
      const summary = yield* Effect.provideService(Redrive.run(redrive), KafkaClient.KafkaClient, watched)
      assert.strictEqual(summary.redriven, 712)
      assert.strictEqual(
        sizes.reduce((sum, { letters }) => sum + letters, 0),
        712,
      )
      assert.isTrue(sizes.every(({ bytes, letters }) => letters <= 300 && bytes < 5_100_000))
      assert.isBelow(sizes.length, 8)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  for (const maxAttempts of [0, 1.5, Number.NaN]) {
    it.effect(`maxAttempts: ${maxAttempts} is refused`, () =>
      Effect.gen(function* () {
        yield* setUp([letter(0)])
        const error = yield* Effect.flip(Redrive.run({ ...redrive, maxAttempts }))
        assert.include(error.message, `maxAttempts must be a whole number of at least 1, not ${maxAttempts}`)
        assert.strictEqual((yield* read(topic)).length, 0)
      }).pipe(Effect.provide(MemoryClient.layer)),
    )
  }

  const routes: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, string | undefined]> = [
    ["another topic", { [DeadLetter.headers.topic]: "foreign" }, "foreign"],
    ["a topic that is gone", { [DeadLetter.headers.topic]: "gone" }, "gone"],
    ["a partition that its topic has not", { [DeadLetter.headers.partition]: "2" }, topic],
    ["an illegal name", { [DeadLetter.headers.topic]: "../\u001b[2J" }, undefined],
    ["the name of a prototype", { [DeadLetter.headers.topic]: "__proto__" }, "__proto__"],
  ]
  for (const [what, headers, shown] of routes) {
    it.effect(`a letter that names ${what} is counted, shown and left, and the rest goes on`, () =>
      Effect.gen(function* () {
        yield* setUp([letter(0), letter(1, { headers }), letter(2)])
        const client = yield* KafkaClient.KafkaClient
        yield* client.createTopic({ name: "foreign", partitions: 2 })
        for (const otherTopics of [undefined, ["gone"]]) {
          const summary = yield* Redrive.run({ ...redrive, otherTopics })
          assert.deepStrictEqual(
            [summary.letters, summary.unroutable, summary.redriven + summary.doneBefore],
            [3, 1, 2],
          )
          const [group] = summary.groups.filter(({ unroutable }) => unroutable > 0)
          assert.deepStrictEqual(group?.topic, Option.fromNullable(shown))
        }
        assert.deepStrictEqual([values(yield* read(topic)), yield* read("foreign")], [["v0", "v2"], []])
      }).pipe(Effect.provide(MemoryClient.layer)),
    )
  }

  it.effect("a letter goes back to another topic that is allowed, and topics select", () =>
    Effect.gen(function* () {
      yield* setUp([letter(0), letter(1, { headers: { [DeadLetter.headers.topic]: "second" } })])
      const client = yield* KafkaClient.KafkaClient
      yield* client.createTopic({ name: "second", partitions: 2 })
      const select = { topics: ["second"] }
      const summary = yield* Redrive.run({ ...redrive, otherTopics: ["second"], select })
      assert.deepStrictEqual([summary.redriven, summary.notSelected], [1, 1])
      assert.deepStrictEqual([values(yield* read("second")), yield* read(topic)], [["v1"], []])
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("a letter that its topic refuses is counted and left, and the rest goes on", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      yield* client.createTopic({ name: topic, partitions: 2, config: { "max.message.bytes": "2000" } })
      yield* setUp(range(20).map((n) => ({ ...letter(n), ...(n === 7 ? { value: "x".repeat(5_000) } : {}) })))
      const summary = yield* Redrive.run(redrive)
      assert.deepStrictEqual([summary.redriven, summary.unroutable], [19, 1])
      const again = yield* Redrive.run(redrive)
      assert.deepStrictEqual([again.doneBefore, again.unroutable], [19, 1])
      assert.strictEqual((yield* read(topic)).length, 19)
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("records that no source wrote are no letters, and only receipts are receipts", () =>
    Effect.gen(function* () {
      const { [DeadLetter.headers.source]: _, ...ofConnect } = letter(3).headers
      const receipt = { "marketo.redriven": "1" }
      yield* setUp([
        letter(0),
        letter(1),
        letter(2),
        { ...letter(3), headers: ofConnect },
        { key: null, value: "0,1,2", headers: { ...ofConnect, ...receipt } },
        { key: "k", value: "0,1,2", headers: receipt },
      ])
      const summary = yield* Redrive.run(redrive)
      assert.deepStrictEqual([summary.letters, summary.redriven], [3, 3])
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  for (const [name, config, words] of [
    [dead, { "cleanup.policy": "compact" }, "the topic dead cannot take dead letters: it has cleanup.policy=compact"],
    [
      exhaustedTopic,
      { "cleanup.policy": "compact" },
      "the topic exhausted cannot take exhausted dead letters: it has cleanup.policy=compact",
    ],
    [topic, { "min.insync.replicas": "2" }, "the topic in cannot take redriven records: it has min.insync.replicas=2"],
  ] as const) {
    it.effect(`before anything is written, a setting of the topic ${name} that makes writes impossible is named`, () =>
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        yield* client.createTopic({ name, partitions: 2, config })
        yield* setUp([letter(0)])
        const error = yield* Effect.flip(Redrive.run(redrive))
        assert.include(error.message, words)
        assert.strictEqual((yield* read(topic)).length, 0)
      }).pipe(Effect.provide(MemoryClient.layer)),
    )
  }

  it.effect("a missing topic is named", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Redrive.run({ ...redrive, deadLetterTopic: "nowhere" }))
      assert.include(error.message, "there is no topic nowhere")
    }).pipe(Effect.provide(MemoryClient.layer)),
  )
})
