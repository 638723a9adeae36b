/** What becomes of every record whose call had no answer, was refused, or shared its time with others. */
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { CustomActivities, type CustomActivity, ErrorCode, Marketo, type MarketoError } from "@effect-marketo/core"
import {
  Chunk,
  Clock,
  DateTime,
  Effect,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Redacted,
  Ref,
  Schedule,
  Schema,
  Stream,
  TestClock,
} from "effect"

/** A record as it stands on the wire. */
interface Sent {
  readonly leadId: number
  readonly activityDate: string
  readonly activityTypeId: number
  readonly primaryAttributeValue: string
  readonly attributes: ReadonlyArray<{ readonly apiName: string; readonly value: unknown }>
}

/** A body with HTTP 200, another status with an HTML page, or a connection that breaks. */
type Answer = string | number | Response | Error

type Post = (records: ReadonlyArray<Sent>, instance: Instance, call: number) => Effect.Effect<Answer>

interface Setting extends Partial<Marketo.Options> {
  /** Answers call number `call` for a page of activities, from 0. */
  readonly look?: (instance: Instance, call: number) => Effect.Effect<Answer>
}

/** A Marketo instance of which the test says how it answers a call that adds records. */
class Instance {
  readonly #stored: Array<Sent & { readonly marketoGUID: string }> = []
  #tokens = 0
  /** The leads of each call that added records. */
  readonly posts: Array<ReadonlyArray<number>> = []
  /** When each call for a page of activities began, epoch milliseconds. */
  readonly looks: Array<number> = []
  readonly layer: Layer.Layer<Marketo.Services, MarketoError.MarketoInvalidRequest>

  constructor(post: Post, { look = (instance) => Effect.sync(() => instance.page()), ...options }: Setting = {}) {
    const answer = (path: string, body: string): Effect.Effect<Answer> => {
      switch (path) {
        case "/identity/oauth/token":
          return Effect.sync(() => `{"access_token":"t${++this.#tokens}","token_type":"bearer","expires_in":3599}`)
        case "/rest/v1/activities/types.json":
          return Effect.succeed('{"requestId":"r","success":true,"result":[]}')
        case "/rest/v1/activities/pagingtoken.json":
          return Effect.succeed('{"requestId":"r","success":true,"nextPageToken":"A"}')
        case "/rest/v1/activities.json":
          return Effect.flatMap(Clock.currentTimeMillis, (now) => look(this, this.looks.push(now) - 1))
        default: {
          const records: ReadonlyArray<Sent> = JSON.parse(body).input
          return post(records, this, this.posts.push(records.map(({ leadId }) => leadId)) - 1)
        }
      }
    }
    const http = HttpClient.make((request, url) =>
      Effect.flatMap(
        Effect.suspend(() =>
          answer(url.pathname, request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""),
        ),
        (reply) => {
          if (reply instanceof Error) {
            return new HttpClientError.RequestError({ request, reason: "Transport", cause: reply })
          }
          if (reply instanceof Response) return Effect.succeed(HttpClientResponse.fromWeb(request, reply))
          const response =
            typeof reply === "number" ? new Response("<html></html>", { status: reply }) : new Response(reply)
          return Effect.succeed(HttpClientResponse.fromWeb(request, response))
        },
      ),
    )
    this.layer = Marketo.layer({
      baseUrl: "https://123-abc-456.mktorest.com",
      clientId: Redacted.make("id"),
      clientSecret: Redacted.make("secret"),
      ...options,
    }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, http)))
  }

  /** Stores a record, as if Marketo had executed the call. */
  save(record: Sent): string {
    const marketoGUID = `g${this.#stored.length + 1}`
    this.#stored.push({ ...record, marketoGUID })
    return marketoGUID
  }

  /** Stores records and says so. */
  add(records: ReadonlyArray<Sent>): Answer {
    const result = records.map((record) => ({ marketoGUID: this.save(record), status: "added" }))
    return JSON.stringify({ requestId: "r", success: true, result })
  }

  /** The page with all that is stored. */
  page(): Answer {
    const result = this.#stored.map((record, index) => ({
      id: index + 1,
      ...record,
      attributes: record.attributes.map(({ apiName, value }) => ({ name: apiName, value })),
    }))
    return JSON.stringify({ requestId: "r", success: true, nextPageToken: "B", moreResult: false, result })
  }
}

