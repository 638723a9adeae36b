/**
 * Whatever comes from outside: no input throws, takes more than 50 ms of the processor, or more than 64 MiB.
 *
 * `npm run fuzz` tries more inputs. A failure prints its seed; `FUZZ_SEED=<seed>` gives the same inputs again.
 */
import { inspect } from "node:util"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import {
  Activities,
  Checkpoint,
  CustomActivities,
  CustomActivity,
  Feed,
  Marketo,
  RequestPolicy,
  type Subscription,
} from "@effect-marketo/core"
import { KafkaClient, type KafkaRecord, MemoryClient, PartitionBatch } from "@effect-marketo/kafka"
import { CustomActivitySource, DeadLetter } from "@effect-marketo/source-kafka"
import {
  Chunk,
  DateTime,
  type Duration,
  Effect,
  Either,
  Exit,
  FastCheck,
  Layer,
  Option,
  Record,
  Redacted,
  Stream,
  TestClock,
  TestContext,
} from "effect"
import * as deadLetters from "../src/internal/deadLetters.js"
import * as decoding from "../src/internal/decode.js"
import * as memoryFeed from "./support/feed.js"
import { booking, now, quiet, marketo as simulated, stored, TYPE, take, topics } from "./support/kit.js"

const runs = Number(process.env.FUZZ_RUNS ?? 40)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)

const MAX_CPU_MICROS = 50_000
const MAX_BYTES = 64 * 1024 * 1024

const bytesInUse = () => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** The best of some attempts counts: the first ones compile, and a garbage collection or a busy machine may come between. */
const withinLimits = async (use: () => unknown, attempts = 10): Promise<void> => {
  const cpu = process.cpuUsage()
  const bytes = bytesInUse()
  await use()
  const taken = bytesInUse() - bytes
  const { system, user } = process.cpuUsage(cpu)
  if (user + system <= MAX_CPU_MICROS && taken <= MAX_BYTES) return
  if (attempts > 1) return withinLimits(use, attempts - 1)
  assert.fail(`took ${(user + system) / 1_000} ms and ${Math.round(taken / 1_024)} KiB`)
}

const encoder = new TextEncoder()

/** What has been seen to make something throw, or take long. */
const tokens = [
  "[",
  "]",
  "{",
  "}",
  '"',
  "\\",
  ",",
  ":",
  "0",
  "9".repeat(400),
  "1e999",
  "-0",
  "null",
  '{"a":',
  '{"toString":1}',
  '{"__proto__":{"a":1}}',
  '"constructor"',
  "\\ud800",
  "\\u0000",
  "\ufeff",
  "é€😀",
  "\u2028",
  " ",
  "9007199254740993",
  '"2026-02-30T25:00:00Z"',
  '"+275760-09-13T00:00:00.001Z"',
]

const activity =
  '{"id":1,"marketoGUID":"1","leadId":7,"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,"primaryAttributeValue":"p","attributes":[{"name":"n","value":1}]}'

const valid = {
  record: booking(1),
  checkpoint:
    '{"v":1,"instance":"i","subscription":"s","sequence":3,"positions":[{"query":"activityTypeIds=1","token":"T=","through":"2026-01-20T00:00:00.000Z","answered":true}]}',
  page: `{"requestId":"1#2","success":true,"nextPageToken":"N=","moreResult":false,"result":[${activity},${activity}]}`,
  refusal: '{"requestId":"1#2","success":false,"errors":[{"code":"1003","message":"m"}]}',
  added: '{"requestId":"1#2","success":true,"result":[{"status":"skipped","reasons":[{"code":"1004","message":"m"}]}]}',
}

const token = FastCheck.constantFrom(...tokens)

/** A text with some of it replaced, removed or added. */
const spoilt = (texts: ReadonlyArray<string>) =>
  FastCheck.tuple(
    FastCheck.constantFrom(...texts),
    FastCheck.array(FastCheck.tuple(FastCheck.nat(), FastCheck.nat({ max: 12 }), FastCheck.option(token)), {
      maxLength: 6,
    }),
  ).map(([text, edits]) =>
    edits.reduce((edited, [at, length, put]) => {
      const from = at % (edited.length + 1)
      return edited.slice(0, from) + (put ?? "") + edited.slice(from + length)
    }, text),
  )

