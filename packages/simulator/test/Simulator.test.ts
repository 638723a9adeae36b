import { HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Cause, Clock, Duration, Effect, Fiber, Option, TestClock } from "effect"
import {
  accessToken,
  activitiesPath,
  askIdentity,
  codeOf,
  type Envelope,
  elementTexts,
  get,
  identity,
  post,
  readAll,
  send,
  since,
  tenTypes,
  text,
  typesOf,
} from "./reader.js"

const typesPath = "/rest/v1/activities/types.json"
const start = "2026-01-01T00:00:00Z"
const provide = (options?: Simulator.Options) => Effect.provide(Simulator.layer(options))
const guids = (pages: ReadonlyArray<Envelope>) =>
  pages.flatMap((page) => (page.result ?? []).map(({ marketoGUID }) => marketoGUID))
const isoSeconds = (seconds: number) => new Date(seconds * 1_000).toISOString()
const millis = (text: string) => new Date(text).getTime()

describe("pages", () => {
  it.effect("give every stored activity of the asked types once, in order, with its very text", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const asked = typesOf(tenTypes)
      const stored = (yield* simulator.activities).filter(({ activityTypeId }) => asked.has(activityTypeId))
      const nextPageToken = yield* since(token, start)
      const pages = yield* readAll(token, activitiesPath, { activityTypeIds: tenTypes }, nextPageToken)
      assert.deepStrictEqual(
        guids(pages),
        stored.map(({ id }) => id),
      )
      const first = yield* text(token, activitiesPath, { activityTypeIds: tenTypes, nextPageToken })
      assert.deepStrictEqual(
        elementTexts(first),
        stored.slice(0, 300).map((activity) => activity.text),
      )
    }).pipe(provide()),
  )

  it.effect("a narrow filter over much other traffic gives runs of empty pages, each with a token of its own", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const first = yield* since(token, start)
      const pages = yield* readAll(token, activitiesPath, { activityTypeIds: 37 }, first)
      const empty = pages.filter((page) => page.moreResult && !("result" in page))
      assert.isAbove(empty.length, 20)
      assert.strictEqual(new Set(pages.map((page) => page.nextPageToken)).size, pages.length)
      const deleted = (yield* (yield* Simulator.Simulator).activities).filter((a) => a.activityTypeId === 37)
      assert.deepStrictEqual(
        guids(pages),
        deleted.map(({ id }) => id),
      )
    }).pipe(provide({ data: { activities: 5_000 }, quirks: { blockSize: 50 }, limits: { calls: 1_000 } })),
  )

  it.effect("the last page has a token too; asked again it answers the same token until something new is stored", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const params = { activityTypeIds: tenTypes }
      const pages = yield* readAll(token, activitiesPath, params, yield* since(token, start))
      const last = pages[pages.length - 1]?.nextPageToken ?? ""
      const idle = yield* get(token, activitiesPath, { ...params, nextPageToken: last })
      assert.deepInclude(idle, { moreResult: false, nextPageToken: last })
      assert.notProperty(idle, "result")
      const [added] = yield* simulator.add([{ activityTypeId: 1, activityDate: "2026-02-01T00:00:00Z" }])
      const next = yield* text(token, activitiesPath, { ...params, nextPageToken: last })
      assert.deepStrictEqual(elementTexts(next), [added?.text ?? ""])
    }).pipe(provide()),
  )

  it.effect("the lower bound is inclusive, of one-second resolution, and holds for what was committed later", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const stored = yield* simulator.activities
      // a second in which several things happened
      const shared =
        stored.find((a, i) => a.activityDate === stored[i + 1]?.activityDate && i > 300)?.activityDate ?? ""
      const params = { activityTypeIds: tenTypes }
      const asked = typesOf(tenTypes)
      const expected = stored.filter((a) => asked.has(a.activityTypeId) && a.activityDate >= shared).map(({ id }) => id)
      const late = yield* since(token, shared.replace("Z", ".900Z"))
      assert.deepStrictEqual(guids(yield* readAll(token, activitiesPath, params, late)), expected)
      const afterwards = yield* since(token, isoSeconds(millis(shared) / 1_000 + 1))
      assert.isBelow(guids(yield* readAll(token, activitiesPath, params, afterwards)).length, expected.length)
    }).pipe(provide()),
  )

  it.effect("a late arrival is seen by a reader that follows the log, and missed by one that follows dates", () => {
    const secondRead = Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const params = { activityTypeIds: tenTypes }
      const pages = yield* readAll(token, activitiesPath, params, yield* since(token, start))
      const nextPageToken = pages[pages.length - 1]?.nextPageToken ?? ""
      const [late, recent] = yield* simulator.add([
        { activityDate: "2026-01-10T10:00:00Z" },
        { activityDate: "2026-02-01T00:00:00Z" },
      ])
      const again = guids(yield* readAll(token, activitiesPath, params, nextPageToken))
      const fresh = guids(yield* readAll(token, activitiesPath, params, yield* since(token, start)))
      assert.includeMembers(fresh, [late?.id, recent?.id])
      return again.map((id) => (id === late?.id ? "late" : id === recent?.id ? "recent" : "other"))
    })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* secondRead.pipe(provide({ quirks: { lateArrivals: "seen" } })), ["late", "recent"])
      assert.deepStrictEqual(yield* secondRead.pipe(provide({ quirks: { lateArrivals: "missed" } })), ["recent"])
    })
  })

  it.effect("readers that follow dates get everything once, in the order of dates", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const pages = yield* readAll(
        token,
        activitiesPath,
        { activityTypeIds: tenTypes, batchSize: 7 },
        yield* since(token, start),
      )
      const dates = pages.flatMap((page) => (page.result ?? []).map(({ activityDate }) => String(activityDate)))
      assert.deepStrictEqual(dates, [...dates].sort())
      const asked = typesOf(tenTypes)
      const stored = (yield* (yield* Simulator.Simulator).activities).filter((a) => asked.has(a.activityTypeId))
      assert.sameMembers(
        guids(pages),
        stored.map(({ id }) => id),
      )
    }).pipe(provide({ quirks: { lateArrivals: "missed" }, limits: { calls: 1_000 } })),
  )

  it.effect("batchSize is clamped to 300", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const size = (batchSize: number) =>
        Effect.map(
          get(token, activitiesPath, { activityTypeIds: tenTypes, batchSize, nextPageToken }),
          (page) => page.result?.length,
        )
      assert.deepStrictEqual(
        yield* Effect.all([size(5), size(300), size(1_000), size(0), size(-1)]),
        [5, 300, 300, 300, 300],
      )
    }).pipe(provide()),
  )

  it.effect("an empty result is absent, null or an array, as configured", () => {
    const result = Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, "2027-01-01T00:00:00Z")
      return yield* get(token, activitiesPath, { activityTypeIds: 1, nextPageToken })
    })
    return Effect.gen(function* () {
      assert.notProperty(yield* result.pipe(provide()), "result")
      assert.isNull((yield* result.pipe(provide({ quirks: { emptyResult: "null" } }))).result)
      assert.deepStrictEqual((yield* result.pipe(provide({ quirks: { emptyResult: "array" } }))).result, [])
    })
  })

  it.effect("added activities are served with the text that the test chose", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const odd = '{ "id" : "not a number",\n "unknown": [1, {"deep": "}"}] }'
      const [huge, undecodable] = yield* simulator.add([
        { id: "9223372036854775807", leadId: "9007199254740993", members: { extra: { answer: 42 } } },
        { activityTypeId: 2, text: odd },
      ])
      assert.include(huge?.text, '"id":9223372036854775807,')
      assert.include(huge?.text, '"leadId":9007199254740993,')
      assert.include(huge?.text, '"extra":{"answer":42}')
      const nextPageToken = yield* since(token, "1970-01-01")
      const body = yield* text(token, activitiesPath, { activityTypeIds: "1,2", nextPageToken })
      assert.deepStrictEqual(elementTexts(body), [huge?.text ?? "", odd])
      assert.strictEqual(undecodable?.text, odd)
    }).pipe(provide({ data: { activities: 0 } })),
  )

  it.effect("adding with a date that is none dies", () =>
    Effect.gen(function* () {
      const { add } = yield* Simulator.Simulator
      const cause = yield* Effect.flip(Effect.sandbox(add([{ activityDate: "yesterday" }])))
      assert.include(Cause.pretty(cause), "yesterday")
    }).pipe(provide()),
  )

  it.effect("leadchanges gives types 12 and 13 in their own shape, by field", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const path = "/rest/v1/activities/leadchanges.json"
      const stored = (yield* simulator.activities).flatMap(({ leadChange }) => leadChange ?? [])
      const wanted = stored.filter((change) => {
        const { activityTypeId, fields } = JSON.parse(change)
        return activityTypeId === 12 || fields.some(({ name }: { name: string }) => name === "email" || name === "city")
      })
      assert.isTrue(wanted.length > 10 && wanted.length < stored.length)
      const body = yield* text(token, path, { fields: "email,city", nextPageToken })
      assert.deepStrictEqual(elementTexts(body), wanted)
      const change = JSON.parse(wanted.find((change) => change.includes('"activityTypeId":13')) ?? "")
      assert.hasAllKeys(change.fields[0], ["id", "name", "newValue", "oldValue"])
      assert.notProperty(change, "primaryAttributeValue")
      assert.strictEqual(codeOf(yield* get(token, path, { fields: "shoeSize", nextPageToken })), "1006")
      assert.strictEqual(codeOf(yield* get(token, path, { nextPageToken })), "1002")
    }).pipe(provide()),
  )

  it.effect("deletedleads gives type 37", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const page = yield* get(token, "/rest/v1/activities/deletedleads.json", {
        nextPageToken: yield* since(token, start),
      })
      assert.isAbove(page.result?.length ?? 0, 0)
      for (const deletion of page.result ?? []) {
        assert.strictEqual(deletion.activityTypeId, 37)
        assert.strictEqual(deletion.primaryAttributeValueId, deletion.leadId)
      }
    }).pipe(provide()),
  )

  it.effect("filters by lead, list and asset", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const stored = (yield* simulator.activities).filter((a) => a.activityTypeId === 1)
      const ids = (params: Record<string, string | ReadonlyArray<string>>) =>
        Effect.map(get(token, activitiesPath, { activityTypeIds: "1", nextPageToken, ...params }), (page) =>
          guids([page]),
        )
      const leads = [stored[0], stored[5]].map((a) => a?.leadId ?? "")
      const ofLeads = stored.filter((a) => leads.includes(a.leadId)).map(({ id }) => id)
      assert.deepStrictEqual(yield* ids({ leadIds: leads.join(",") }), ofLeads)
      assert.deepStrictEqual(yield* ids({ leadIds: leads }), ofLeads)
      assert.deepStrictEqual(
        yield* ids({ listId: "1003" }),
        stored.filter((a) => Number(a.leadId) % 10 === 0).map(({ id }) => id),
      )
      const asset = JSON.parse(stored[0]?.text ?? "").primaryAttributeValueId
      assert.deepStrictEqual(
        yield* ids({ assetIds: String(asset) }),
        stored.filter((a) => JSON.parse(a.text).primaryAttributeValueId === asset).map(({ id }) => id),
      )
    }).pipe(provide()),
  )

  for (const [day, quirks] of [
    ["2026-09-30", {}],
    ["2026-12-30", { listLimitFrom: "2026-12-30T00:00:00Z" }],
  ] as const) {
    it.effect(`a list of 10,000 members is refused from ${day} on`, () =>
      Effect.gen(function* () {
        const read = Effect.gen(function* () {
          const token = yield* accessToken
          const nextPageToken = yield* since(token, start)
          const code = (listId: number) =>
            Effect.map(get(token, activitiesPath, { activityTypeIds: 1, listId, nextPageToken }), codeOf)
          return yield* Effect.all([code(1001), code(1002), code(4)])
        })
        yield* TestClock.setTime(millis(`${day}T00:00:00Z`) - 3_600_000)
        assert.deepStrictEqual(yield* read, [undefined, undefined, "1013"])
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(yield* read, ["1003", undefined, "1013"])
      }).pipe(provide({ data: { leads: 10_000 }, quirks })),
    )
  }

  it.effect("old activities vanish when retention is on", () =>
    Effect.gen(function* () {
      const oldest = Effect.gen(function* () {
        const token = yield* accessToken
        const first = (path: string, params: Record<string, string>) =>
          Effect.gen(function* () {
            const pages = yield* readAll(token, path, params, yield* since(token, "2020-01-01"))
            return pages.flatMap((page) => page.result ?? [])[0]?.activityDate
          })
        return yield* Effect.all([
          first("/rest/v1/activities/deletedleads.json", {}),
          first(activitiesPath, { activityTypeIds: "1" }),
          first(activitiesPath, { activityTypeIds: "10" }),
          first(activitiesPath, { activityTypeIds: "12" }),
        ])
      })
      yield* TestClock.setTime(millis("2026-04-10T00:00:00Z"))
      const [deletion, visit, open, newLead] = yield* oldest
      assert.isUndefined(deletion)
      assert.isAtLeast(millis(String(visit)), millis("2026-01-10T00:00:00Z"))
      assert.isBelow(millis(String(open)), millis("2026-01-02T00:00:00Z"))
      yield* TestClock.adjust(Duration.days(1_000))
      const [, , longGone, still] = yield* oldest
      assert.isUndefined(longGone)
      assert.strictEqual(still, newLead)
    }).pipe(provide({ data: { activities: 5_000 }, quirks: { retention: true }, limits: { calls: 1_000 } })),
  )
})