const now = DateTime.unsafeMake("2026-01-20T12:00:00Z")
const quiet = Logger.minimumLogLevel(LogLevel.None)

const activity = (
  leadId: number,
  attributes: CustomActivity.CustomActivity["attributes"] = [{ apiName: "rentalId", value: `R${leadId}` }],
  primaryAttributeValue = "Sea Kayak",
): CustomActivity.CustomActivity => ({
  leadId,
  activityDate: DateTime.unsafeMake("2026-01-20T10:00:00Z"),
  activityTypeId: 100_001,
  primaryAttributeValue,
  attributes,
})

const sent = (leadId: number, attributes: Sent["attributes"] = []): Sent => ({
  leadId,
  activityDate: "2026-01-20T10:00:00Z",
  activityTypeId: 100_001,
  primaryAttributeValue: "Sea Kayak",
  attributes,
})

/** An answer that leaves open whether the call was executed. */
const silence = Effect.succeed(502)

/** What is stored is visible at once: one look tells. */
const visibilityDelay = 0

const refusal = (code: string): Answer => `{"requestId":"r","success":false,"errors":[{"code":"${code}"}]}`

/** One record of `records`; the test fails when there is none. */
const at = (records: ReadonlyArray<Sent>, index: number): Sent => {
  const record = records[index]
  assert.isDefined(record)
  return record as Sent
}

/** Stores a record, but its answer is lost. */
const saveSilently = (instance: Instance, record: Sent) =>
  Effect.zipRight(
    Effect.sync(() => instance.save(record)),
    silence,
  )

/** A day goes by, and whoever sleeps wakes at their own time. */
const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    yield* TestClock.setTime(DateTime.toEpochMillis(now))
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 days")
    return yield* Fiber.join(fiber)
  })

type Row = readonly [lead: unknown, outcome: string, marketoGUID?: string]

const rowOf = ([{ leadId }, outcome]: readonly [CustomActivity.CustomActivity, CustomActivities.Outcome]): Row =>
  outcome._tag === "Added" ? [leadId, `Added by ${outcome.confirmedBy}`, outcome.marketoGUID] : [leadId, outcome._tag]

/** Writes the records; what came back, also when the stream fails, and its failure. */
const writing = (
  instance: Instance,
  input: Iterable<CustomActivity.CustomActivity>,
  options: CustomActivities.AddAllOptions = {},
) =>
  Effect.gen(function* () {
    const service = yield* CustomActivities.CustomActivities
    const rows = yield* Ref.make<ReadonlyArray<Row>>([])
    const result = yield* service
      .addAll(Stream.fromIterable(input), (record) => record, options)
      .pipe(
        Stream.runForEach((pair) => Ref.update(rows, (all) => [...all, rowOf(pair)])),
        Effect.either,
      )
    return { rows: yield* Ref.get(rows), failure: result._tag === "Left" ? result.left : undefined }
  }).pipe(passing, Effect.provide([instance.layer, quiet]))

