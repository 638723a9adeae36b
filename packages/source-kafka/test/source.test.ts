import { assert, describe, it } from "@effect/vitest"
import { CustomActivities, type CustomActivity, MarketoError } from "@effect-marketo/core"
import { KafkaClient, KafkaError, type KafkaRecord, type PartitionBatch, Partitioner } from "@effect-marketo/kafka"
import { Simulator } from "@effect-marketo/simulator"
import { CustomActivitySource, DeadLetter, type Progress, Redrive } from "@effect-marketo/source-kafka"
import {
  Chunk,
  Clock,
  DateTime,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Queue,
  Schema,
  Stream,
  TestClock,
} from "effect"
import * as Feed from "./support/feed.js"
import {
  addCalls,
  booking,
  fill,
  identity,
  marketo,
  now,
  quiet,
  record,
  repeated,
  stored,
  TYPE,
  take,
  topics,
} from "./support/kit.js"

type Fault = Parameters<Simulator.Service["fault"]>[0]
const match = { endpoint: "addCustomActivities" } as const

const layer = (options: Simulator.Options = {}, policies: Parameters<typeof marketo>[1] = {}) =>
  Layer.mergeAll(Feed.layer, marketo(options, policies), quiet).pipe(
    Layer.provideMerge(Layer.effectDiscard(TestClock.setTime(DateTime.toEpochMillis(now)))),
  )

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

interface Place {
  readonly topic: string
  readonly dead: string
}

const source = <E = never, R = never>(
  { dead, topic }: Place,
  options: Partial<CustomActivitySource.Options<E, R>> = {},
) => CustomActivitySource.stream<E, R>({ topic, groupId: topic, deadLetterTopic: dead, ...options })

/** Time goes on by itself, a second at a time. */
const flowing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(effect, Effect.forever(Effect.zipRight(Effect.yieldNow(), TestClock.adjust("1 seconds"))))

/** Something about each batch is another. */
const withBatches = (change: (batch: PartitionBatch.PartitionBatch) => Partial<PartitionBatch.PartitionBatch>) =>
  Effect.updateService(KafkaClient.KafkaClient, (client) => ({
    ...client,
    consume: (options) => Stream.map(client.consume(options), (batch) => ({ ...batch, ...change(batch) })),
  }))

const letters = (topic: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (client) =>
    Effect.map(Stream.runCollect(client.read(topic)), (records) =>
      Chunk.toReadonlyArray(records).map((one) => ({ ...Option.getOrThrow(DeadLetter.fromRecord(one)), record: one })),
    ),
  )

const headerOf = ({ headers }: KafkaRecord.ConsumerRecord, name: string) =>
  new TextDecoder().decode(headers[name]?.[0] ?? undefined)

const faults = (list: ReadonlyArray<Fault>) =>
  Effect.flatMap(Simulator.Simulator, (simulator) => Effect.forEach(list, simulator.fault, { discard: true }))

const total = (progress: Progress.Progress) => {
  const { records, ...outcomes } = progress
  assert.strictEqual(
    Object.values(outcomes).reduce((sum, n) => sum + n),
    records,
  )
  return progress
}

