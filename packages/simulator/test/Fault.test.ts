import { assert, describe, it } from "@effect/vitest"
import { Fault, Simulator } from "@effect-marketo/simulator"
import { Clock, Effect, Fiber, Schema, TestClock } from "effect"
import {
  accessToken,
  activitiesPath,
  askIdentity,
  codeOf,
  elementTexts,
  get,
  identity,
  readAll,
  send,
  since,
  tenTypes,
  text,
} from "./reader.js"

const start = "2026-01-01T00:00:00Z"
const typesPath = "/rest/v1/activities/types.json"
const provide = (...faults: ReadonlyArray<Fault.Fault>) =>
  Effect.provide(Simulator.layer({ faults, limits: { calls: 1_000 } }))
const params = { activityTypeIds: tenTypes }
const firstPage = Effect.gen(function* () {
  const token = yield* accessToken
  const nextPageToken = yield* since(token, start)
  return { token, nextPageToken, ask: get(token, activitiesPath, { ...params, nextPageToken }) }
})
const lastCall = Effect.map(
  Effect.flatMap(Simulator.Simulator, ({ calls }) => calls),
  (calls) => calls[calls.length - 1],
)
const onActivities = { match: { endpoint: "leadActivities" } } as const

describe("when", () => {
  const statuses = (count: number) =>
    Effect.gen(function* () {
      const token = yield* accessToken
      return yield* Effect.replicateEffect(
        Effect.map(send(token, typesPath), ({ status }) => status),
        count,
      )
    })

  it.effect("the n-th call, identity apart", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* statuses(4), [200, 502, 200, 503])
    }).pipe(provide({ fault: "http", status: 502, call: 2 }, { fault: "http", status: 503, call: 4 })),
  )

  it.effect("the first calls, every n-th, every n-th so many times", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* statuses(2).pipe(provide({ fault: "http", status: 502 })), [502, 200])
      assert.deepStrictEqual(
        yield* statuses(4).pipe(provide({ fault: "http", status: 502, times: 3 })),
        [502, 502, 502, 200],
      )
      assert.deepStrictEqual(
        yield* statuses(6).pipe(provide({ fault: "http", status: 502, every: 2 })),
        [200, 502, 200, 502, 200, 502],
      )
      assert.deepStrictEqual(
        yield* statuses(6).pipe(provide({ fault: "http", status: 502, every: 2, times: 2 })),
        [200, 502, 200, 502, 200, 200],
      )
    }),
  )

  it.effect("an endpoint or a method; a call takes the first fault that is due", () =>
    Effect.gen(function* () {
      const { ask, token } = yield* firstPage
      assert.strictEqual(codeOf(yield* get(token, typesPath)), "608")
      assert.strictEqual(codeOf(yield* ask), "611")
      assert.strictEqual(codeOf(yield* ask), "713")
      assert.isTrue((yield* ask).success)
    }).pipe(
      provide(
        { fault: "error", code: 604, match: { method: "POST" } },
        { fault: "error", code: 608, match: { endpoint: "activityTypes" } },
        { fault: "error", code: 611, ...onActivities },
        { fault: "error", code: 713, match: { endpoint: "leadActivities", method: "GET" } },
      ),
    ),
  )

  it.effect("added while it runs", () =>
    Effect.gen(function* () {
      const { fault } = yield* Simulator.Simulator
      const token = yield* accessToken
      assert.isTrue((yield* get(token, typesPath)).success)
      yield* fault({ fault: "error", code: 608, call: 3 })
      assert.isTrue((yield* get(token, typesPath)).success)
      assert.strictEqual(codeOf(yield* get(token, typesPath)), "608")
    }).pipe(provide()),
  )
})