describe("an identity", () => {
  for (const notFound of ["inDoubt", "resend"] as const) {
    for (const [what, identity, attributes] of [
      ["is misspelt", "rentalID2", undefined],
      ["is the primary attribute's own name", "product", undefined],
      ["is one that the record lacks", "rentalId", []],
      ["is empty in the record", "rentalId", [{ apiName: "rentalId", value: "" }]],
    ] as const) {
      it.effect(`that ${what} confirms nothing and sends nothing again: ${notFound}`, () =>
        Effect.gen(function* () {
          const instance = new Instance(() => silence)
          // of the same type, with nothing in common but what they lack
          instance.save(sent(1))
          instance.save(sent(2, [{ apiName: "rentalId", value: "" }]))
          const { failure, rows } = yield* writing(instance, [activity(1, attributes), activity(2, attributes)], {
            unknown: { notFound, identity, visibilityDelay },
          })
          assert.isUndefined(failure)
          assert.deepStrictEqual(rows, [
            [1, "InDoubt"],
            [2, "InDoubt"],
          ])
          assert.strictEqual(instance.posts.length, 1)
        }),
      )
    }
  }

  it.effect("tells times apart that differ in milliseconds", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0 ? saveSilently(instance, at(records, 1)) : Effect.sync(() => instance.add(records)),
      )
      const by = (millis: string) => [{ apiName: "eventId", value: `2026-01-20T10:00:00.${millis}Z` }]
      const { rows } = yield* writing(instance, [activity(1, by("111")), activity(2, by("222"))], {
        unknown: { notFound: "resend", identity: "eventId", visibilityDelay },
      })
      assert.deepStrictEqual(rows, [
        [1, "Added by answer", "g2"],
        [2, "Added by readBack", "g1"],
      ])
      assert.deepStrictEqual(instance.posts, [[1, 2], [1]])
    }),
  )
})

describe("a record that is sent again", () => {
  const unknown = { identity: "rentalId", notFound: "resend", visibilityDelay } as const
  for (const [what, again] of [
    ["as too large", 413],
    ["for another reason", refusal("603")],
  ] as const) {
    it.effect(`and then refused ${what}, stays in doubt: the first call may have stored it`, () =>
      Effect.gen(function* () {
        const instance = new Instance((_records, _instance, call) => (call === 0 ? silence : Effect.succeed(again)))
        const { failure, rows } = yield* writing(instance, [activity(1), activity(2)], { unknown })
        assert.strictEqual(failure?._tag, again === 413 ? undefined : "MarketoUnauthorized")
        assert.deepStrictEqual(rows, [
          [1, "InDoubt"],
          [2, "InDoubt"],
        ])
      }),
    )
  }
})

describe("records that are equal", () => {
  const one = { batch: { maxCount: 1 }, unknown: { visibilityDelay } }

  it.effect("one call after the other: what the first stored is not found again for the second", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0 ? saveSilently(instance, at(records, 0)) : silence,
      )
      const { rows } = yield* writing(instance, [activity(1), activity(1)], one)
      assert.deepStrictEqual(rows, [
        [1, "Added by readBack", "g1"],
        [1, "InDoubt"],
      ])
    }),
  )

  it.effect("what an answer named is not found again for a later call", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0 ? Effect.sync(() => instance.add(records)) : silence,
      )
      const { rows } = yield* writing(instance, [activity(1), activity(1)], one)
      assert.deepStrictEqual(rows, [
        [1, "Added by answer", "g1"],
        [1, "InDoubt"],
      ])
    }),
  )

  for (const [what, first, before, after] of [
    ["is stored and answers late", "20 millis", "0 millis", "50 millis"],
    ["is stored and answered while the first is looked for", "0 millis", "300 millis", "0 millis"],
  ] as const) {
    it.effect(`two calls at once: the first is never executed, the second ${what}`, () =>
      Effect.gen(function* () {
        const instance = new Instance((records, instance, call) =>
          call === 0
            ? Effect.delay(silence, first)
            : Effect.sync(() => instance.add(records)).pipe(Effect.delay(before), Effect.tap(Effect.sleep(after))),
        )
        const { rows } = yield* writing(instance, [activity(1), activity(1)], {
          ...one,
          concurrency: 2,
          unknown: { visibilityDelay: "1200 millis" },
        })
        assert.deepStrictEqual(rows, [
          [1, "InDoubt"],
          [1, "Added by answer", "g1"],
        ])
      }),
    )
  }

  it.effect("in one call that stored one of them: found once, also after the other was sent again", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0 ? saveSilently(instance, at(records, 0)) : silence,
      )
      const { rows } = yield* writing(instance, [activity(1), activity(1)], {
        unknown: { notFound: "resend", resends: 1, visibilityDelay },
      })
      assert.deepStrictEqual(rows, [
        [1, "Added by readBack", "g1"],
        [1, "InDoubt"],
      ])
      assert.deepStrictEqual(instance.posts, [[1, 1], [1]])
    }),
  )
})