const repeatedTo = (maxBytes: number) =>
  FastCheck.tuple(token, token, FastCheck.constantFrom(2, 11, 500, 2_000, 5_000, 1_000_000)).map(
    ([first, last, times]) => {
      const count = Math.min(times, Math.floor(maxBytes / (first.length + last.length)))
      return first.repeat(count) + last.repeat(count)
    },
  )

/** A value nested deep within an otherwise valid text. */
const deep = (texts: ReadonlyArray<string>) =>
  FastCheck.tuple(FastCheck.constantFrom(...texts), FastCheck.constantFrom(11, 2_000, 5_000, 100_000)).map(
    ([text, depth]) => text.replace(/:("[^"]*"|\d+)/, `:${"[".repeat(depth)}${"]".repeat(depth)}`),
  )

const LARGE = 1_000_000

/** Of an answer of Marketo, which is parsed as a whole: `JSON.parse` takes 50 ms for a megabyte of brackets. */
const PAGE = 300_000

const textOf = (texts: ReadonlyArray<string>, maxBytes = LARGE) =>
  FastCheck.oneof({ arbitrary: spoilt(texts), weight: 6 }, repeatedTo(maxBytes), deep(texts), FastCheck.string())

/** Bytes are no text where a part of a letter is missing. */
const bytesOf = (texts: ReadonlyArray<string>, maxBytes = LARGE): FastCheck.Arbitrary<Uint8Array> =>
  FastCheck.oneof(
    { arbitrary: textOf(texts, maxBytes).map((text) => encoder.encode(text)), weight: 4 },
    FastCheck.tuple(spoilt(texts), FastCheck.nat()).map(([text, at]) => {
      const bytes = encoder.encode(text)
      bytes[at % Math.max(1, bytes.length)] = 0xff
      return bytes
    }),
    FastCheck.uint8Array({ maxLength: 2_000 }),
  )

const property = <A>(
  name: string,
  inputs: FastCheck.Arbitrary<A>,
  use: (input: A) => Promise<void>,
  { examples = [], numRuns = runs }: { readonly examples?: ReadonlyArray<A>; readonly numRuns?: number } = {},
) =>
  it(name, { timeout: 3_600_000 }, () =>
    FastCheck.assert(FastCheck.asyncProperty(inputs, use), {
      numRuns: numRuns + examples.length,
      seed,
      examples: examples.map((example): [A] => [example]),
      // inputs are large: one as it came says enough
      endOnFailure: true,
      asyncReporter: async ({ counterexample, errorInstance, failed }) => {
        if (!failed) return
        const input = inspect(counterexample?.[0], { maxStringLength: 300, maxArrayLength: 30, depth: 3 })
        throw new Error(`FUZZ_SEED=${seed} gives it again: ${String(errorInstance)}, with ${input}`, {
          cause: errorInstance,
        })
      },
    }),
  )

const fuzz = <A>(
  name: string,
  inputs: FastCheck.Arbitrary<A>,
  use: (input: A) => unknown,
  examples: ReadonlyArray<A> = [],
) => property(name, inputs, (input) => withinLimits(() => use(input)), { examples })

const isTyped = (exit: Exit.Exit<unknown, unknown>) => Exit.isSuccess(exit) || exit.cause._tag === "Fail"

/** What stood in reports, whatever the generators make of it. */
const seen = (text: string, maxBytes = LARGE) => [
  "[".repeat(maxBytes),
  '{"a":'.repeat(maxBytes / 5),
  ...[2_000, 5_000].map((depth) => text.replace(/:(\d+)/, `:${"[".repeat(depth)}${"]".repeat(depth)}`)),
  text.replace(/:(\d+)/, ':{"toString":1}'),
  text.replace(/:"[^"]*"/g, ':"\\ud800"'),
]

const header = FastCheck.oneof(
  FastCheck.constantFrom("constructor", "__proto__", "toString", "", "marketo.redriven", "x"),
  FastCheck.constantFrom(...Object.values(DeadLetter.headers)),
  FastCheck.string(),
  spoilt(Object.values(DeadLetter.headers)),
)
const headerValue = FastCheck.oneof(
  FastCheck.constant(null),
  FastCheck.constantFrom("0", "9".repeat(30), "-1", "1e3", "1,2", "Unknown").map((text) => encoder.encode(text)),
  FastCheck.uint8Array({ maxLength: 50 }),
)
const headers = FastCheck.tuple(
  FastCheck.array(FastCheck.tuple(header, FastCheck.array(headerValue, { maxLength: 3 })), { maxLength: 20 }),
  FastCheck.constantFrom(0, 0, 0, 8_000),
).map(([some, more]) => {
  const all: Record<string, ReadonlyArray<Uint8Array | null>> = Object.create(null)
  for (const [name, values] of some) all[name] = values
  for (let n = 0; n < more; n++) all[`n${n}`] = [encoder.encode("v")]
  return all
})
const records = FastCheck.record({
  topic: FastCheck.constant("in"),
  partition: FastCheck.constant(3),
  offset: FastCheck.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  timestamp: FastCheck.constantFrom(...[-8.64e15, 0, 8.64e15].map((millis) => DateTime.unsafeMake(millis))),
  key: FastCheck.option(bytesOf(["key"])).map(Option.fromNullable),
  value: FastCheck.option(bytesOf([valid.record])).map(Option.fromNullable),
  headers,
}) satisfies FastCheck.Arbitrary<KafkaRecord.ConsumerRecord>

const flowing = <A, E, R>(effect: Effect.Effect<A, E, R>, step: Duration.DurationInput) =>
  Effect.raceFirst(effect, Effect.forever(Effect.zipRight(Effect.yieldNow(), TestClock.adjust(step))))

describe("no input throws, or takes more than 50 ms or 64 MiB", () => {
  fuzz(
    "CustomActivity.fromBytes",
    bytesOf([valid.record]),
    (bytes) => {
      const decoded = CustomActivity.fromBytes(bytes)
      if (Either.isLeft(decoded)) return
      // what was taken is JSON that means what its members say
      const { activityDate: _, ...sent } = JSON.parse(new TextDecoder().decode(decoded.right.json))
      assert.strictEqual(String(sent.leadId), String(decoded.right.leadId))
      assert.strictEqual(sent.attributes.length, decoded.right.attributes.length)
    },
    seen(valid.record).map((text) => encoder.encode(text)),
  )

  const subscription = { instance: "i", name: "s" } as Subscription.Subscription

  fuzz(
    "a checkpoint's text",
    textOf([valid.checkpoint]),
    (text) => {
      const exit = Effect.runSyncExit(Checkpoint.fromJson(text, subscription))
      assert.isTrue(isTyped(exit))
    },
    seen(valid.checkpoint),
  )

  const batchOf = (record: KafkaRecord.ConsumerRecord) =>
    PartitionBatch.make({
      topic: record.topic,
      partition: record.partition,
      length: 1,
      at: () => record,
      valueAt: () => Option.getOrNull(record.value),
      unreadableAt: () => undefined,
      records: Chunk.of(record),
      first: true,
      hasMore: false,
      claim: () => true,
      commit: () => Effect.succeed(true),
      release: Effect.void,
    })

  const decode = decoding.make<never, never>(undefined)

  fuzz("a record through decoding, its dead letter and back", records, (record) =>
    Effect.gen(function* () {
      DeadLetter.fromRecord(record)
      const client = yield* KafkaClient.KafkaClient
      yield* client.createTopic({ name: "dead", partitions: 1 })
      const letters = yield* deadLetters.make("dead", "group")
      const [entry] = yield* decode({ batch: batchOf(record), from: 0, until: 1 })
      assert.isDefined(entry)
      const { outcome } = entry
      if (outcome?._tag !== "Dead") return
      yield* letters.write([[entry, outcome.cause]])
      const [written] = yield* Stream.runCollect(client.read("dead"))
      assert.isDefined(written)
      const { attempts, codes, isCut, offset, partition, source, topic } = Option.getOrThrow(
        DeadLetter.fromRecord(written),
      )
      assert.deepStrictEqual(
        [topic, partition, offset, source, codes],
        ["in", 3, record.offset, "group", ["undecodable"]],
      )
      assert.isTrue(attempts >= 1 && attempts <= 1_000)
      if (isCut) return
      const kept = Object.keys(record.headers).filter(
        (name) => !DeadLetter.isReserved(name) && record.headers[name]?.[0],
      )
      assert.deepStrictEqual(
        kept.filter((name) => !(name in written.headers)),
        [],
      )
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(MemoryClient.layer, quiet)), (run) => Effect.runPromise(run)),
  )

  /** The next answer; those after it are as they should be. */
  let answer: Uint8Array | undefined
  const next = () => {
    const taken = answer ?? encoder.encode(valid.page)
    answer = undefined
    return Buffer.from(taken)
  }
  const http = HttpClient.make((request, { pathname }) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        pathname.includes("identity")
          ? new Response('{"access_token":"t","token_type":"bearer","expires_in":3599,"scope":"s"}')
          : pathname.includes("pagingtoken")
            ? new Response('{"requestId":"1#2","success":true,"nextPageToken":"FIRST="}')
            : new Response(next()),
      ),
    ),
  )
  const marketo = Marketo.layer({
    baseUrl: "https://123-abc-456.mktorest.com",
    clientId: Redacted.make("i"),
    clientSecret: Redacted.make("s"),
    policies: Record.map(RequestPolicy.endpoints, () => ({ retries: 0 })),
  }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, http)))

  const read = Effect.flatMap(Activities.Activities, (activities) =>
    Stream.runForEach(
      Stream.take(
        activities.pages(Feed.leadActivities({ activityTypeIds: [1] }), {
          since: "2026-01-01T00:00:00Z",
          undecodable: "keep",
        }),
        1,
      ),
      ({ records }) =>
        Effect.sync(() => Chunk.forEach(records, (one) => [one.identity, one.leadId, one.value, one.activityDate])),
    ),
  )
  const add = Effect.flatMap(CustomActivities.CustomActivities, (activities) =>
    activities.add(
      Chunk.of({
        leadId: 7,
        activityDate: DateTime.unsafeMake("2026-01-20T00:00:00Z"),
        activityTypeId: TYPE,
        primaryAttributeValue: "x",
        attributes: [],
      }),
    ),
  )

  for (const [name, use] of Object.entries({ read, add })) {
    fuzz(
      `an answer of Marketo (${name})`,
      bytesOf([valid.page, valid.added, valid.refusal], PAGE),
      (bytes) => {
        answer = bytes
        return Effect.gen(function* () {
          yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
          const exit = yield* flowing(
            Effect.exit(
              Effect.provide(
                use as Effect.Effect<unknown, unknown, Activities.Activities | CustomActivities.CustomActivities>,
                marketo,
              ),
            ),
            "1 hours",
          )
          assert.isTrue(isTyped(exit), String(exit))
        }).pipe(Effect.provide(Layer.mergeAll(TestContext.TestContext, quiet)), Effect.runPromise)
      },
      seen(valid.page, PAGE).map((text) => encoder.encode(text)),
    )
  }
})

