import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { assertNone, assertSome } from "@effect/vitest/utils"
import { Activities, type Activity, ActivityRecord, Feed } from "@effect-marketo/core"
import { Chunk, DateTime, Effect, Option, Stream, TestClock } from "effect"
import { stub, url } from "./support/stub.js"

/** Wire JSON written by hand after Adobe's documentation and recorded answers; see each fixture. */
const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8")
const token = '{"requestId":"1#2","success":true,"nextPageToken":"FIRST="}'
const last = '{"requestId":"1#3","success":true,"nextPageToken":"LAST=","moreResult":false}'
const since = "2008-11-06T00:00:00+00:00"

const read = <A>(feed: Feed.Feed<A>, replies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
    const { layer, sent } = yield* stub(replies)
    const pages = yield* Effect.flatMap(Activities.Activities, (a) => Stream.runCollect(a.pages(feed, { since }))).pipe(
      Effect.provide(layer),
    )
    const records = Chunk.toReadonlyArray(pages).flatMap((p) => Chunk.toReadonlyArray(p.records))
    return { records, sent: yield* sent, pages: Chunk.toReadonlyArray(pages) }
  })

describe("answers", () => {
  it.effect("activities: every spelling, absent and null members, ids past 2^53, unknown members", () =>
    Effect.gen(function* () {
      const { records } = yield* read(Feed.leadActivities({ activityTypeIds: [1, 10, 12, 13, 32, 46] }), [
        token,
        fixture("activities"),
        last,
      ])
      const typed = records.map((r) => r.value)
      assert.deepStrictEqual(
        records.map((r) => r.text),
        fixture("activities")
          .split("\n")
          .slice(1, -2)
          .map((line) => line.trim().replace(/,$/, "")),
      )
      assert.deepStrictEqual(
        records.map((r) => DateTime.formatIso(r.activityDate)),
        [
          "2013-09-26T06:56:35.000Z",
          "2013-12-28T00:39:45.000Z",
          "2019-03-27T21:05:12.000Z",
          "2024-11-02T11:30:00.000Z",
          "2026-03-04T20:41:32.000Z",
          "2026-03-04T15:41:32.000Z",
          "2026-03-04T15:41:33.000Z",
        ],
      )
      assert.deepStrictEqual(
        records.slice(0, 6).map((r) => r.identity),
        ["2", "3", "11381935794", "783961924", "9007199254740993", "7"],
      )
      assert.match(records[6]?.identity ?? "", /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(
        records.map((r) => r.leadId),
        ["6", "9", "1002", "55", "18446744073709551615", "8", "8"],
      )
      const merge = typed[4] as Activity.Activity
      assert.deepStrictEqual(
        [merge.leadId, ...[merge.id, merge.campaignId, merge.primaryAttributeValue].map(Option.getOrNull)],
        ["18446744073709551615", "9007199254740993", "9007199254740995", null],
      )
      const withoutId = typed[3] as Activity.Activity
      assertNone(withoutId.id)
      assertSome(withoutId.primaryAttributeValueId, "7")
      assert.deepStrictEqual(typed[5]?.attributes, [])
      const enriched = ActivityRecord.extend(records[4] ?? assert.fail(), { x: 1 }).text
      assert.include(enriched, '"leadId":18446744073709551615')
      assert.include(enriched, '"deep":[1e400,0.10]')
    }),
  )

  it.effect("lead changes", () =>
    Effect.gen(function* () {
      const { records } = yield* read(Feed.leadChanges({ fields: ["firstName", "state"] }), [
        token,
        fixture("leadchanges"),
      ])
      const [created, changed] = records.map((r) => r.value as Activity.LeadChange)
      assert.deepStrictEqual(created?.fields, [])
      assert.deepStrictEqual(changed?.fields, [
        { id: Option.some(48), name: "firstName", oldValue: Option.some("opreho"), newValue: Option.some("opreho2") },
        { id: Option.some(62), name: "state", oldValue: Option.none(), newValue: Option.none() },
        { id: Option.some(63), name: "city", oldValue: Option.none(), newValue: Option.some("Zürich") },
      ])
    }),
  )

  it.effect(
    "deleted leads: leadId is the lead that is gone, also where the primary attribute says something else",
    () =>
      Effect.gen(function* () {
        const { records } = yield* read(Feed.deletedLeads, [token, fixture("deletedleads")])
        assert.deepStrictEqual(
          records.map((r) => (r.value as Activity.DeletedLead).deletedLeadId),
          ["6", "9"],
        )
      }),
  )

  it.effect("types: without primary attribute, without attributes, null description", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([fixture("types")])
      const types = yield* Effect.flatMap(Activities.Activities, (a) => a.types).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        types.map((t) => [t.id, t.attributes.length, Option.isSome(t.primaryAttribute)]),
        [
          [1, 2, true],
          [12, 1, false],
          [32, 0, true],
          [100014, 1, true],
        ],
      )
      assert.deepStrictEqual(
        types.map((t) => Option.getOrNull(t.apiName)),
        [null, null, null, "acmeRentKayak"],
      )
    }),
  )
})