describe("looking", () => {
  it.effect("keeps what an earlier look found when later ones fail", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance) => saveSilently(instance, at(records, 0)), {
        look: (instance, call) => (call === 0 ? Effect.sync(() => instance.page()) : silence),
        policies: { leadActivities: { retries: 0 } },
      })
      const { rows } = yield* writing(instance, [activity(1), activity(2)])
      assert.deepStrictEqual(rows, [
        [1, "Added by readBack", "g1"],
        [2, "InDoubt"],
      ])
      assert.isAbove(instance.looks.length, 1)
    }),
  )

  it.effect("goes on until a look that began when the visibility delay was over, however slow looks are", () =>
    Effect.gen(function* () {
      const start = DateTime.toEpochMillis(now)
      const instance = new Instance(
        (records, instance, call) =>
          call === 0 ? saveSilently(instance, at(records, 0)) : Effect.sync(() => instance.add(records)),
        {
          // visible after 19 s; each answer tells what was visible when the call began, 30 s ago
          look: (instance) =>
            Effect.flatMap(Clock.currentTimeMillis, (began) =>
              Effect.delay(
                Effect.sync(() => (began - start >= 19_000 ? instance.page() : new Instance(() => silence).page())),
                "30 seconds",
              ),
            ),
        },
      )
      const { rows } = yield* writing(instance, [activity(1)], {
        unknown: { notFound: "resend", visibilityDelay: "20 seconds" },
      })
      assert.deepStrictEqual(rows, [[1, "Added by readBack", "g1"]])
      assert.strictEqual(instance.posts.length, 1)
      assert.deepStrictEqual(
        instance.looks.map((began) => began - start),
        [0, 30_000],
      )
    }),
  )

  it.effect("finds a primary value that is a date in Marketo's spelling", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance) =>
        saveSilently(instance, { ...at(records, 0), primaryAttributeValue: "2026-01-20T10:00:00+0000" }),
      )
      const { rows } = yield* writing(instance, [activity(1, [], "2026-01-20T10:00:00Z")], {
        unknown: { notFound: "resend" },
      })
      assert.deepStrictEqual(rows, [[1, "Added by readBack", "g1"]])
      assert.strictEqual(instance.posts.length, 1)
    }),
  )
})