describe("requests", () => {
  it.effect("sinceDatetime is taken in every spelling in use, and refused otherwise", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const same = [
        "2026-01-06T12:00:00Z",
        "2026-01-06T12:00:00.999Z",
        "2026-01-06T12:00:00",
        "2026-01-06T12:00Z",
        "2026-01-06T13:00:00+01:00",
        "2026-01-06T05:00-0700",
      ]
      assert.strictEqual(new Set(yield* Effect.forEach(same, (text) => since(token, text))).size, 1)
      assert.notStrictEqual(yield* since(token, "2026-01-06"), "")
      const code = (sinceDatetime: string) =>
        Effect.map(get(token, "/rest/v1/activities/pagingtoken.json", { sinceDatetime }), codeOf)
      const bad = ["yesterday", "2026-13-01", "2026-01-06T12:00:00 01:00", "1767225600"]
      assert.deepStrictEqual(yield* Effect.forEach(bad, code), ["1001", "1001", "1001", "1001"])
      assert.strictEqual(yield* code(""), "1002")
    }).pipe(provide()),
  )

  it.effect("bad parameters are refused with the vendor's codes", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const code = (params: Record<string, string>) =>
        Effect.map(get(token, activitiesPath, { activityTypeIds: "1", nextPageToken, ...params }), codeOf)
      const eleven = "1,2,3,6,7,8,9,10,11,12,13"
      const numbers = Array.from({ length: 31 }, (_, i) => i + 1).join(",")
      assert.deepStrictEqual(
        yield* Effect.all({
          noTypes: code({ activityTypeIds: "" }),
          noToken: code({ nextPageToken: "" }),
          typeText: code({ activityTypeIds: "one" }),
          batchText: code({ batchSize: "1.5" }),
          elevenTypes: code({ activityTypeIds: eleven }),
          manyLeads: code({ leadIds: numbers }),
          unknownType: code({ activityTypeIds: "5" }),
          assetsOfTwo: code({ activityTypeIds: "1,2", assetIds: "3" }),
        }),
        {
          noTypes: "1002",
          noToken: "1002",
          typeText: "1001",
          batchText: "1001",
          elevenTypes: "1003",
          manyLeads: "1003",
          unknownType: "1013",
          assetsOfTwo: "1003",
        },
      )
    }).pipe(provide()),
  )

  it.effect("undocumented codes are the test's choice", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const code = (path: string, params: Record<string, string>) => Effect.map(get(token, path, params), codeOf)
      assert.strictEqual(yield* code(activitiesPath, { activityTypeIds: "1", nextPageToken: "NONSENSE" }), "611")
      assert.strictEqual(yield* code("/rest/v1/activities/pagingtoken.json", { sinceDatetime: "x" }), "704")
    }).pipe(provide({ quirks: { codes: { pagingToken: "611", date: "704" } } })),
  )

  it.effect("a long query may come as a form with _method=GET", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const request = HttpClientRequest.post(`${url}${activitiesPath}?_method=GET`).pipe(
        HttpClientRequest.bearerToken(token),
      )
      const response = yield* client.execute(
        HttpClientRequest.bodyUrlParams(request, { activityTypeIds: tenTypes, nextPageToken }),
      )
      const asGet = yield* get(token, activitiesPath, { activityTypeIds: tenTypes, nextPageToken })
      assert.deepStrictEqual(((yield* response.json) as Envelope).result, asGet.result)
      const asJson = yield* client.execute(HttpClientRequest.bodyUnsafeJson(request, { nextPageToken }))
      assert.strictEqual(codeOf((yield* asJson.json) as Envelope), "612")
      const plainPost = yield* client.execute(
        HttpClientRequest.post(`${url}${activitiesPath}`).pipe(HttpClientRequest.bearerToken(token)),
      )
      const { errors } = (yield* plainPost.json) as Envelope
      assert.deepStrictEqual(errors, [{ code: "605", message: "Request method 'POST' not supported" }])
    }).pipe(provide()),
  )

  it.effect("unknown paths, long addresses and large bodies", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const token = yield* accessToken
      assert.strictEqual(codeOf(yield* get(token, "/rest/v1/nothing.json")), "610")
      assert.strictEqual(codeOf(yield* get(token, "//rest/v1/activities/types.json")), "610")
      const long = yield* send(token, activitiesPath, { nextPageToken: "A".repeat(9_000) })
      assert.strictEqual(long.status, 414)
      assert.include(yield* long.text, "<html>")
      const large = yield* client.execute(
        HttpClientRequest.post(`${url}${activitiesPath}?_method=GET`).pipe(
          HttpClientRequest.bearerToken(token),
          HttpClientRequest.bodyText("x".repeat(1_048_577), "application/x-www-form-urlencoded"),
        ),
      )
      assert.strictEqual(large.status, 413)
    }).pipe(provide()),
  )

  it.effect("another host is not found", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const error = yield* Effect.flip(client.get("https://999-zzz-999.mktorest.com/rest/v1/activities/types.json"))
      assert.deepInclude(error, { _tag: "RequestError", reason: "Transport" })
      assert.propertyVal(error.cause, "code", "ENOTFOUND")
    }).pipe(provide()),
  )

  it.effect("paging tokens are padded base32 of the instance, and of no other", () =>
    Effect.gen(function* () {
      const tokenOf = Effect.flatMap(accessToken, (token) => since(token, start))
      const mine = yield* tokenOf.pipe(provide())
      assert.match(mine, /^[A-Z2-7]{52}====$/)
      assert.strictEqual(yield* tokenOf.pipe(provide()), mine)
      const ask = (nextPageToken: string) =>
        Effect.flatMap(accessToken, (token) => get(token, activitiesPath, { activityTypeIds: "1", nextPageToken }))
      const elsewhere = yield* ask(mine).pipe(provide({ munchkinId: "999-ZZZ-999" }))
      assert.strictEqual(codeOf(elsewhere), "1003")
      for (const i of [4, 40]) {
        const damaged = `${mine.slice(0, i)}${mine[i] === "A" ? "B" : "A"}${mine.slice(i + 1)}`
        assert.strictEqual(codeOf(yield* ask(damaged).pipe(provide())), "1003")
      }
    }),
  )

  it.effect("a token outlives the simulator that made it", () =>
    Effect.gen(function* () {
      const params = { activityTypeIds: tenTypes }
      const first = Effect.flatMap(accessToken, (token) =>
        Effect.flatMap(since(token, start), (nextPageToken) =>
          get(token, activitiesPath, { ...params, nextPageToken }),
        ),
      )
      const second = (nextPageToken: string) =>
        Effect.flatMap(accessToken, (token) => get(token, activitiesPath, { ...params, nextPageToken }))
      const nextPageToken = (yield* first.pipe(provide())).nextPageToken ?? ""
      const inOneRun = yield* Effect.flatMap(first, (page) => second(page.nextPageToken ?? "")).pipe(provide())
      const afterRestart = yield* second(nextPageToken).pipe(provide())
      assert.deepStrictEqual(afterRestart.result, inOneRun.result)
    }),
  )
})