describe("a call", () => {
  it.effect("takes 300 records or 1 MB, and each outcome is committed before the next call of its partition", () =>
    Effect.gen(function* () {
      const place = yield* topics("calls", 3)
      yield* fill(
        place,
        range(1_000).map((n) => record(n)),
      )
      const done = yield* flowing(take(1_000)(source(place)))
      assert.deepStrictEqual(total(done), {
        records: 1_000,
        added: 1_000,
        confirmed: 0,
        deadLettered: 0,
        inDoubt: 0,
        dropped: 0,
      })
      assert.deepStrictEqual(
        (yield* addCalls).map(({ records }) => records),
        [300, 300, 300, 100],
      )
      const { events } = yield* Feed.Feed
      const claimed = new Map<number, number>()
      for (const { partition, until, what } of events) {
        if (what === "claim") {
          assert.isFalse(claimed.has(partition))
          claimed.set(partition, until)
        } else if (what === "commit") {
          assert.strictEqual(until, claimed.get(partition))
          claimed.delete(partition)
        }
      }
      assert.strictEqual((yield* stored).size, 1_000)
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("keeps the order of each partition, whatever the number of calls in flight", () =>
    Effect.gen(function* () {
      const place = yield* topics("order", 6)
      yield* fill(
        place,
        range(2_000).map((n) => record(n)),
      )
      yield* flowing(take(2_000)(source(place, { batch: { maxCount: 17 } })))
      const last = new Map<number, number>()
      for (const name of (yield* stored).keys()) {
        const n = Number(name.slice(2))
        const lead = n % 50
        assert.isAbove(n, last.get(lead) ?? -1)
        last.set(lead, n)
      }
    }).pipe(Effect.provide(layer({ latency: "300 millis" }))),
  )

  it.effect(
    "goes out when what its lane has written before is committed, so that a kill leaves no more than a call of each lane",
    () =>
      Effect.gen(function* () {
        const place = yield* topics("lane", 4)
        const keys = range(4).map(
          (partition) =>
            range(100)
              .map(String)
              .find((key) => Partitioner.partition(key, 4) === partition) ?? "",
        )
        yield* fill(
          place,
          range(1_200).map((n) => ({ ...record(n), key: keys[n % 4] ?? "" })),
        )
        const begun = yield* Clock.currentTimeMillis
        yield* flowing(take(1_200)(source(place, { concurrency: 2 }))).pipe(
          withBatches((batch) => ({ commit: (until) => Effect.delay(batch.commit(until), "1 minutes") })),
        )
        const minutes = (yield* addCalls).map(({ at }) => Math.floor((at - begun) / 60_000))
        assert.deepStrictEqual(minutes, [0, 0, 1, 1])
      }).pipe(Effect.provide(layer())),
  )

  it.effect("is cut by bytes too, and a record over 1 MB is a dead letter", () =>
    Effect.gen(function* () {
      const place = yield* topics("bytes", 1, { "max.message.bytes": "4000000" })
      const big = (n: number, bytes: number) => record(n, booking(n, { primaryAttributeValue: "x".repeat(bytes) }))
      yield* fill(place, [...range(6).map((n) => big(n, 300_000)), big(6, 1_100_000), record(7)])
      const done = yield* flowing(take(8)(source(place)))
      assert.deepStrictEqual([done.added, done.deadLettered], [7, 1])
      const sizes = (yield* addCalls).map(({ records }) => records)
      assert.isTrue(sizes.every((size) => size <= 3))
      const [letter] = yield* letters(place.dead)
      assert.strictEqual(letter?.offset, 6n)
      // the dead-letter topic takes no more than 1 MB: it has the beginning
      assert.deepStrictEqual(
        [letter?.isCut, Option.map(letter?.record.value ?? Option.none(), ({ length }) => length)],
        [true, Option.some(1_000)],
      )
    }).pipe(Effect.provide(layer())),
  )

  it.effect("waits for others up to maxWait, and no longer", () =>
    Effect.gen(function* () {
      const place = yield* topics("wait", 1)
      yield* fill(place, [record(1)])
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(take(1)(source(place, { batch: { maxWait: "7 seconds" } })))
      const [call] = yield* addCalls
      assert.approximately((call?.at ?? 0) - begun, 7_000, 1_000)
    }).pipe(Effect.provide(layer())),
  )
})

describe("bad input", () => {
  const bad: ReadonlyArray<readonly [string, KafkaRecord.ProducerRecord["value"], string, string]> = [
    ["not JSON", "{", "undecodable", "record: must be JSON"],
    ["not UTF-8", new Uint8Array([0xff, 0xfe]), "undecodable", "record: must be JSON"],
    ["another shape", "[1]", "undecodable", "record: must be a JSON object"],
    ["a misspelt member", booking(0, { attribute: [] }), "undecodable", "attribute: is no member of a custom activity"],
    [
      "an attribute with more than a value",
      booking(0, { attributes: [{ apiName: identity, value: "B-0", unit: "m" }] }),
      "undecodable",
      "attributes.0.unit: is no member of an attribute",
    ],
    ["a tombstone", null, "undecodable", "the record has no value"],
    [
      "a date without a zone",
      booking(0, { activityDate: "2026-01-20T10:00:00" }),
      "undecodable",
      "activityDate: must be a date and time with its zone, such as 2026-01-31T12:00:00Z",
    ],
    ["an unknown type", booking(0, { activityTypeId: 100_999 }), "1013", "[1013] object not found"],
    ["an unknown lead", booking(0, { leadId: 7 }), "1004", "[1004] lead not found"],
    [
      "attributes over 64 KB",
      booking(0, { attributes: [{ apiName: identity, value: "x".repeat(70_000) }] }),
      "1049",
      "[1049] attributes of the activity over 65,536 bytes",
    ],
  ]
  for (const [what, value, code, message] of bad) {
    it.effect(`${what} is a dead letter, and the rest goes on`, () =>
      Effect.gen(function* () {
        const place = yield* topics("bad", 1)
        const headers = { "x-trace": ["a", "b"], "x-bytes": new Uint8Array([0, 255]) }
        const key = new Uint8Array([1, 2, 3])
        const one = { key, value, headers }
        yield* fill(place, [one, ...range(10, 1).map((n) => ({ ...record(n), key })), one, { ...record(11), key }, one])
        const done = yield* flowing(take(14)(source(place)))
        assert.deepStrictEqual([done.added, done.deadLettered], [11, 3])
        assert.deepStrictEqual(
          [...(yield* stored).keys()],
          range(11, 1).map((n) => `B-${n}`),
        )
        const all = yield* letters(place.dead)
        assert.deepStrictEqual(
          all.map(({ codes, offset, partition, topic }) => ({ codes, offset, partition, topic })),
          [0n, 11n, 13n].map((offset) => ({ codes: [code], offset, partition: 0, topic: place.topic })),
        )
        const { record: letter } = all[0] as (typeof all)[number]
        assert.deepStrictEqual(
          Object.keys(letter.headers)
            .filter((name) => !name.startsWith("x-"))
            .sort(),
          [
            "__connect.errors.exception.class.name",
            "__connect.errors.exception.message",
            "__connect.errors.offset",
            "__connect.errors.partition",
            "__connect.errors.stage",
            "__connect.errors.topic",
            ...(code === "undecodable" ? [] : ["marketo.activity.type.id"]),
            "marketo.attempts",
            "marketo.error.code",
            ...(code === "undecodable" ? [] : ["marketo.request.id"]),
            "marketo.source",
          ],
        )
        assert.strictEqual(headerOf(letter, DeadLetter.headers.message), message)
        assert.strictEqual(
          headerOf(letter, DeadLetter.headers.stage),
          code === "undecodable" ? "VALUE_CONVERTER" : "TASK_PUT",
        )
        assert.strictEqual(headerOf(letter, DeadLetter.headers.attempts), "1")
        assert.deepStrictEqual(letter.key, Option.some(key))
        assert.deepStrictEqual(
          Option.map(letter.value, (bytes) => [...bytes]),
          value === null
            ? Option.none()
            : Option.some([...(typeof value === "string" ? new TextEncoder().encode(value) : value)]),
        )
        assert.deepStrictEqual(
          letter.headers["x-trace"]?.map((bytes) => new TextDecoder().decode(bytes ?? undefined)),
          ["a", "b"],
        )
        assert.deepStrictEqual([...(letter.headers["x-bytes"]?.[0] ?? [])], [0, 255])
        if (code !== "undecodable") assert.match(headerOf(letter, DeadLetter.headers.requestId), /\S/)
      }).pipe(Effect.provide(layer())),
    )
  }

  for (const own of [true, false]) {
    it.effect(
      `records that cannot be read have one dead letter, with their size (${own ? "own decoder" : "JSON"})`,
      () =>
        Effect.gen(function* () {
          const place = yield* topics("unreadable", 1)
          yield* fill(
            place,
            range(3).map((n) => ({ ...record(n), key: "k" })),
          )
          const unreadable = {
            reason: "TooLarge",
            description: "too large",
            firstOffset: 1n,
            count: 1,
            size: 7_000,
          } as const
          const decode = own ? { decode: () => Effect.fail("nothing to be decoded" as const) } : {}
          const done = yield* flowing(take(3)(source(place, { ...decode, guard: { max: 9, of: 10 } }))).pipe(
            withBatches(({ at, unreadableAt }) => ({
              at: (index) =>
                index === 1
                  ? { ...at(index), key: Option.none(), value: Option.none(), headers: {}, unreadable }
                  : at(index),
              valueAt: (index) => (index === 1 ? null : Option.getOrNull(at(index).value)),
              unreadableAt: (index) => (index === 1 ? unreadable : unreadableAt(index)),
            })),
          )
          assert.strictEqual(done.deadLettered, own ? 3 : 1)
          const letter = (yield* letters(place.dead)).find(({ offset }) => offset === 1n)
          assert.deepStrictEqual(
            [letter?.codes, letter?.isCut, letter?.record.value],
            [["unreadable"], true, Option.none()],
          )
          assert.strictEqual(letter && headerOf(letter.record, DeadLetter.headers.valueBytes), "7000")
        }).pipe(Effect.provide(layer())),
    )
  }

  it.effect("a value that cannot even be had is a dead letter, and the rest goes on", () =>
    Effect.gen(function* () {
      const place = yield* topics("broken", 1)
      yield* fill(
        place,
        range(3).map((n) => ({ ...record(n), key: "k" })),
      )
      const done = yield* flowing(take(3)(source(place))).pipe(
        withBatches(({ valueAt }) => ({
          valueAt: (index) => {
            if (index === 1) throw new RangeError("broken")
            return valueAt(index)
          },
        })),
      )
      assert.deepStrictEqual([done.added, done.deadLettered], [2, 1])
      const [letter] = yield* letters(place.dead)
      assert.deepStrictEqual([letter?.offset, letter?.codes], [1n, ["undecodable"]])
      assert.strictEqual(letter && headerOf(letter.record, DeadLetter.headers.exception), "RangeError")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("what a decoder gives and cannot be sent is a dead letter, whatever it is", () =>
    Effect.gen(function* () {
      const place = yield* topics("odd", 1)
      const good = {
        leadId: 100_001,
        activityDate: DateTime.unsafeMake("2026-01-20T10:00:00Z"),
        activityTypeId: TYPE,
        primaryAttributeValue: "Sea Kayak",
        attributes: [{ apiName: identity, value: "B-1" }],
      }
      const odd: ReadonlyArray<unknown> = [
        undefined,
        null,
        7,
        {},
        { ...good, attributes: undefined },
        { ...good, attributes: [null] },
        { ...good, attributes: [{ apiName: "a", value: { toString: 1 } }] },
        { ...good, activityDate: "2026-01-20T10:00:00Z" },
        Object.defineProperty({ ...good }, "leadId", {
          get: () => {
            throw new Error("no")
          },
        }),
        good,
      ]
      yield* fill(
        place,
        range(odd.length).map((n) => ({ key: "k", value: String(n) })),
      )
      const done = yield* flowing(
        take(odd.length)(
          source(place, {
            decode: ({ value }) =>
              Effect.succeed(odd[Number(Buffer.from(Option.getOrThrow(value)))] as CustomActivity.CustomActivity),
          }),
        ),
      )
      assert.deepStrictEqual([done.added, done.deadLettered], [1, odd.length - 1])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("what a decoder throws is about its record too", () =>
    Effect.gen(function* () {
      const place = yield* topics("throws", 1)
      yield* fill(place, [
        { key: "k", value: "{" },
        { ...record(1), key: "k" },
      ])
      const decode = ({ value }: KafkaRecord.ConsumerRecord) => {
        const json = JSON.parse(new TextDecoder().decode(Option.getOrUndefined(value)))
        return Effect.succeed({ ...json, activityDate: now })
      }
      const done = yield* flowing(take(2)(source(place, { decode })))
      assert.deepStrictEqual([done.added, done.deadLettered], [1, 1])
      const [letter] = yield* letters(place.dead)
      assert.strictEqual(letter && headerOf(letter.record, DeadLetter.headers.exception), "SyntaxError")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("a decoder of the user's fails with what it likes, and may look things up", () =>
    Effect.gen(function* () {
      const place = yield* topics("decode", 1)
      yield* fill(place, [
        { key: "k", value: `{"email":"a@example.com","n":1}` },
        { key: "k", value: `{"email":"nobody@example.com","n":2}` },
        { key: "k", value: `{"email":"a@example.com"}` },
      ])
      const Message = Schema.parseJson(Schema.Struct({ email: Schema.String, n: Schema.Int }))
      class NoLead extends Schema.TaggedError<NoLead>()("NoLead", {}) {}
      const decode = ({ value }: KafkaRecord.ConsumerRecord) =>
        Effect.gen(function* () {
          const { email, n } = yield* Schema.decodeUnknown(Message)(
            new TextDecoder().decode(Option.getOrUndefined(value)),
          )
          if (email !== "a@example.com") return yield* new NoLead()
          return {
            leadId: 100_001,
            activityDate: now,
            activityTypeId: 100_001,
            primaryAttributeValue: "Canoe",
            attributes: [{ apiName: identity, value: `B-${n}` }],
          }
        })
      const done = yield* flowing(take(3)(source(place, { decode })))
      assert.deepStrictEqual([done.added, done.deadLettered], [1, 2])
      assert.deepStrictEqual(
        (yield* letters(place.dead)).map(({ record }) => headerOf(record, DeadLetter.headers.exception)),
        ["NoLead", "ParseError"],
      )
    }).pipe(Effect.provide(layer())),
  )

  it.effect("when Marketo refuses a whole call for one record, the record is found in halves", () =>
    Effect.gen(function* () {
      const place = yield* topics("halves", 1)
      const value = booking(5, { primaryAttributeValue: "x", attributes: [{ apiName: "", value: 1 }] })
      const decode = (one: KafkaRecord.ConsumerRecord) =>
        Effect.sync(() => {
          const json = JSON.parse(new TextDecoder().decode(Option.getOrUndefined(one.value)))
          return { ...json, activityDate: now }
        })
      yield* fill(
        place,
        range(20).map((n) => (n === 5 ? record(n, value) : { ...record(n), key: "k" })),
      )
      const done = yield* flowing(take(20)(source(place, { decode })))
      assert.deepStrictEqual([done.added, done.deadLettered], [19, 1])
      assert.deepStrictEqual(
        [...(yield* stored).values()],
        range(19).map(() => 1),
      )
    }).pipe(Effect.provide(layer())),
  )
})

it.effect("halves of a refused call keep their order: the second waits for the first", () =>
  Effect.gen(function* () {
    const place = yield* topics("halves-order", 1)
    yield* fill(
      place,
      range(20).map((n) => ({ ...record(n), key: "k" })),
    )
    yield* faults([
      { fault: "error", code: "1003", match },
      { fault: "error", code: "608", match, every: 1, times: 12 },
    ])
    const done = yield* flowing(take(20)(source(place)))
    assert.strictEqual(done.added, 20)
    assert.deepStrictEqual(
      [...(yield* stored).keys()],
      range(20).map((n) => `B-${n}`),
    )
  }).pipe(Effect.provide(layer())),
)

describe("what Marketo skips", () => {
  /** Of so many calls the first record is skipped. */
  const skipping = (code: string, times: number) => {
    let calls = 0
    const skipped: CustomActivities.Result = {
      _tag: "Skipped",
      codes: [{ code, message: "" }],
      requestId: Option.some("r"),
    }
    return Layer.flatMap(layer(), (context) =>
      Layer.provideMerge(
        Layer.effect(
          CustomActivities.CustomActivities,
          Effect.map(CustomActivities.CustomActivities, (service) => ({
            ...service,
            add: (batch, options) => {
              if (++calls > times) return service.add(batch, options)
              const others = Chunk.tailNonEmpty(batch)
              return Chunk.isNonEmpty(others)
                ? Effect.map(service.add(others, options), Chunk.prepend(skipped))
                : Effect.as(options?.hold?.acquire ?? Effect.void, Chunk.of(skipped))
            },
          })),
        ),
        Layer.succeedContext(context),
      ),
    )
  }

  it.effect("is dropped by policy, and counted", () =>
    Effect.gen(function* () {
      const place = yield* topics("drop", 1)
      yield* fill(place, [record(1, booking(1, { leadId: 7 })), record(2)])
      const done = yield* flowing(take(2)(source(place, { skipped: { "1004": "drop" } })))
      assert.deepStrictEqual([done.added, done.dropped], [1, 1])
      assert.deepStrictEqual(yield* letters(place.dead), [])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("ends the stream by policy; what came before is committed", () =>
    Effect.gen(function* () {
      const place = yield* topics("fail", 1)
      yield* fill(place, [
        ...range(3).map((n) => ({ ...record(n), key: "k" })),
        { key: "k", value: booking(9, { leadId: 7 }) },
      ])
      const error = yield* Effect.flip(flowing(take(9)(source(place, { skipped: { "1004": "fail" } }))))
      assert.strictEqual(error._tag, "SourceError")
      assert.include(error.message, "offset 3 of partition 0")
      assert.strictEqual((yield* Feed.Feed).committed(0), 3)
      assert.deepStrictEqual(yield* letters(place.dead), [])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("ends the stream by policy; nothing behind it is begun, however slow the reader is", () =>
    Effect.gen(function* () {
      const place = yield* topics("fail-slow", 1)
      yield* fill(
        place,
        range(30).map((n) => ({ key: "k", value: booking(n, n === 3 ? { leadId: 7 } : {}) })),
      )
      const slow = source(place, { skipped: { "1004": "fail" }, batch: { maxCount: 10 } }).pipe(
        Stream.runForEach(() => Effect.sleep("1 minutes")),
      )
      assert.strictEqual((yield* Effect.flip(flowing(slow)))._tag, "SourceError")
      assert.strictEqual((yield* Feed.Feed).committed(0), 3)
    }).pipe(Effect.provide(layer())),
  )

  /** Twenty records of one partition, ten a call. */
  const twenty = Effect.gen(function* () {
    const place = yield* topics("retry", 1)
    yield* fill(
      place,
      range(20).map((n) => ({ ...record(n), key: "k" })),
    )
    return { ...place, batch: { maxCount: 10 } }
  })

  it.effect("is sent again by policy, and blocks its partition until it is taken", () =>
    Effect.gen(function* () {
      const { batch, ...place } = yield* twenty
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(20)(source(place, { batch })))
      yield* TestClock.adjust("5 seconds")
      // nobody would look what is stored behind it, so that stays claimed
      assert.deepStrictEqual([feed.claimed(), (yield* stored).size], [10, 9])
      const done = yield* flowing(Fiber.join(fiber))
      assert.strictEqual(done.added, 20)
      // the skipped one alone, after 1, 2 and 4 seconds, and nothing of its partition in between
      assert.deepStrictEqual(
        (yield* addCalls).map(({ records }) => records),
        [9, 1, 10],
      )
      assert.strictEqual(feed.claimed(), 0)
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(skipping("719", 4))),
  )

  it.effect("is sent again by policy, nothing claimed meanwhile where the next owner looks what is stored", () =>
    Effect.gen(function* () {
      const { batch, ...place } = yield* twenty
      const feed = yield* Feed.Feed
      const options = { batch, unknown: { identity, visibilityDelay: 0 } }
      const fiber = yield* Effect.fork(take(20)(source(place, options)))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([feed.claimed(), (yield* stored).size], [0, 9])
      yield* flowing(Fiber.interrupt(fiber))
      const done = yield* flowing(take(20)(source(place, options)))
      assert.deepStrictEqual([done.confirmed, done.added], [9, 11])
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [20, 0])
    }).pipe(Effect.provide(skipping("719", 4))),
  )

  for (const end of ["the stream ends", "its partition is taken away"] as const) {
    it.effect(
      `becomes a dead letter when ${end} meanwhile, so that what is stored behind it is not written again`,
      () =>
        Effect.gen(function* () {
          const { batch, ...place } = yield* twenty
          const feed = yield* Feed.Feed
          const fiber = yield* Effect.fork(take(20)(source(place, { batch, guard: { max: 0, of: 10 } })))
          yield* TestClock.adjust("3 minutes")
          if (end === "the stream ends") yield* flowing(Fiber.interrupt(fiber))
          else {
            yield* feed.revoke
            yield* TestClock.adjust("2 seconds")
          }
          assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 10])
          assert.deepStrictEqual(
            (yield* letters(place.dead)).map(({ codes, offset }) => [codes, offset]),
            [[["719"], 0n]],
          )
          const next = end === "the stream ends" ? yield* Effect.fork(take(10)(source(place, { batch }))) : fiber
          yield* feed.rebalance
          yield* TestClock.adjust("1 minutes")
          assert.deepStrictEqual([(yield* stored).has("B-0"), repeated(yield* stored)], [false, 0])
          // what has to be given up is nothing bad, and no matter of the guard
          assert.isTrue(Option.isNone(yield* Fiber.poll(next)))
          yield* flowing(Fiber.interrupt(next))
        }).pipe(Effect.provide(skipping("719", 100))),
    )
  }

  it.effect("keeps what is stored behind it claimed also while limits keep it from being sent", () =>
    Effect.gen(function* () {
      const { batch, ...place } = yield* twenty
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(20)(source(place, { batch })))
      yield* TestClock.adjust("500 millis")
      yield* faults([{ fault: "error", code: "607", match, every: 1, times: 1_000 }])
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(feed.claimed(), 10)
      yield* feed.revoke
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 10])
      assert.strictEqual((yield* letters(place.dead)).length, 1)
      yield* flowing(Fiber.interrupt(fiber))
    }).pipe(Effect.provide(skipping("719", 1))),
  )

  it.effect("is sent again beside a partition that is all committed", () =>
    Effect.gen(function* () {
      const place = yield* topics("retry-two", 2)
      const [first = "", second = ""] = [0, 1].map((partition) =>
        range(9)
          .map(String)
          .find((key) => Partitioner.partition(key, 2) === partition),
      )
      yield* fill(
        { ...place, partitions: 2 },
        range(20).map((n) => ({ ...record(n), key: n < 15 ? first : second })),
      )
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(20)(source(place)))
      yield* TestClock.adjust("31500 millis")
      assert.deepStrictEqual([feed.committed(1), feed.claimed()], [5, 15])
      const done = yield* flowing(Fiber.join(fiber))
      assert.deepStrictEqual([done.added, (yield* addCalls).length], [20, 2])
    }).pipe(Effect.provide(skipping("719", 3))),
  )

  it.effect("ends the stream by policy, and keeps nothing of other partitions from being committed", () =>
    Effect.gen(function* () {
      const place = yield* topics("fail-others", 2)
      const [first = "", second = ""] = [0, 1].map((partition) =>
        range(9)
          .map(String)
          .find((key) => Partitioner.partition(key, 2) === partition),
      )
      yield* fill({ ...place, partitions: 2 }, [
        { key: first, value: booking(0, { leadId: 7 }) },
        ...range(10, 1).map((n) => ({ ...record(n), key: second })),
      ])
      const error = yield* Effect.flip(flowing(take(11)(source(place, { skipped: { "1004": "fail" } }))))
      assert.strictEqual(error._tag, "SourceError")
      const feed = yield* Feed.Feed
      assert.deepStrictEqual([feed.committed(0), feed.committed(1)], [0, 10])
    }).pipe(Effect.provide(layer())),
  )
})

describe("an outage", () => {
  it.effect(
    "of ten minutes is waited for: nothing is claimed meanwhile, no dead letter, nothing lost or repeated",
    () =>
      Effect.gen(function* () {
        const place = yield* topics("outage", 4)
        yield* fill(
          place,
          range(1_500).map((n) => record(n)),
        )
        yield* faults([{ fault: "error", code: "608", match, every: 1, times: 200 }])
        const feed = yield* Feed.Feed
        const fiber = yield* Effect.fork(take(1_500)(source(place, { unknown: { identity, visibilityDelay: 0 } })))
        let free = 0
        for (let minute = 0; minute < 10; minute++) {
          yield* TestClock.adjust("1 minutes")
          if (feed.claimed() === 0) free++
        }
        assert.strictEqual(free, 10)
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        const done = yield* flowing(Fiber.join(fiber))
        assert.strictEqual(done.added, 1_500)
        assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [1_500, 0])
        assert.deepStrictEqual(yield* letters(place.dead), [])
      }).pipe(Effect.provide(layer())),
  )

  for (const [what, fault] of [
    ["HTTP 502", { fault: "http", status: 502, match, every: 1 }],
    ["HTTP 503", { fault: "http", status: 503, match, every: 1 }],
    ["cut connections", { fault: "cut", match, every: 1 }],
  ] as const) {
    for (const notFound of ["inDoubt", "resend"] as const) {
      it.effect(
        `in which writing ends in ${what} costs a call of each lane, and then a record at a time (${notFound})`,
        () =>
          Effect.gen(function* () {
            const lanes = 3
            const count = 1_500
            const place = yield* topics("writing-away", 12)
            yield* fill(
              place,
              range(count).map((n) => record(n)),
            )
            const trials = 4
            yield* faults([{ ...fault, times: lanes + trials }])
            const options = { onAssign: "write", concurrency: lanes, unknown: { identity, notFound } } as const
            const done = yield* flowing(take(count)(source(place, options)))
            const calls = (yield* addCalls).map(({ records }) => records)
            assert.deepStrictEqual(calls.slice(0, lanes + trials + 1), [300, 300, 300, 1, 1, 1, 1, 1])
            assert.isBelow(calls.length, count / 300 + 20)
            assert.strictEqual(done.inDoubt, notFound === "inDoubt" ? lanes * 300 + trials : 0)
            assert.strictEqual(done.inDoubt + done.added, count)
            assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [done.added, 0])
          }).pipe(Effect.provide(layer())),
      )
    }
  }

  it.effect("in which a gateway refuses writes with HTTP 429 puts none of them in doubt: each is sent again", () =>
    Effect.gen(function* () {
      const place = yield* topics("too-many", 4)
      yield* fill(
        place,
        range(1_500).map((n) => record(n)),
      )
      yield* faults([{ fault: "http", status: 429, match, every: 1, times: 60 }])
      const done = yield* flowing(take(1_500)(source(place, { onAssign: "write" })))
      assert.deepStrictEqual([done.added, done.inDoubt], [1_500, 0])
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [1_500, 0])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("with a rebalance in it: what was taken away is left alone, and written once by its new owner", () =>
    Effect.gen(function* () {
      const place = yield* topics("outage-rebalance", 4)
      yield* fill(
        place,
        range(1_000).map((n) => record(n)),
      )
      yield* faults([{ fault: "error", code: "608", match, every: 1, times: 60 }])
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(1_000)(source(place)))
      yield* TestClock.adjust("90 seconds")
      yield* feed.rebalance
      yield* flowing(Fiber.join(fiber))
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [1_000, 0])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("a daily quota that is used up is asked for again now and then, until it is there", () =>
    Effect.gen(function* () {
      const place = yield* topics("quota", 2)
      yield* fill(
        place,
        range(700).map((n) => record(n)),
      )
      yield* faults([{ fault: "error", code: "607", match, every: 1, times: 30 }])
      const begun = yield* Clock.currentTimeMillis
      const done = yield* Effect.raceFirst(
        take(700)(source(place)),
        Effect.forever(Effect.zipRight(Effect.yieldNow(), TestClock.adjust("5 minutes"))),
      )
      assert.strictEqual(done.added, 700)
      const hours = ((yield* Clock.currentTimeMillis) - begun) / 3_600_000
      assert.isAbove(hours, 2)
      assert.isBelow(hours, 5)
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("credentials or a permission that are refused end the stream, and nothing becomes a dead letter", () =>
    Effect.gen(function* () {
      const place = yield* topics("permission", 1)
      yield* fill(
        place,
        range(10).map((n) => record(n)),
      )
      yield* faults([{ fault: "error", code: "603", match }])
      const error = yield* Effect.flip(flowing(take(10)(source(place))))
      assert.strictEqual(error._tag, "MarketoUnauthorized")
      assert.deepStrictEqual(yield* letters(place.dead), [])
      const feed = yield* Feed.Feed
      assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 0])
    }).pipe(Effect.provide(layer())),
  )
})

describe("a call without an answer", () => {
  const lost: Fault = { fault: "cut", executed: true, match }
  const never: Fault = { fault: "cut", executed: false, match }

  it.effect("that was executed is found: nothing is repeated", () =>
    Effect.gen(function* () {
      const place = yield* topics("found", 2)
      yield* fill(
        place,
        range(500).map((n) => record(n)),
      )
      yield* faults([lost])
      const done = yield* flowing(take(500)(source(place, { onAssign: "write" })))
      assert.strictEqual(done.added + done.confirmed, 500)
      assert.isAbove(done.confirmed, 100)
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [500, 0])
    }).pipe(Effect.provide(layer({ quirks: { visibilityDelay: "50 seconds" } }))),
  )

  it.effect("that was not executed is sent again by policy", () =>
    Effect.gen(function* () {
      const place = yield* topics("resend", 1)
      yield* fill(
        place,
        range(300).map((n) => record(n)),
      )
      yield* faults([never])
      const done = yield* flowing(
        take(300)(source(place, { onAssign: "write", unknown: { identity, notFound: "resend" } })),
      )
      assert.strictEqual(done.added, 300)
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [300, 0])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("is in doubt: a dead letter that says so", () =>
    Effect.gen(function* () {
      const place = yield* topics("in-doubt", 1)
      yield* fill(
        place,
        range(3).map((n) => record(n)),
      )
      yield* faults([never])
      const done = yield* flowing(take(3)(source(place, { onAssign: "write", unknown: { identity } })))
      assert.deepStrictEqual([done.inDoubt, done.deadLettered], [3, 0])
      const all = yield* letters(place.dead)
      assert.isTrue(all.every(({ mayBeStored }) => mayBeStored) && all.length === 3)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("is a dead letter whatever the guard allows: that is about records that are bad", () =>
    Effect.gen(function* () {
      const place = yield* topics("in-doubt-many", 1)
      yield* fill(
        place,
        range(300).map((n) => record(n)),
      )
      yield* faults([never])
      const done = yield* flowing(take(300)(source(place, { unknown: { visibilityDelay: "10 seconds" } })))
      assert.strictEqual(done.inDoubt, 300)
      assert.deepStrictEqual([(yield* letters(place.dead)).length, (yield* Feed.Feed).committed(0)], [300, 300])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("ends the stream by policy, nothing committed", () =>
    Effect.gen(function* () {
      const place = yield* topics("doubt", 1)
      yield* fill(
        place,
        range(3).map((n) => record(n)),
      )
      yield* faults([never])
      const error = yield* Effect.flip(flowing(take(3)(source(place, { unknown: { notFound: "fail" } }))))
      assert.strictEqual(error._tag, "MarketoUnavailable")
      assert.strictEqual((yield* Feed.Feed).committed(0), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("and is found ends an outage: calls are full again", () =>
    Effect.gen(function* () {
      const place = yield* topics("found-trial", 1)
      yield* fill(
        place,
        range(900).map((n) => record(n)),
      )
      yield* faults([never, lost])
      yield* flowing(take(900)(source(place, { onAssign: "write", unknown: { identity } })))
      assert.deepStrictEqual(
        (yield* addCalls).map(({ records }) => records),
        [300, 1, 299, 300],
      )
    }).pipe(Effect.provide(layer())),
  )

  it.effect("is looked up for as long as Marketo is away, and is claimed until it is settled", () =>
    Effect.gen(function* () {
      const place = yield* topics("away", 1)
      yield* fill(
        place,
        range(100).map((n) => record(n)),
      )
      yield* faults([lost, { fault: "http", status: 502, match: { endpoint: "activityTypes" }, every: 1, times: 40 }])
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(100)(source(place, { onAssign: "write", unknown: { identity } })))
      yield* TestClock.adjust("31 seconds")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(feed.claimed(), 100)
      const done = yield* flowing(Fiber.join(fiber))
      assert.strictEqual(done.confirmed, 100)
      assert.strictEqual(repeated(yield* stored), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("604 is sent again in halves", () =>
    Effect.gen(function* () {
      const place = yield* topics("604", 1)
      yield* fill(
        place,
        range(80).map((n) => record(n)),
      )
      yield* faults([{ fault: "error", code: "604", match }])
      yield* flowing(take(80)(source(place, { onAssign: "write", unknown: { identity, notFound: "resend" } })))
      assert.deepStrictEqual(
        (yield* addCalls).map(({ records }) => records),
        [80, 40, 40],
      )
    }).pipe(Effect.provide(layer())),
  )
})

describe("after an assignment", () => {
  /** An earlier run that was killed after its calls, before its commits. */
  const earlier = (count: number) =>
    Effect.flatMap(CustomActivities.CustomActivities, (activities) =>
      activities.add(
        Chunk.map(Chunk.range(0, count - 1), (n) => ({
          leadId: 100_000 + (n % 50),
          activityDate: DateTime.unsafeMake("2026-01-20T10:00:00Z"),
          activityTypeId: 100_001,
          primaryAttributeValue: "Sea Kayak",
          attributes: [
            { apiName: identity, value: `B-${n}` },
            { apiName: "rentalHours", value: 1.5 },
          ],
        })),
      ),
    )

  it.effect("what an earlier run has written is found, when it is visible, and not written again", () =>
    Effect.gen(function* () {
      const place = yield* topics("assign", 1)
      yield* fill(
        place,
        range(400).map((n) => ({ ...record(n), key: "k" })),
      )
      yield* earlier(250)
      const begun = yield* Clock.currentTimeMillis
      const done = yield* flowing(take(400)(source(place, { unknown: { identity } })))
      assert.deepStrictEqual([done.confirmed, done.added], [250, 150])
      assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [400, 0])
      // records that can have been in flight waited until all that was written is visible
      assert.isAtLeast((yield* Clock.currentTimeMillis) - begun, 120_000)
      // and were looked up once; the others were not
      const simulator = yield* Simulator.Simulator
      const looks = (yield* simulator.calls).filter(({ endpoint }) => endpoint === "pagingToken")
      assert.strictEqual(looks.length, 2)
    }).pipe(Effect.provide(layer({ quirks: { visibilityDelay: "100 seconds" } }))),
  )

  it.effect("without reading back it is written again", () =>
    Effect.gen(function* () {
      const place = yield* topics("write", 1)
      yield* fill(
        place,
        range(400).map((n) => ({ ...record(n), key: "k" })),
      )
      yield* earlier(250)
      const done = yield* flowing(take(400)(source(place, { unknown: { identity }, onAssign: "write" })))
      assert.strictEqual(done.added, 400)
      assert.strictEqual(repeated(yield* stored), 250)
    }).pipe(Effect.provide(layer())),
  )
})

describe("dead letters", () => {
  it.effect("a missing topic is an error at once", () =>
    Effect.gen(function* () {
      const { topic } = yield* topics("missing", 1)
      const error = yield* Effect.flip(take(1)(source({ topic, dead: "nowhere" })))
      assert.strictEqual(error._tag, "KafkaError")
      assert.include(error.message, "there is no topic nowhere for dead letters")
    }).pipe(Effect.provide(layer())),
  )

  it.effect("say what the source knows, whatever the record says of itself, and keep headers of any other name", () =>
    Effect.gen(function* () {
      const place = yield* topics("forged", 1)
      const forged = Object.fromEntries(
        [...Object.values(DeadLetter.headers), "marketo.redriven", "marketo.anything"].map((name) => [name, "7"]),
      )
      const names = ["constructor", "toString", "hasOwnProperty", "", "marketo-guid", "n".repeat(10_000)]
      const headers = { ...forged, ...Object.fromEntries(names.map((name) => [name, ["1", "2"]])), ["__proto__"]: "3" }
      yield* fill(place, [{ key: "k", value: "{", headers }, record(1)])
      yield* flowing(take(2)(source(place)))
      const [letter, ...others] = yield* letters(place.dead)
      assert.strictEqual(others.length, 0)
      assert.deepStrictEqual(
        [letter?.topic, letter?.offset, letter?.codes, letter?.attempts, letter?.source],
        [place.topic, 0n, ["undecodable"], 1, place.topic],
      )
      assert.deepStrictEqual([letter?.mayBeStored, letter?.isCut], [false, false])
      const found = letter?.record.headers ?? {}
      for (const name of names) assert.strictEqual(found[name]?.length, 2, name)
      assert.isTrue(Object.keys(found).includes("__proto__"))
      assert.isUndefined(found["marketo.redriven"])
      assert.isUndefined(found["marketo.anything"])
      // nothing of it hides a letter, itself included
      const client = yield* KafkaClient.KafkaClient
      yield* client.createTopic({ name: `${place.dead}.exhausted`, partitions: 1 })
      const summary = yield* Redrive.run({
        topic: place.topic,
        deadLetterTopic: place.dead,
        exhaustedTopic: `${place.dead}.exhausted`,
      })
      assert.deepStrictEqual([summary.letters, summary.redriven], [1, 1])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("count the attempts that a redrive has written, between 1 and 1,000", () =>
    Effect.gen(function* () {
      const place = yield* topics("attempts", 1)
      yield* fill(
        place,
        ["3", "1000", "1001", "-1", "1e3", "", "NaN", "0"].map((attempts) => ({
          key: "k",
          value: "{",
          headers: { "marketo.redrive.attempts": attempts },
        })),
      )
      yield* flowing(take(8)(source(place)))
      assert.deepStrictEqual(
        (yield* letters(place.dead)).map(({ attempts }) => attempts),
        [3, 1_000, 1, 1, 1, 1, 1, 1],
      )
    }).pipe(Effect.provide(layer())),
  )

  // a broker may say that it does not know a partition that has moved
  for (const reason of ["Unavailable", "UnknownTopic"] as const) {
    it.effect(`while they cannot be written (${reason}) offsets stand still, and it goes on when they can`, () =>
      Effect.gen(function* () {
        const place = yield* topics("dead-away", 1)
        yield* fill(place, [
          ...range(5).map((n) => ({ ...record(n), key: "k" })),
          { key: "k", value: "{" },
          ...range(400, 5).map((n) => ({ ...record(n), key: "k" })),
        ])
        const client = yield* KafkaClient.KafkaClient
        let isAway = true
        const away: KafkaClient.Service = {
          ...client,
          producer: (options) =>
            Effect.map(client.producer(options), (producer) => ({
              ...producer,
              send: (to, records) =>
                isAway
                  ? new KafkaError.KafkaError({ reason, description: `not now: ${to.topic}` })
                  : producer.send(to, records),
            })),
        }
        const fiber = yield* Effect.fork(Effect.provideService(take(406)(source(place)), KafkaClient.KafkaClient, away))
        yield* TestClock.adjust("10 minutes")
        const feed = yield* Feed.Feed
        // nothing behind it was begun either
        assert.deepStrictEqual([feed.committed(0), (yield* stored).size], [5, 299])
        isAway = false
        const done = yield* flowing(Fiber.join(fiber))
        assert.deepStrictEqual([done.added, done.deadLettered], [405, 1])
        assert.strictEqual((yield* letters(place.dead)).length, 1)
        assert.strictEqual(repeated(yield* stored), 0)
      }).pipe(Effect.provide(layer())),
    )
  }

  for (const [what, reason] of [
    ["a topic that is deleted", "UnknownTopic"],
    ["a missing ACL", "Misconfigured"],
    ["a record that the topic does not take", "RecordRejected"],
    ["a limit that is too small for any", "RecordTooLarge"],
  ] as const) {
    it.effect(`${what} ends the stream with advice; what is done is committed, and letters are not written twice`, () =>
      Effect.gen(function* () {
        const place = yield* topics("dead-refused", 2)
        const keyOf = (partition: number) =>
          range(9)
            .map(String)
            .find((key) => Partitioner.partition(key, 2) === partition) ?? ""
        yield* fill(
          place,
          [0, 1].flatMap((partition) => [
            ...range(5, 10 * partition).map((n) => ({ ...record(n), key: keyOf(partition) })),
            { key: keyOf(partition), value: "{" },
            ...range(3, 10 * partition + 5).map((n) => ({ ...record(n), key: keyOf(partition) })),
          ]),
        )
        const client = yield* KafkaClient.KafkaClient
        let isRefused = true
        const refusing: KafkaClient.Service = {
          ...client,
          topic: (name) =>
            reason === "UnknownTopic" && isRefused && name === place.dead && sent > 0
              ? Effect.succeedNone
              : client.topic(name),
          producer: (options) =>
            Effect.map(client.producer(options), (producer) => ({
              ...producer,
              send: (to, records) => {
                sent++
                return isRefused && to.partition === 1
                  ? Effect.delay(new KafkaError.KafkaError({ reason, description: "refused", code: "NO" }), "1 seconds")
                  : producer.send(to, records)
              },
            })),
        }
        let sent = 0
        const run = (count: number) =>
          Effect.provideService(
            flowing(take(count)(source(place, { unknown: { identity, visibilityDelay: 0 } }))),
            KafkaClient.KafkaClient,
            refusing,
          )
        const error = yield* Effect.flip(run(18))
        if (error._tag !== "KafkaError") return assert.fail(error.message)
        assert.deepStrictEqual([error.reason, error.code, error.isRetryable], [reason, "NO", false])
        assert.include(error.message, `the topic ${place.dead}`)
        assert.include(error.message, KafkaError.reasons[reason].advice)
        const feed = yield* Feed.Feed
        assert.deepStrictEqual([feed.committed(0), feed.committed(1), feed.claimed()], [9, 5, 0])
        isRefused = false
        yield* feed.rebalance
        const done = yield* run(4)
        assert.deepStrictEqual([done.records, done.deadLettered], [4, 1])
        assert.strictEqual((yield* letters(place.dead)).length, 2)
        assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [16, 0])
      }).pipe(Effect.provide(layer())),
    )
  }

  for (const [setting, value, words] of [
    ["min.insync.replicas", "2", "min.insync.replicas=2"],
    ["cleanup.policy", "compact,delete", "set cleanup.policy=delete"],
    ["message.timestamp.after.max.ms", "5", "set message.timestamp.after.max.ms=60000 or more"],
    ["max.message.bytes", "2000", "set max.message.bytes=10000 or more"],
  ] as const) {
    it.effect(`${setting}=${value} is found at the start, unless the settings cannot be read`, () =>
      Effect.gen(function* () {
        const place = yield* topics("setting", 1)
        const client = yield* KafkaClient.KafkaClient
        const dead = `${place.topic}.odd`
        yield* client.createTopic({ name: dead, partitions: 1, config: { [setting]: value } })
        const error = yield* Effect.flip(take(1)(source({ topic: place.topic, dead })))
        assert.include(error.message, `the topic ${dead} cannot take dead letters: it has ${setting}=${value}`)
        assert.include(error.message, words)
        yield* fill(place, [record(1)])
        const denied: KafkaClient.Service = {
          ...client,
          topicConfig: () => new KafkaError.KafkaError({ reason: "Misconfigured", description: "no ACL" }),
        }
        const done = yield* flowing(
          Effect.provideService(take(1)(source({ topic: place.topic, dead })), KafkaClient.KafkaClient, denied),
        )
        assert.strictEqual(done.added, 1)
      }).pipe(Effect.provide(layer())),
    )
  }

  it.effect("are not written for a partition that is lost", () =>
    Effect.gen(function* () {
      const place = yield* topics("dead-lost", 1)
      yield* fill(place, [...range(9).map((n) => ({ ...record(n), key: "k" })), { key: "k", value: "{" }])
      const fiber = yield* take(10)(source(place)).pipe(
        withBatches(() => ({ commit: () => Effect.succeed(false) })),
        Effect.fork,
      )
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual([(yield* stored).size, (yield* letters(place.dead)).length], [9, 0])
      assert.strictEqual((yield* Feed.Feed).claimed(), 0)
      yield* flowing(Fiber.interrupt(fiber))
    }).pipe(Effect.provide(layer())),
  )

  for (const mayReadConfig of [true, false]) {
    it.effect(
      `of a record that is all too large has its beginning; the limit ${mayReadConfig ? "is" : "cannot be"} read`,
      () =>
        Effect.gen(function* () {
          const { topic } = yield* topics("large", 1)
          const client = yield* KafkaClient.KafkaClient
          const dead = `${topic}.small`
          yield* client.createTopic({ name: dead, partitions: 1, config: { "max.message.bytes": "10000" } })
          const key = "k".repeat(20_000)
          const headers = { "x-own": "h".repeat(20_000) }
          yield* fill({ topic, partitions: 1 }, [
            { key, value: "v".repeat(20_000), headers },
            { ...record(1), key },
          ])
          const service = mayReadConfig
            ? client
            : {
                ...client,
                topicConfig: () => new KafkaError.KafkaError({ reason: "Misconfigured", description: "no" }),
              }
          const done = yield* flowing(
            Effect.provideService(take(2)(source({ topic, dead })), KafkaClient.KafkaClient, service),
          )
          assert.deepStrictEqual([done.added, done.deadLettered], [1, 1])
          const [letter] = yield* letters(dead)
          assert.isTrue(letter?.isCut)
          assert.strictEqual(letter?.offset, 0n)
          assert.deepStrictEqual(letter.codes, ["undecodable"])
          assert.strictEqual(Option.getOrThrow(letter.record.key).length, 1_000)
          assert.strictEqual(Option.getOrThrow(letter.record.value).length, 1_000)
          assert.strictEqual(headerOf(letter.record, DeadLetter.headers.valueBytes), "20000")
          assert.isUndefined(letter.record.headers["x-own"])
        }).pipe(Effect.provide(layer())),
    )
  }

  it.effect("are cut to the new limit when it was lowered, no further, however many find out at once", () =>
    Effect.gen(function* () {
      const { topic } = yield* topics("lowered", 2)
      const client = yield* KafkaClient.KafkaClient
      const dead = `${topic}.lowered`
      yield* client.createTopic({ name: dead, partitions: 2, config: { "max.message.bytes": "10000" } })
      const keys = [0, 1].map((partition) =>
        range(9)
          .map(String)
          .find((key) => Partitioner.partition(key, 2) === partition),
      )
      yield* fill(
        { topic, partitions: 2 },
        keys.flatMap((key = "") => [12_000, 7_000].map((bytes) => ({ key, value: "v".repeat(bytes) }))),
      )
      let reads = 0
      const before: KafkaClient.Service = {
        ...client,
        topicConfig: (name) =>
          reads++ === 0 ? Effect.succeed({ "max.message.bytes": "1000000" }) : client.topicConfig(name),
        producer: (options) =>
          Effect.map(client.producer(options), (producer) => ({
            ...producer,
            send: (to, records) => Effect.delay(producer.send(to, records), "1 seconds"),
          })),
      }
      const done = yield* flowing(
        Effect.provideService(take(4)(source({ topic, dead })), KafkaClient.KafkaClient, before),
      )
      assert.strictEqual(done.deadLettered, 4)
      assert.deepStrictEqual((yield* letters(dead)).map(({ isCut }) => isCut).sort(), [false, false, true, true])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("more than the guard allows end the stream before they flood the topic", () =>
    Effect.gen(function* () {
      const place = yield* topics("guard", 1)
      const bad = (n: number) => ({ key: "k", value: `bad ${n}` })
      yield* fill(place, [
        ...range(4).map(bad),
        ...range(20).map((n) => ({ ...record(n), key: "k" })),
        ...range(6).map(bad),
      ])
      const error = yield* Effect.flip(
        flowing(take(30)(source(place, { guard: { max: 5, of: 10 }, batch: { maxCount: 8 } }))),
      )
      assert.strictEqual(error._tag, "SourceError")
      assert.include(error.message, "more than 5 of the last 10")
      assert.strictEqual((yield* letters(place.dead)).length, 4)
      assert.strictEqual((yield* Feed.Feed).committed(0), 24)
    }).pipe(Effect.provide(layer())),
  )
})

describe("the guard", () => {
  const mixed = (letters: number, value: (n: number) => string) =>
    Effect.gen(function* () {
      const place = yield* topics("guard-mixed", 1)
      yield* fill(
        place,
        range(100).map((n) => ({ key: "k", value: n % 20 < letters ? value(n) : booking(n) })),
      )
      return place
    })
  const guard = { max: 4, of: 1_000 }

  it.effect("looks at what cannot be decoded before anything is written", () =>
    Effect.gen(function* () {
      const place = yield* mixed(1, () => "{")
      for (const _ of range(2)) {
        const error = yield* Effect.flip(flowing(take(100)(source(place, { guard }))))
        assert.include(error.message, "more than 4 of the last 1000")
      }
      assert.deepStrictEqual([(yield* stored).size, (yield* letters(place.dead)).length], [0, 0])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("does not let be written again what is stored behind those that Marketo does not take", () =>
    Effect.gen(function* () {
      const place = yield* mixed(1, (n) => booking(n, { leadId: 7 }))
      const error = yield* Effect.flip(flowing(take(101)(source(place, { guard }))))
      assert.strictEqual(error._tag, "SourceError")
      assert.deepStrictEqual([(yield* stored).size, (yield* letters(place.dead)).length], [95, 5])
      assert.strictEqual((yield* Feed.Feed).committed(0), 100)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("keeps the letters of a call of which nothing was stored", () =>
    Effect.gen(function* () {
      const place = yield* mixed(20, (n) => booking(n, { leadId: 7 }))
      const error = yield* Effect.flip(flowing(take(100)(source(place, { guard }))))
      assert.strictEqual(error._tag, "SourceError")
      assert.deepStrictEqual([(yield* letters(place.dead)).length, (yield* Feed.Feed).committed(0)], [0, 0])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("ends a call in halves when there are too many, not with the last record", () =>
    Effect.gen(function* () {
      const place = yield* mixed(20, (n) => booking(n))
      yield* faults([{ fault: "error", code: "1003", match, every: 1 }])
      const error = yield* Effect.flip(flowing(take(100)(source(place, { guard }))))
      assert.strictEqual(error._tag, "SourceError")
      assert.isBelow((yield* addCalls).length, 20)
    }).pipe(Effect.provide(layer())),
  )
})

describe("the end", () => {
  it.effect(
    "in an outage of the dead-letter topic what is done before the dead letter is committed, within the drain",
    () =>
      Effect.gen(function* () {
        const place = yield* topics("stop-dead-away", 1)
        yield* fill(place, [...range(99).map((n) => ({ ...record(n), key: "k" })), { key: "k", value: "{" }])
        const client = yield* KafkaClient.KafkaClient
        const away: KafkaClient.Service = {
          ...client,
          // as a send that waits for a broker
          producer: () =>
            Effect.succeed({
              sendByKey: () => Effect.never,
              send: () => Effect.uninterruptible(Effect.sleep("2 minutes")).pipe(Effect.zipRight(Effect.never)),
            }),
        }
        const fiber = yield* Effect.fork(Effect.provideService(take(100)(source(place)), KafkaClient.KafkaClient, away))
        yield* TestClock.adjust("40 seconds")
        const begun = yield* Clock.currentTimeMillis
        yield* flowing(Fiber.interrupt(fiber))
        assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 22_000)
        const feed = yield* Feed.Feed
        assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 99])
        yield* flowing(take(1)(source(place)))
        assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [99, 0])
      }).pipe(Effect.provide(layer())),
  )

  it.effect("a call in flight is waited for and committed; nothing else is begun", () =>
    Effect.gen(function* () {
      const place = yield* topics("stop", 1)
      yield* fill(
        place,
        range(900).map((n) => ({ ...record(n), key: "k" })),
      )
      const fiber = yield* Effect.fork(take(900)(source(place)))
      yield* TestClock.adjust("25 seconds")
      const feed = yield* Feed.Feed
      assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [300, 300])
      yield* flowing(Fiber.interrupt(fiber))
      assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 600])
      assert.strictEqual((yield* stored).size, 600)
    }).pipe(Effect.provide(layer({ latency: "10 seconds" }))),
  )

  it.effect("a call that takes longer than the drain is left, uncommitted", () =>
    Effect.gen(function* () {
      const place = yield* topics("drain", 1)
      yield* fill(
        place,
        range(300).map((n) => ({ ...record(n), key: "k" })),
      )
      const fiber = yield* Effect.fork(take(300)(source(place, { drain: "5 seconds" })))
      yield* TestClock.adjust("1 seconds")
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(Fiber.interrupt(fiber))
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 7_000)
      const feed = yield* Feed.Feed
      assert.deepStrictEqual([feed.claimed(), feed.committed(0)], [0, 0])
    }).pipe(Effect.provide(layer({ latency: "30 seconds" }))),
  )

  it.effect("a call that Marketo refuses meanwhile is not waited for any longer", () =>
    Effect.gen(function* () {
      const place = yield* topics("stop-refused", 1)
      yield* fill(
        place,
        range(300).map((n) => ({ ...record(n), key: "k" })),
      )
      yield* faults([{ fault: "error", code: "608", match, every: 1, delay: "5 seconds" }])
      const fiber = yield* Effect.fork(take(300)(source(place)))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Feed.Feed).claimed(), 300)
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(Fiber.interrupt(fiber))
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 6_000)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("in an outage there is nothing to wait for", () =>
    Effect.gen(function* () {
      const place = yield* topics("stop-outage", 1)
      yield* fill(
        place,
        range(300).map((n) => ({ ...record(n), key: "k" })),
      )
      yield* faults([{ fault: "error", code: "608", match, every: 1 }])
      const fiber = yield* Effect.fork(take(300)(source(place)))
      yield* TestClock.adjust("1 minutes")
      const exit = yield* Fiber.interrupt(fiber) // no time passes
      assert.isTrue(Exit.isInterrupted(exit))
      assert.strictEqual((yield* Feed.Feed).claimed(), 0)
    }).pipe(Effect.provide(layer())),
  )

  it.effect("while one call is waited for, nothing of the others stays claimed", () =>
    Effect.gen(function* () {
      const place = yield* topics("stop-two", 2)
      yield* fill(
        place,
        range(300).map((n) => record(n)),
      )
      yield* faults([
        { fault: "delay", delay: "10 seconds", match },
        { fault: "error", code: "608", match, every: 1 },
      ])
      const fiber = yield* Effect.fork(take(300)(source(place, { batch: { maxCount: 10 }, concurrency: 2 })))
      yield* TestClock.adjust("2 seconds")
      const feed = yield* Feed.Feed
      assert.strictEqual(feed.claimed(), 10)
      yield* flowing(Fiber.interrupt(fiber))
      assert.deepStrictEqual([feed.claimed(), feed.committed(0) + feed.committed(1)], [0, 10])
    }).pipe(Effect.provide(layer())),
  )

  it.effect("a reader that is slow holds the source up", () =>
    Effect.gen(function* () {
      const place = yield* topics("slow", 1)
      yield* fill(
        place,
        range(3_000).map((n) => ({ ...record(n), key: "k" })),
      )
      const seen = yield* Queue.bounded<Progress.Progress>(1)
      const fiber = yield* Effect.fork(
        Stream.runForEach(source(place, { batch: { maxCount: 10 }, concurrency: 2 }), (progress) =>
          Queue.offer(seen, progress),
        ),
      )
      yield* TestClock.adjust("10 minutes")
      assert.isBelow((yield* Feed.Feed).committed(0), 100)
      yield* flowing(Fiber.interrupt(fiber))
    }).pipe(Effect.provide(layer())),
  )
})

describe("options", () => {
  for (const [options, field] of [
    [{ concurrency: 0 }, "concurrency"],
    [{ batch: { maxCount: 0 } }, "batch.maxCount"],
    [{ guard: { max: 1.5, of: 10 } }, "guard.max"],
    [{ guard: { max: 1, of: 0 } }, "guard.of"],
    [{ rebalanceTimeout: "129 seconds" }, "rebalanceTimeout"],
  ] as const) {
    it.effect(`${JSON.stringify(options)} is refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(take(1)(source({ topic: "t", dead: "d" }, options)))
        assert.instanceOf(error, MarketoError.MarketoInvalidRequest)
        assert.strictEqual((error as MarketoError.MarketoInvalidRequest).field, field)
      }).pipe(Effect.provide(layer())),
    )
  }
})

it.effect("a rebalance has to wait for as long as a call may take", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(take(1)(source({ topic: "t", dead: "d" }, { rebalanceTimeout: "250 seconds" })))
    assert.include(error.message, "must be at least 10m 30s")
  }).pipe(Effect.provide(layer({}, { addCustomActivities: { timeout: Duration.minutes(10) } }))),
)

it.effect("metrics count calls, and what was committed by outcome", () =>
  Effect.gen(function* () {
    const place = yield* topics("metrics", 1)
    yield* fill(
      place,
      [...range(5).map((n) => booking(n)), "{", booking(6, { leadId: 7 })].map((value) => ({ key: "k", value })),
    )
    yield* flowing(take(7)(source(place, { skipped: { "1004": "drop" } })))
    const counted = (yield* Metric.snapshot).flatMap(({ metricKey: { name, tags }, metricState }) =>
      tags.some(({ value }) => value === place.topic)
        ? [
            [
              tags.find(({ key }) => key === "outcome")?.value ?? name,
              (metricState as unknown as { count: number }).count,
            ],
          ]
        : [],
    )
    assert.deepStrictEqual(Object.fromEntries(counted), {
      added: 5,
      deadLettered: 1,
      dropped: 1,
      marketo_source_calls_total: 1,
    })
  }).pipe(Effect.provide(layer())),
)