describe("what is stored beside a record, with a value that is no text, number or boolean,", () => {
  for (const [what, value] of [
    ["an object without a text", '{"toString":1,"valueOf":1}'],
    ["a list 20,000 levels deep", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
    ["an object of the name of a prototype", '{"__proto__":{"constructor":null}}'],
  ] as const) {
    for (const identity of [undefined, "rentalId"]) {
      it.effect(`${what}, is not taken for it: ${identity ?? "by content"}`, () =>
        Effect.gen(function* () {
          const hostile = `{"id":9,"marketoGUID":"h","leadId":1,"activityDate":"2026-01-20T10:00:00Z","activityTypeId":100001,"primaryAttributeValue":"Sea Kayak","attributes":[{"name":"rentalId","value":${value}}]},`
          const instance = new Instance((records, instance) => saveSilently(instance, at(records, 0)), {
            look: (instance) =>
              Effect.sync(() => String(instance.page()).replace('"result":[', () => `"result":[${hostile}`)),
          })
          const { failure, rows } = yield* writing(instance, [activity(1)], { unknown: { identity } })
          assert.isUndefined(failure)
          assert.deepStrictEqual(rows, [[1, "Added by readBack", "g1"]])
        }),
      )
    }
  }
})

it.effect("an element of the answer with the status created is added: the swagger lists it", () =>
  Effect.gen(function* () {
    const answer = '{"requestId":"r","success":true,"result":[{"status":"created","marketoGUID":"g1"}]}'
    const { rows } = yield* writing(new Instance(() => Effect.succeed(answer)), [activity(1)])
    assert.deepStrictEqual(rows, [[1, "Added by answer", "g1"]])
  }),
)

describe("an element of the answer that says neither added, with an id, nor skipped", () => {
  for (const element of ['{"status":"added"}', "null", '{"id":5,"marketoGUID":"5"}', '{"status":"failed"}', "[]"]) {
    const answer = `{"requestId":"r","success":true,"result":[{"status":"added","marketoGUID":"g1"},${element}]}`

    for (const isStored of [true, false]) {
      it.effect(`${element}: looked for, and ${isStored ? "there" : "not there"}`, () =>
        Effect.gen(function* () {
          const instance = new Instance((records, instance) =>
            Effect.sync(() => {
              for (const record of isStored ? records : records.slice(0, 1)) instance.save(record)
              return answer
            }),
          )
          const { failure, rows } = yield* writing(instance, [activity(1), activity(2)], {
            unknown: { visibilityDelay },
          })
          assert.isUndefined(failure)
          assert.deepStrictEqual(rows, [
            [1, "Added by readBack", "g1"],
            isStored ? [2, "Added by readBack", "g2"] : [2, "InDoubt"],
          ])
          assert.strictEqual(instance.posts.length, 1)
        }),
      )
    }

    it.effect(`${element}: add fails and says that the outcome is unknown`, () =>
      Effect.gen(function* () {
        const instance = new Instance(() => Effect.succeed(answer))
        const error = yield* Effect.flatMap(CustomActivities.CustomActivities, (service) =>
          Effect.flip(service.add(Chunk.make(activity(1), activity(2)))),
        ).pipe(Effect.provide([instance.layer, quiet]))
        assert.deepStrictEqual([error._tag, "execution" in error && error.execution], ["MarketoUnavailable", "Unknown"])
      }),
    )
  }
})

describe("when a call is refused", () => {
  it.effect("what calls under way store comes back, then the failure; nothing new is begun", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0
          ? Effect.delay(Effect.succeed(refusal("603")), "100 millis")
          : Effect.delay(
              Effect.sync(() => instance.add(records)),
              "200 millis",
            ),
      )
      const { failure, rows } = yield* writing(
        instance,
        [1, 2, 3, 4].map((i) => activity(i)),
        {
          concurrency: 2,
          batch: { maxCount: 1 },
        },
      )
      assert.strictEqual(failure?._tag, "MarketoUnauthorized")
      assert.deepStrictEqual(rows, [[2, "Added by answer", "g1"]])
      assert.deepStrictEqual(instance.posts, [[1], [2]])
    }),
  )

  it.effect("a call that waited while another was looked up in vain is not begun", () =>
    Effect.gen(function* () {
      const instance = new Instance((records, instance, call) =>
        call === 0 ? silence : Effect.sync(() => instance.add(records)),
      )
      const { failure, rows } = yield* writing(
        instance,
        [1, 2, 3, 4].map((i) => activity(i)),
        { concurrency: 2, batch: { maxCount: 1 }, unknown: { notFound: "fail", visibilityDelay: "1 second" } },
      )
      assert.strictEqual(failure !== undefined && "execution" in failure && failure.execution, "Unknown")
      assert.deepStrictEqual(rows, [])
      assert.deepStrictEqual(instance.posts, [[1]])
    }),
  )

  it.effect("no input behind the first that was refused comes back, one that was never sent neither", () =>
    Effect.gen(function* () {
      const instance = new Instance(() => Effect.succeed(refusal("603")))
      const { failure, rows } = yield* writing(instance, [activity(-1), activity(1), activity(-2), activity(3)])
      assert.strictEqual(failure?._tag, "MarketoUnauthorized")
      assert.deepStrictEqual(rows, [[-1, "Invalid"]])
    }),
  )
})