describe("identity and access tokens", () => {
  it.effect("the same token with fewer seconds until it runs out, then a new one", () =>
    Effect.gen(function* () {
      const first = yield* identity
      assert.deepInclude(first.body, { expires_in: 3_600, token_type: "bearer" })
      assert.match(first.body.access_token, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:sj$/)
      assert.strictEqual(first.headers["cache-control"], "no-store")
      yield* TestClock.adjust("3599500 millis")
      const dying = yield* identity
      assert.deepInclude(dying.body, { access_token: first.body.access_token, expires_in: 0 })
      yield* TestClock.adjust("500 millis")
      const next = yield* identity
      assert.notStrictEqual(next.body.access_token, first.body.access_token)
      assert.strictEqual(next.body.expires_in, 3_600)
    }).pipe(provide()),
  )

  it.effect("an expired token is 602 once and 601 after that; an unknown one is 601", () =>
    Effect.gen(function* () {
      const { expireTokens } = yield* Simulator.Simulator
      const token = yield* accessToken
      const code = (token: string) => Effect.map(get(token, typesPath), codeOf)
      assert.isUndefined(yield* code(token))
      yield* expireTokens
      assert.deepStrictEqual(yield* Effect.all([code(token), code(token), code("unknown")]), ["602", "601", "601"])
      assert.isUndefined(yield* code(yield* accessToken))
    }).pipe(provide()),
  )

  it.effect("a lifetime of the test's choice", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual(codeOf(yield* get(token, typesPath)), "602")
    }).pipe(provide({ limits: { tokenLifetime: "90 seconds" } })),
  )

  it.effect("wrong credentials are HTTP 401 with a body of OAuth", () =>
    Effect.gen(function* () {
      const { body, status } = yield* askIdentity("wrong")
      assert.strictEqual(status, 401)
      assert.deepInclude(body, { error: "invalid_client" })
    }).pipe(provide()),
  )

  for (const [day, quirks] of [
    ["2026-08-31", {}],
    ["2026-12-31", { queryTokenUntil: "2026-12-31T00:00:00Z" }],
  ] as const) {
    it.effect(`a token in the query is taken until ${day}`, () =>
      Effect.gen(function* () {
        const { url } = yield* Simulator.Simulator
        const client = yield* HttpClient.HttpClient
        const code = Effect.gen(function* () {
          const access_token = yield* accessToken
          const response = yield* client.get(`${url}/rest/v1/activities/types.json`, { urlParams: { access_token } })
          return codeOf((yield* response.json) as Envelope)
        })
        yield* TestClock.setTime(millis(`${day}T00:00:00Z`) - 1_000)
        assert.isUndefined(yield* code)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* code, "601")
      }).pipe(provide({ quirks })),
    )
  }
})