describe("what", () => {
  it.effect("vendor errors: one or several, as numbers, without a message", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const errors = Effect.map(get(token, typesPath), (body) => body.errors)
      assert.deepStrictEqual(yield* errors, [{ code: "604", message: "Request time-out" }])
      assert.deepStrictEqual(yield* errors, [{ code: 611 }])
      assert.deepStrictEqual(
        (yield* errors)?.map(({ code }) => code),
        ["602", "611"],
      )
      assert.deepStrictEqual(yield* errors, [{ code: "1029", message: "Export daily quota 500MB exceeded." }])
    }).pipe(
      provide(
        { fault: "error", code: "604" },
        { fault: "error", code: 611, numeric: true, message: null },
        { fault: "error", code: [602, 611] },
        { fault: "error", code: 1029, message: "Export daily quota 500MB exceeded." },
      ),
    ),
  )

  it.effect("HTML of a gateway, an empty body, a body that is not JSON", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const gateway = yield* send(token, typesPath)
      assert.strictEqual(gateway.status, 502)
      assert.strictEqual(gateway.headers["content-type"], "text/html")
      assert.include(yield* gateway.text, "<h1>502 Bad Gateway</h1>")
      const empty = yield* send(token, typesPath)
      assert.deepStrictEqual([empty.status, yield* empty.text], [200, ""])
      const cut = yield* text(token, typesPath)
      assert.throws(() => JSON.parse(cut))
      assert.include(cut, '"success":true')
      assert.strictEqual(yield* text(token, typesPath), "<!doctype html>")
    }).pipe(
      provide(
        { fault: "http", status: 502 },
        { fault: "empty" },
        { fault: "malformed" },
        { fault: "malformed", body: "<!doctype html>" },
      ),
    ),
  )

  it.effect("connections cut before and after the call is carried out", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      for (const executed of [false, true]) {
        const error = yield* Effect.flip(send(token, typesPath))
        assert.deepInclude(error, { _tag: "RequestError", reason: "Transport" })
        assert.propertyVal(error.cause, "code", "UND_ERR_SOCKET")
        assert.deepInclude(yield* lastCall, { executed, status: undefined, fault: "cut" })
      }
    }).pipe(provide({ fault: "cut" }, { fault: "cut", executed: true })),
  )

  it.effect("a connection cut in the middle of the body: a status, then no text", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const response = yield* send(token, typesPath)
      assert.strictEqual(response.status, 200)
      assert.deepInclude(yield* Effect.flip(response.text), { _tag: "ResponseError", reason: "Decode" })
      assert.deepInclude(yield* lastCall, { executed: true, status: undefined })
    }).pipe(provide({ fault: "cutBody" })),
  )

  it.effect("short and empty pages lose nothing and come with new tokens", () =>
    Effect.gen(function* () {
      const { nextPageToken, token } = yield* firstPage
      const pages = yield* readAll(token, activitiesPath, params, nextPageToken)
      assert.deepStrictEqual(
        pages.slice(0, 6).map((page) => page.result?.length),
        [undefined, 7, undefined, undefined, undefined, 300],
      )
      assert.strictEqual(new Set([nextPageToken, ...pages.map((page) => page.nextPageToken)]).size, pages.length + 1)
      const served = pages.flatMap((page) => page.result ?? [])
      const whole = yield* Effect.flatMap(firstPage, (again) =>
        readAll(again.token, activitiesPath, params, again.nextPageToken),
      )
      assert.deepStrictEqual(
        served,
        whole.flatMap((page) => page.result ?? []),
      )
    }).pipe(
      provide(
        { fault: "shortPage", records: 0, ...onActivities },
        { fault: "shortPage", records: 7, ...onActivities },
        { fault: "emptyPage", times: 3, ...onActivities },
      ),
    ),
  )

  it.effect("the same token again with more to come", () =>
    Effect.gen(function* () {
      const { ask, nextPageToken } = yield* firstPage
      assert.deepInclude(yield* ask, { nextPageToken, moreResult: true })
      assert.notStrictEqual((yield* ask).nextPageToken, nextPageToken)
    }).pipe(provide({ fault: "sameToken" })),
  )

  it.effect("a refused paging token", () =>
    Effect.gen(function* () {
      const { ask } = yield* firstPage
      assert.strictEqual(codeOf(yield* ask), "1003")
      assert.isTrue((yield* ask).success)
    }).pipe(provide({ fault: "refusedToken" })),
  )

  it.effect("an access token that has just expired: 602, then 601", () =>
    Effect.gen(function* () {
      const { ask } = yield* firstPage
      assert.deepStrictEqual([codeOf(yield* ask), codeOf(yield* ask)], ["602", "601"])
      assert.isTrue((yield* (yield* firstPage).ask).success)
    }).pipe(provide({ fault: "expiredToken", ...onActivities })),
  )

  it.effect("a delay by the clock of the test, alone or with another fault", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const timed = Effect.gen(function* () {
        const call = yield* Effect.fork(Effect.zip(get(token, typesPath), Clock.currentTimeMillis))
        yield* TestClock.adjust("1 minute")
        return yield* Fiber.join(call)
      })
      const [slow, at] = yield* timed
      assert.isTrue(slow.success)
      assert.strictEqual(at, 2_000)
      const [refused, then] = yield* timed
      assert.strictEqual(codeOf(refused), "604")
      assert.strictEqual(then, 60_000 + 30_000)
    }).pipe(provide({ fault: "delay", delay: "2 seconds" }, { fault: "error", code: 604, delay: 30_000 })),
  )

  it.effect("warnings of either shape", () =>
    Effect.gen(function* () {
      const { ask } = yield* firstPage
      const warnings = ["No assets found", { code: 1, message: "old" }]
      assert.deepInclude(yield* ask, { success: true, warnings })
      assert.notProperty(yield* ask, "warnings")
    }).pipe(
      provide({ fault: "warnings", warnings: ["No assets found", { code: 1, message: "old" }], ...onActivities }),
    ),
  )

  it.effect("activities stored late, just before the call", () =>
    Effect.gen(function* () {
      const { token } = yield* firstPage
      const nextPageToken = yield* since(token, "2026-02-01")
      const body = yield* text(token, activitiesPath, { ...params, nextPageToken })
      assert.strictEqual(elementTexts(body).length, 1)
      const { activities } = yield* Simulator.Simulator
      const [older, newer] = (yield* activities).slice(-2)
      assert.strictEqual(older?.activityDate, "2026-01-15T00:00:00Z")
      assert.deepStrictEqual(elementTexts(body), [newer?.text ?? ""])
    }).pipe(
      provide({
        fault: "lateActivities",
        activities: [{ activityDate: "2026-01-15T00:00:00Z" }, { activityDate: "2026-02-02T00:00:00Z" }],
        ...onActivities,
      }),
    ),
  )

  it.effect("identity: a token with no time left, the same nearly dead one, wrong credentials, a gateway's error", () =>
    Effect.gen(function* () {
      const none = yield* identity
      assert.strictEqual(none.body.expires_in, 0)
      const dying = yield* identity
      assert.strictEqual(dying.body.expires_in, 5)
      yield* TestClock.adjust("3 seconds")
      const same = yield* identity
      assert.deepInclude(same.body, { access_token: dying.body.access_token, expires_in: 2 })
      yield* TestClock.adjust("2 seconds")
      const { status } = yield* askIdentity()
      assert.strictEqual(status, 401)
      assert.strictEqual((yield* Effect.either(identity))._tag, "Left")
      const fresh = yield* identity
      assert.strictEqual(fresh.body.expires_in, 3_600)
      assert.notStrictEqual(fresh.body.access_token, dying.body.access_token)
    }).pipe(
      provide(
        { fault: "expiresIn", seconds: 0 },
        { fault: "expiresIn", seconds: 5 },
        { fault: "unauthorized", match: { endpoint: "identity" }, every: 4, times: 1 },
        { fault: "http", status: 503, match: { endpoint: "identity" }, every: 5, times: 1 },
      ),
    ),
  )
})

describe("as data", () => {
  it("decodes from JSON and refuses what is misspelt", () => {
    const decode = Schema.decodeUnknownSync(Schema.Array(Fault.Fault), { onExcessProperty: "error" })
    const script: ReadonlyArray<Fault.Fault> = [
      { fault: "error", code: 606, match: { endpoint: "leadActivities", method: "GET" }, every: 10, times: 2 },
      { fault: "cut", call: 3, executed: true, delay: "2 seconds" },
    ]
    assert.deepStrictEqual(decode(script), script)
    assert.throws(() => decode([{ fault: "eror", code: 606 }]))
    assert.throws(() => decode([{ fault: "error", code: 606, cal: 3 }]))
    assert.throws(() => decode([{ fault: "error", code: 606, call: 0 }]))
    assert.throws(() => decode([{ fault: "delay", delay: "3 weeks" }]))
  })
})