it.effect("outcomes come in the order of the input when calls overtake one another", () =>
  Effect.gen(function* () {
    const instance = new Instance((records, instance, call) =>
      Effect.delay(
        Effect.sync(() => instance.add(records)),
        `${100 - call * 30} millis`,
      ),
    )
    const { rows } = yield* writing(instance, [1, -2, 3].map((i) => activity(i)).concat(activity(4)), {
      concurrency: 3,
      batch: { maxCount: 1 },
    })
    assert.deepStrictEqual(
      rows.map(([lead, outcome]) => [lead, outcome]),
      [
        [1, "Added by answer"],
        [-2, "Invalid"],
        [3, "Added by answer"],
        [4, "Added by answer"],
      ],
    )
  }),
)

describe("records that are refused before a call", () => {
  const refused = Stream.map(
    Stream.iterate(-1, (i) => i - 1),
    (i) => activity(i),
  )

  it.effect("come back from an endless input of them", () =>
    Effect.gen(function* () {
      const instance = new Instance(() => silence)
      const service = yield* CustomActivities.CustomActivities.pipe(Effect.provide(instance.layer))
      const outcomes = yield* service.addAll(refused, (record) => record).pipe(Stream.take(1_000), Stream.runCollect)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(outcomes).map(rowOf),
        Array.from({ length: 1_000 }, (_, i): Row => [-1 - i, "Invalid"]),
      )
      assert.deepStrictEqual(instance.posts, [])
    }),
  )

  it.effect("wait no longer than others do", () =>
    Effect.gen(function* () {
      const instance = new Instance(() => silence)
      const service = yield* CustomActivities.CustomActivities.pipe(Effect.provide(instance.layer))
      const came = yield* Ref.make(0)
      const slow = Stream.schedule(refused, Schedule.spaced("1 seconds"))
      yield* service
        .addAll(slow, (record) => record, { batch: { maxWait: "10 seconds" } })
        .pipe(
          Stream.runForEach(() => Ref.update(came, (n) => n + 1)),
          Effect.fork,
        )
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* Ref.get(came), 0)
      yield* TestClock.adjust("3 seconds")
      assert.isAbove(yield* Ref.get(came), 8)
    }),
  )
})

describe("sink", () => {
  it.effect("writes and hands on what came before its input failed", () =>
    Effect.gen(function* () {
      class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
      const instance = new Instance((records, instance) =>
        Effect.sync(() => instance.add(records)).pipe(Effect.tap(Effect.sleep("2 seconds"))),
      )
      const seen = yield* Ref.make<ReadonlyArray<Row>>([])
      const later = Stream.drain(Stream.fromEffect(Effect.sleep("1 seconds")))
      const error = yield* Stream.make(activity(1), activity(2)).pipe(
        Stream.concat(later),
        Stream.concat(Stream.fail(new Broken())),
        Stream.run(
          CustomActivities.sink((outcomes) => Ref.update(seen, (all) => [...all, ...Chunk.map(outcomes, rowOf)]), {
            batch: { maxCount: 1 },
          }),
        ),
        Effect.flip,
        passing,
        Effect.provide([instance.layer, quiet]),
      )
      assert.strictEqual(error._tag, "Broken")
      assert.deepStrictEqual(yield* Ref.get(seen), [
        [1, "Added by answer", "g1"],
        [2, "Added by answer", "g2"],
      ])
    }),
  )
})