describe("limits", () => {
  const types = (token: string) => Effect.map(get(token, typesPath), codeOf)

  it.effect("606 over 100 calls in any 20 seconds, and refused calls are free", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      yield* types(token)
      yield* TestClock.adjust("19 seconds")
      const codes = yield* Effect.replicateEffect(types(token), 110)
      assert.strictEqual(codes.filter((code) => code === undefined).length, 99)
      const { errors } = yield* get(token, typesPath)
      assert.deepStrictEqual(errors, [{ code: "606", message: "Max rate limit '100' exceeded with in '20' secs" }])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.all([types(token), types(token)]), [undefined, "606"])
      yield* TestClock.adjust("19 seconds")
      assert.deepStrictEqual((yield* Effect.replicateEffect(types(token), 100)).slice(-2), [undefined, "606"])
    }).pipe(provide()),
  )

  it.effect("refused calls count when the test wants them to", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const codes = yield* Effect.replicateEffect(get(token, "/rest/v1/nothing.json"), 3)
      assert.deepStrictEqual(codes.map(codeOf), ["610", "610", "610"])
      assert.strictEqual(yield* types(token), "606")
    }).pipe(provide({ limits: { calls: 3 }, quirks: { countErrors: true } })),
  )

  it.effect("615 over 10 calls in flight; latency is time of the test's clock", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* Effect.fork(accessToken).pipe(
        Effect.tap(TestClock.adjust("200 millis")),
        Effect.flatMap(Fiber.join),
      )
      const began = yield* Clock.currentTimeMillis
      const calls = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 12 }, () => Effect.zip(types(token), Clock.currentTimeMillis)),
          { concurrency: "unbounded" },
        ),
      )
      yield* TestClock.adjust("199 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(calls)))
      yield* TestClock.adjust("1 millis")
      const answers = yield* Fiber.join(calls)
      assert.deepStrictEqual(answers.map(([code]) => code ?? "ok").sort(), [
        ...Array.from({ length: 2 }, () => "615"),
        ...Array.from({ length: 10 }, () => "ok"),
      ])
      assert.isTrue(answers.every(([, at]) => at === began + 200))
      assert.strictEqual(yield* simulator.peakConcurrency, 12)
    }).pipe(provide({ latency: "200 millis" })),
  )

  it.effect("an interrupted call is no longer in flight", () =>
    Effect.gen(function* () {
      const token = yield* Effect.fork(accessToken).pipe(
        Effect.tap(TestClock.adjust("1 second")),
        Effect.flatMap(Fiber.join),
      )
      yield* Effect.forEach([1, 2, 3], () =>
        Effect.fork(types(token)).pipe(Effect.tap(Effect.yieldNow()), Effect.flatMap(Fiber.interrupt)),
      )
      const call = yield* Effect.fork(types(token))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* Fiber.join(call))
    }).pipe(provide({ latency: "1 second", limits: { concurrent: 1 } })),
  )

  it.effect("607 over the quota of a day of US Central Time", () =>
    Effect.gen(function* () {
      const call = Effect.flatMap(accessToken, types)
      yield* TestClock.setTime(millis("2026-07-02T04:59:00Z")) // 23:59 in Chicago, in summer
      assert.deepStrictEqual(yield* Effect.all([call, call, call]), [undefined, undefined, "607"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Effect.all([call, call, call]), [undefined, undefined, "607"])
    }).pipe(provide({ limits: { dailyQuota: 2 } })),
  )

  it.effect("usage and errors of the day and of seven days", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(millis("2026-01-02T12:00:00Z"))
      const token = yield* accessToken
      yield* types(token)
      yield* get("unknown", typesPath)
      const usage = yield* get(token, "/rest/v1/stats/usage.json")
      assert.deepStrictEqual(usage.result, [
        { date: "2026-01-02", total: 1, users: [{ userId: "simulator@example.com", count: 1 }] },
      ])
      const errors = yield* get(token, "/rest/v1/stats/errors.json")
      assert.deepStrictEqual(errors.result, [
        { date: "2026-01-02", total: 1, errors: [{ errorCode: "601", count: 1 }] },
      ])
      const week = yield* get(token, "/rest/v1/stats/usage/last7days.json")
      assert.strictEqual(week.result?.length, 7)
      assert.deepInclude(week.result?.[0], { date: "2026-01-02", total: 3 })
      assert.deepInclude(week.result?.[6], { date: "2025-12-27", total: 0 })
    }).pipe(provide()),
  )
})