property(
  "whatever records there are, each is added or exactly one dead letter, and the next is worked on",
  FastCheck.array(records, { minLength: 1, maxLength: 8 }),
  (hostile) =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const { dead, topic } = yield* topics("hostile", 1, { "max.message.bytes": "100000000" })
      const producer = yield* client.producer()
      for (const [n, { headers, key, value }] of hostile.entries()) {
        const one = { key: Option.getOrNull(key), value: Option.getOrNull(value), headers }
        yield* producer.send({ topic, partition: 0 }, [one, { key: "k", value: booking(1_000 + n) }])
      }
      const count = 2 * hostile.length
      const running = take(count)(
        CustomActivitySource.stream({
          topic,
          groupId: "group",
          deadLetterTopic: dead,
          batch: { maxWait: "1 seconds" },
        }),
      )
      const done = yield* flowing(running, "1 seconds")
      const letters = yield* Stream.runCollect(client.read(dead))
      const offsets = Chunk.map(letters, (one) => Option.getOrThrow(DeadLetter.fromRecord(one)).offset)
      assert.strictEqual(new Set(offsets).size, letters.length)
      assert.deepStrictEqual([done.deadLettered, done.added + letters.length], [letters.length, count])
      const found = yield* stored
      for (const n of hostile.keys()) assert.strictEqual(found.get(`B-${1_000 + n}`), 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(memoryFeed.layer, simulated())),
      Effect.provide(Layer.effectDiscard(TestClock.setTime(DateTime.toEpochMillis(now)))),
      Effect.provide(Layer.merge(TestContext.TestContext, quiet)),
      (run) => Effect.runPromise(run),
    ),
  { numRuns: Math.ceil(runs / 6) },
)