describe("requests are the documented ones, byte for byte", () => {
  const lines = (sent: Effect.Effect.Success<ReturnType<typeof read>>["sent"]) =>
    sent.map((s) => `${s.method} ${s.url.replace(url, "")}`)
  const identity =
    "GET /identity/oauth/token?grant_type=client_credentials&client_id=id&client_secret=hush%20%26%20hush"
  const pagingToken = "GET /rest/v1/activities/pagingtoken.json?sinceDatetime=2008-11-06T00%3A00%3A00Z"

  it.effect("activities", () =>
    Effect.gen(function* () {
      const { sent } = yield* read(Feed.leadActivities({ activityTypeIds: [12, 1], leadIds: [7, "12", 3] }), [
        token,
        fixture("activities"),
        last,
      ])
      assert.deepStrictEqual(lines(sent), [
        identity,
        pagingToken,
        "GET /rest/v1/activities.json?activityTypeIds=1,12&leadIds=3,7,12&nextPageToken=FIRST%3D",
        "GET /rest/v1/activities.json?activityTypeIds=1,12&leadIds=3,7,12&nextPageToken=GIYDAOBNGEYS2MBWKQYDAORQGA5DAMBOGAYDAKZQGAYDALBQ",
      ])
    }),
  )

  it.effect("an id that is given twice goes once, however it is written", () =>
    Effect.gen(function* () {
      const { sent } = yield* read(Feed.leadActivities({ activityTypeIds: [1, 1], leadIds: [7, 7, "7"] }), [
        token,
        last,
      ])
      assert.strictEqual(
        lines(sent).at(-1),
        "GET /rest/v1/activities.json?activityTypeIds=1&leadIds=7&nextPageToken=FIRST%3D",
      )
    }),
  )

  it.effect("one type with assets, a list", () =>
    Effect.gen(function* () {
      const { sent } = yield* read(Feed.leadActivities({ activityTypeIds: [1], assetIds: [9, 5], listId: 1001 }), [
        token,
        last,
      ])
      assert.strictEqual(
        lines(sent).at(-1),
        "GET /rest/v1/activities.json?activityTypeIds=1&assetIds=5,9&listId=1001&nextPageToken=FIRST%3D",
      )
    }),
  )

  it.effect("lead changes, deleted leads, types", () =>
    Effect.gen(function* () {
      const changes = yield* read(Feed.leadChanges({ fields: ["lastName", "firstName"], listId: 3 }), [token, last])
      assert.strictEqual(
        lines(changes.sent).at(-1),
        "GET /rest/v1/activities/leadchanges.json?fields=firstName,lastName&listId=3&nextPageToken=FIRST%3D",
      )
      const deleted = yield* read(Feed.deletedLeads, [token, last])
      assert.strictEqual(lines(deleted.sent).at(-1), "GET /rest/v1/activities/deletedleads.json?nextPageToken=FIRST%3D")
      const { layer, sent } = yield* stub([fixture("types")])
      yield* Effect.flatMap(Activities.Activities, (a) => a.types).pipe(Effect.provide(layer))
      assert.strictEqual(lines(yield* sent).at(-1), "GET /rest/v1/activities/types.json")
    }),
  )

  it.effect("since in any zone, rounded down to the second", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
      const { layer, sent } = yield* stub([token])
      for (const at of ["2026-01-01T00:00:00.999+05:30", DateTime.unsafeMake("2025-12-31T18:30:00.001Z")]) {
        yield* Effect.flatMap(Activities.Activities, (a) => a.pagingToken(at)).pipe(Effect.provide(layer))
      }
      assert.deepStrictEqual(
        lines(yield* sent).filter((line) => line.includes("pagingtoken")),
        Array.from(
          { length: 2 },
          () => "GET /rest/v1/activities/pagingtoken.json?sinceDatetime=2025-12-31T18%3A30%3A00Z",
        ),
      )
    }),
  )
})