describe("answers", () => {
  it.effect("have the vendor's envelope and headers", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(millis("2026-03-04T05:06:07Z"))
      const token = yield* accessToken
      const response = yield* send(token, typesPath)
      assert.strictEqual(response.headers["content-type"], "application/json;charset=UTF-8")
      assert.strictEqual(response.headers.server, "nginx")
      const body = (yield* response.json) as Envelope
      assert.hasAllKeys(body, ["requestId", "success", "result"])
      const [, instant] = /^[0-9a-f]{1,5}#([0-9a-f]+)$/.exec(body.requestId) ?? []
      assert.strictEqual(Number.parseInt(instant ?? "", 16), millis("2026-03-04T05:06:07Z"))
    }).pipe(provide()),
  )

  it.effect("types.json declares every type that activities have, and New Lead without a primary attribute", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const { result = [] } = yield* get(yield* accessToken, typesPath)
      const declared = new Map(result?.map((type) => [type.id, type]))
      for (const { activityTypeId } of yield* simulator.activities) assert.isTrue(declared.has(activityTypeId))
      assert.notProperty(declared.get(12), "primaryAttribute")
      assert.deepInclude(declared.get(1), {
        name: "Visit Webpage",
        description: "User visits a web page",
        primaryAttribute: { name: "Webpage ID", dataType: "integer" },
      })
      assert.notProperty(declared.get(1), "weight")
    }).pipe(provide()),
  )

  it.effect("integers as strings, missing ids, stable and unstable names, undeclared attributes", () =>
    Effect.gen(function* () {
      const records = Effect.flatMap(Simulator.Simulator, ({ activities }) =>
        Effect.map(activities, (all) => all.map((a) => JSON.parse(a.text))),
      )
      const namesOf = (all: ReadonlyArray<{ attributes: ReadonlyArray<{ name: string; value: unknown }> }>) =>
        new Set(all.flatMap(({ attributes }) => attributes.map(({ name }) => name)))
      const plain = yield* records.pipe(provide())
      const odd = yield* records.pipe(
        provide({ quirks: { integersAsStrings: true, missingIds: 0.5, lowerCaseNames: false, extraAttributes: true } }),
      )
      const step = (all: typeof plain) =>
        typeof all
          .find((a) => a.activityTypeId === 6)
          .attributes.find(({ name }: { name: string }) => name === "Step ID").value
      assert.deepStrictEqual([step(plain), step(odd)], ["number", "string"])
      const missing = (all: typeof plain) => all.filter((a) => a.id === undefined).length
      assert.strictEqual(missing(plain), 0)
      assert.isTrue(missing(odd) > 400 && missing(odd) < 600)
      assert.isTrue(odd.every((a) => typeof a.marketoGUID === "string"))
      assert.isTrue(namesOf(plain).has("request id") && !namesOf(plain).has("Request Id"))
      assert.isTrue(namesOf(odd).has("Request Id"))
      assert.isTrue(odd.every((a) => namesOf([a]).has("Campaign")))
    }),
  )

  it.effect("the data set is uneven, holds several activities in one second, and text of many kinds", () =>
    Effect.gen(function* () {
      const { activities } = yield* Simulator.Simulator
      const stored = yield* activities
      const perDay = new Map<string, number>()
      for (const { activityDate } of stored)
        perDay.set(activityDate.slice(0, 10), (perDay.get(activityDate.slice(0, 10)) ?? 0) + 1)
      const sizes = [...perDay.values()].sort((a, b) => a - b)
      assert.isAbove((sizes[sizes.length - 1] ?? 0) / (sizes[0] ?? 1), 3)
      assert.isAbove(stored.length - new Set(stored.map((a) => a.activityDate)).size, 1_000)
      assert.isTrue(stored.every(({ activityDate }) => activityDate >= start && activityDate <= "2026-01-31T00:00:00Z"))
      const all = stored.map((a) => a.text).join("\n")
      for (const kind of ["\\r\\n", '\\"', "\\\\", "{us}", "東京", "Zoë"]) assert.include(all, kind)
      const bytes = Buffer.byteLength(all) / stored.length
      assert.isTrue(bytes > 550 && bytes < 750, `${bytes} bytes an activity`)
    }).pipe(provide({ data: { activities: 10_000 } })),
  )

  it.effect("the same seed gives the same data, another seed other data", () =>
    Effect.gen(function* () {
      const all = Effect.flatMap(Simulator.Simulator, ({ activities }) => activities)
      const first = yield* all.pipe(provide({ seed: 1 }))
      assert.deepStrictEqual(yield* all.pipe(provide({ seed: 1 })), first)
      const other = yield* all.pipe(provide({ seed: 2 }))
      for (const member of ["activityDate", "activityTypeId", "leadId", "text"] as const) {
        const values = (stored: typeof first) => stored.map((activity) => activity[member])
        assert.notDeepEqual(values(other), values(first))
      }
    }),
  )

  it.effect("calls tell what was asked, without secrets", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      yield* TestClock.adjust("3 seconds")
      yield* get(token, activitiesPath, { activityTypeIds: tenTypes, nextPageToken })
      yield* get("unknown", activitiesPath)
      const calls = yield* simulator.calls
      assert.deepStrictEqual(
        calls.map(({ at, code, endpoint, executed, number, records }) => ({
          at,
          code,
          endpoint,
          executed,
          number,
          records,
        })),
        [
          { at: 0, code: undefined, endpoint: "identity", executed: true, number: undefined, records: 0 },
          { at: 0, code: undefined, endpoint: "pagingToken", executed: true, number: 1, records: 0 },
          { at: 3_000, code: undefined, endpoint: "leadActivities", executed: true, number: 2, records: 300 },
          { at: 3_000, code: "601", endpoint: "leadActivities", executed: false, number: 3, records: 0 },
        ],
      )
      assert.deepStrictEqual(calls[2]?.query, { activityTypeIds: tenTypes, nextPageToken })
      assert.notInclude(JSON.stringify(calls), simulator.clientSecret)
      assert.notInclude(JSON.stringify(calls), token)
    }).pipe(provide()),
  )

  it.effect("options outside their range die with the option's name", () =>
    Effect.gen(function* () {
      const build = (options: Simulator.Options) =>
        Effect.map(Effect.flip(Effect.sandbox(Effect.void.pipe(provide(options)))), Cause.pretty)
      assert.include(yield* build({ data: { activities: -1 } }), "activities")
      assert.include(yield* build({ data: { from: "soon" } }), "from")
      assert.include(yield* build({ data: { from: "2026-02-01T00:00:00Z" } }), "later than")
      const misspelt = yield* build({ data: { activties: 5 } } as Simulator.Options)
      assert.include(misspelt, `"data.activties": is unexpected, expected: "activities" | "from"`)
      const types = ["sail", "Sail"].map((apiName) => ({
        id: 100_007,
        apiName,
        name: apiName,
        primaryAttribute: { apiName: "boat", name: "Boat", dataType: "string" as const },
      }))
      assert.include(yield* build({ data: { customTypes: types } }), "another activity type has the id 100007")
    }),
  )

  it.effect("generated activities happen between from and to", () =>
    Effect.gen(function* () {
      const { activities } = yield* Simulator.Simulator
      const dates = (yield* activities).map(({ activityDate }) => activityDate).sort()
      assert.isAtLeast(millis(dates[0] ?? ""), millis("2024-02-28T00:00:00Z"))
      assert.isBelow(millis(dates.at(-1) ?? ""), millis("2024-03-01T00:00:00Z"))
    }).pipe(provide({ data: { from: "2024-02-28", to: "2024-03-01" } })),
  )

  it.effect("a latency above Marketo's own limit of time becomes 604 at that limit, and nothing is carried out", () =>
    Effect.gen(function* () {
      const { activities, calls } = yield* Simulator.Simulator
      const before = (yield* activities).length
      const patient = yield* Effect.fork(accessToken)
      yield* TestClock.adjust("400 seconds")
      const token = yield* Fiber.join(patient)
      const input = [
        {
          leadId: 100_000,
          activityDate: "2026-01-01",
          activityTypeId: 100_001,
          primaryAttributeValue: "x",
          attributes: [],
        },
      ]
      const asked = yield* Effect.fork(
        Effect.all([
          get(token, typesPath),
          get(token, "/rest/v1/activities/pagingtoken.json", { sinceDatetime: start }),
          post(token, "/rest/v1/activities/external.json", { input }),
        ]),
      )
      const waits: Array<number> = []
      for (const seconds of [30, 300, 90]) {
        const at = yield* Clock.currentTimeMillis
        yield* TestClock.adjust(`${seconds} seconds`)
        waits.push((yield* calls).filter((call) => call.at === at).length)
      }
      assert.deepStrictEqual(waits, [1, 1, 1])
      assert.deepStrictEqual(
        (yield* Fiber.join(asked)).map(({ errors }) => errors),
        [...Array.from({ length: 3 }, () => [{ code: "604", message: "Request time-out" }])],
      )
      assert.isFalse((yield* calls).slice(1).some(({ executed }) => executed))
      assert.strictEqual((yield* activities).length, before)
    }).pipe(provide({ latency: "301 seconds" })),
  )

  it.effect("a latency at the limit is no 604, and a delay on the way is none either", () =>
    Effect.gen(function* () {
      const patient = yield* Effect.fork(Effect.flatMap(accessToken, (token) => get(token, typesPath)))
      yield* TestClock.adjust("2 hours")
      assert.isTrue((yield* Fiber.join(patient)).success)
    }).pipe(provide({ latency: "30 seconds", faults: [{ fault: "delay", delay: "1 hour" }] })),
  )

  it.effect("ids of activities are past 2^31, as real ones are", () =>
    Effect.gen(function* () {
      const { activities } = yield* Simulator.Simulator
      for (const { id } of yield* activities) assert.match(id, /^\d{11}$/)
    }).pipe(provide()),
  )
})