/** What a call fails with, as the row has it; a time limit is reached by no answer at all. */
const faultOf = ({ code, level }: ErrorCode.Row): Effect.Effect<Answer> => {
  switch (level) {
    case "Response":
      return Effect.succeed(refusal(code))
    case "HTTP":
      return Effect.succeed(Number(code.replace("xx", "02")))
    case "Connection":
      return Effect.succeed(
        Object.assign(new Error("broken"), { code: code === "not sent" ? "ECONNREFUSED" : "ECONNRESET" }),
      )
    case "Client":
      switch (code) {
        case "Timeout":
          return Effect.never
        case "Malformed":
          return Effect.succeed("")
        case "Encoding":
          return Effect.succeed(new Response("?", { headers: { "content-encoding": "zstd" } }))
        case "TooLarge":
          return Effect.succeed(new Response(new Uint8Array(64 * 1024 * 1024 + 1)))
        case "Redirected":
          return Effect.succeed(Object.defineProperty(new Response("{}"), "redirected", { value: true }))
        default:
          return Effect.succeed('{"requestId":"r","success":true,"result":[]}')
      }
  }
}

const codesOf = (error: MarketoError.MarketoError | undefined): unknown => {
  switch (error?._tag) {
    case "MarketoUnauthorized":
    case "MarketoLimited":
      return error.reason
    case "MarketoRejected":
      return error.codes[0]
    default:
      return error?._tag
  }
}

describe("every way to fail of the table", () => {
  for (const row of ErrorCode.table) {
    const what = `${row.level} ${row.code}`
    if (row.execution === "Unknown") {
      it.effect(`${what}: never repeated, looked for`, () =>
        Effect.gen(function* () {
          for (const isStored of [true, false]) {
            const instance = new Instance((records, instance) =>
              Effect.suspend(() => {
                if (isStored) instance.save(at(records, 0))
                return faultOf(row)
              }),
            )
            const { failure, rows } = yield* writing(instance, [activity(1)], { unknown: { visibilityDelay } })
            assert.isUndefined(failure)
            assert.deepStrictEqual(rows, [isStored ? [1, "Added by readBack", "g1"] : [1, "InDoubt"]])
            assert.deepStrictEqual(instance.posts, [[1]])
          }
        }),
      )
    } else if (what === "HTTP 413") {
      it.effect(`${what}: a record that is too large even alone is invalid`, () =>
        Effect.gen(function* () {
          const instance = new Instance(() => faultOf(row))
          const { failure, rows } = yield* writing(instance, [activity(1)])
          assert.isUndefined(failure)
          assert.deepStrictEqual(rows, [[1, "Invalid"]])
          assert.deepStrictEqual(instance.posts, [[1]])
        }),
      )
    } else if (row.action === "Fail" || row.action === "WaitQuota") {
      it.effect(`${what}: ends the stream, nothing came back, nothing was looked for`, () =>
        Effect.gen(function* () {
          const instance = new Instance(() => faultOf(row))
          const { failure, rows } = yield* writing(instance, [activity(1)])
          const expected = { "603": "Permission", "607": "DailyQuota" }[row.code] ?? row.code
          assert.strictEqual(codesOf(failure), expected)
          assert.deepStrictEqual([rows, instance.posts, instance.looks], [[], [[1]], []])
        }),
      )
    }
    if (row.execution === "NotExecuted" && row.action !== "Fail") {
      it.effect(`${what}: repeated, and added`, () =>
        Effect.gen(function* () {
          const instance = new Instance(
            (records, instance, call) => (call === 0 ? faultOf(row) : Effect.sync(() => instance.add(records))),
            // 607 waits only where it is told to
            { limits: { dailyQuota: "wait" } },
          )
          const { failure, rows } = yield* writing(instance, [activity(1)])
          assert.isUndefined(failure)
          assert.deepStrictEqual(rows, [[1, "Added by answer", "g1"]])
          assert.deepStrictEqual([instance.posts, instance.looks], [[[1], [1]], []])
        }),
      )
    }
  }
})
