import { assert, describe, it } from "@effect/vitest"
import { Activities, Checkpoint, Feed, type MarketoError } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { Chunk, DateTime, Effect, Exit, FastCheck, Option, Stream, TestClock } from "effect"
import { flowing, many, now, simulated, since } from "./support/simulated.js"
import { stub } from "./support/stub.js"

const collect = <A>(feed: Feed.Feed<A>, start: Activities.Start) =>
  Effect.flatMap(Activities.Activities, (activities) =>
    Effect.map(Stream.runCollect(activities.pages(feed, start)), Chunk.toReadonlyArray),
  )

const textsOf = (pages: ReadonlyArray<{ readonly records: Chunk.Chunk<{ readonly text: string }> }>) =>
  pages.flatMap((page) => Chunk.toReadonlyArray(page.records).map((record) => record.text))

const visits = Feed.leadActivities({ activityTypeIds: [1] })

const page = (members: Record<string, unknown>) =>
  JSON.stringify({ requestId: "1#2", success: true, nextPageToken: "NEXT=", moreResult: false, ...members })

const element = (activityDate: string) => ({ id: 1, leadId: 7, activityDate, activityTypeId: 1, attributes: [] })

const pagingToken = '{"requestId":"1#2","success":true,"nextPageToken":"FIRST="}'

describe("paging", () => {
  it.effect("reads every activity once, in order, with the very text that is stored", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const pages = yield* collect(Feed.leadActivities({ activityTypeIds: [1, 2, 6, 10] }), { since })
      const stored = (yield* simulator.activities).filter((a) => [1, 2, 6, 10].includes(a.activityTypeId))
      assert.isAbove(stored.length, 300)
      assert.deepStrictEqual(
        textsOf(pages),
        stored.map((a) => a.text),
      )
      assert.deepStrictEqual(
        pages.map((p) => p.moreResult),
        pages.map((_, i) => i < pages.length - 1),
      )
    }).pipe(Effect.provide(simulated({ data: { activities: 2_000 } }))),
  )

  it.effect.prop(
    "emits everything once and in order for any page and block sizes, empty pages included",
    [
      FastCheck.integer({ min: 1, max: 300 }),
      FastCheck.integer({ min: 20, max: 400 }),
      FastCheck.constantFrom("absent" as const, "null" as const, "array" as const),
      FastCheck.array(
        FastCheck.record({
          call: FastCheck.integer({ min: 2, max: 20 }),
          fault: FastCheck.constantFrom("emptyPage" as const, "shortPage" as const),
        }),
        { maxLength: 6 },
      ),
    ],
    ([batchSize, blockSize, emptyResult, faults]) =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        const pages = yield* collect(visits, { since, batchSize })
        const stored = (yield* simulator.activities).filter((a) => a.activityTypeId === 1)
        assert.deepStrictEqual(
          textsOf(pages),
          stored.map((a) => a.text),
        )
        assert.isTrue(pages.every((p) => p.records.length <= batchSize))
      }).pipe(
        Effect.provide(
          simulated({
            data: { activities: 400 },
            quirks: { blockSize, emptyResult },
            faults: faults.map(({ call, fault }) =>
              fault === "emptyPage" ? { fault, call } : { fault, call, records: 1 + (call % 3) },
            ),
          }),
        ),
      ),
    { fastCheck: { numRuns: 30 } },
  )

  it.effect("goes on after thousands of empty pages", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "emptyPage", match: { endpoint: "leadActivities" }, times: 2_000 })
      const pages = yield* collect(visits, { since })
      assert.strictEqual(pages.filter((p) => Chunk.isEmpty(p.records)).length >= 2_000, true)
      const stored = (yield* simulator.activities).filter((a) => a.activityTypeId === 1)
      assert.strictEqual(textsOf(pages).length, stored.length)
    }).pipe(Effect.provide(simulated({ data: { activities: 300 } }))),
  )

  it.effect("resumes at any page without losing or repeating one", () =>
    Effect.gen(function* () {
      const feed = Feed.leadActivities({ activityTypeIds: many })
      const all = yield* collect(feed, { since, batchSize: 50, concurrency: 1 })
      for (let stop = 0; stop < all.length; stop++) {
        const rest = yield* collect(feed, { since, batchSize: 50, concurrency: 1, positions: all[stop]?.positions })
        const texts = textsOf([...all.slice(0, stop + 1), ...rest])
        assert.strictEqual(new Set(texts).size, texts.length)
        assert.deepStrictEqual([...texts].sort(), textsOf(all).sort())
      }
    }).pipe(Effect.provide(simulated({ data: { activities: 600 } }))),
  )

  it.effect("an idle poll gets the same token again and ends", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([page({ nextPageToken: "SAME=" })])
      const position = { query: "activityTypeIds=1", token: "SAME=", through: now } as Checkpoint.Position
      const pages = yield* Effect.provide(collect(visits, { since, positions: [position] }), layer)
      assert.deepStrictEqual(
        pages.map((p) => p.moreResult),
        [false],
      )
    }),
  )

  it.effect("the same token with moreResult: true is an error, not a loop", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "sameToken", call: 4 })
      const error = yield* Effect.flip(collect(visits, { since, batchSize: 10 }))
      assert.strictEqual(error._tag === "MarketoUnavailable" && error.reason, "Stalled")
      assert.strictEqual((yield* simulator.calls).filter((c) => c.endpoint === "leadActivities").length, 3)
    }).pipe(Effect.provide(simulated())),
  )

  for (const [what, body] of [
    ["no token", page({ nextPageToken: undefined })],
    ["no moreResult", page({ moreResult: undefined })],
    ["result of another type", page({ result: {} })],
  ] as const) {
    it.effect(`a page with ${what} is repeated, then an error`, () =>
      Effect.gen(function* () {
        const { calls, layer } = yield* stub([pagingToken, body])
        yield* TestClock.setTime(DateTime.toEpochMillis(now))
        const error = yield* Effect.flip(flowing(Effect.provide(collect(visits, { since }), layer)))
        assert.strictEqual(error._tag === "MarketoUnavailable" && error.reason, "Malformed")
        assert.strictEqual((yield* calls).length, 1 + 9)
      }),
    )
  }

  it.effect("result absent, null or [] is a page without records", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const { layer } = yield* stub([
        pagingToken,
        page({ moreResult: true, nextPageToken: "A=" }),
        page({ moreResult: true, nextPageToken: "B=", result: null }),
        page({ moreResult: false, nextPageToken: "C=", result: [] }),
      ])
      const pages = yield* Effect.provide(collect(visits, { since }), layer)
      assert.deepStrictEqual(
        pages.map((p) => p.records.length),
        [0, 0, 0],
      )
    }),
  )

  it.effect("through follows the newest activityDate, and the clock once caught up", () =>
    Effect.gen(function* () {
      const pages = yield* collect(visits, { since, batchSize: 50 })
      const [first] = pages
      const newest = Chunk.toReadonlyArray(first?.records ?? Chunk.empty()).map((r) =>
        DateTime.toEpochMillis(r.activityDate),
      )
      assert.strictEqual(DateTime.toEpochMillis(first?.positions[0]?.through ?? now), Math.max(...newest))
      const last = pages[pages.length - 1]
      assert.isAtLeast(
        DateTime.toEpochMillis(last?.positions[0]?.through ?? DateTime.unsafeMake(0)),
        DateTime.toEpochMillis(now),
      )
    }).pipe(Effect.provide(simulated())),
  )
})

describe("through", () => {
  const throughs = (...replies: Parameters<typeof stub>[0]) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const { layer } = yield* stub([pagingToken, ...replies])
      const pages = yield* Effect.provide(collect(visits, { since }), layer)
      for (const { positions, through } of pages) assert.deepStrictEqual(positions[0]?.through, through)
      return pages.map((p) => DateTime.formatIso(p.through).slice(0, 19))
    })

  it.effect("never goes back when dates fall", () =>
    Effect.gen(function* () {
      const dates = ["2026-01-20T00:00:00Z", "2026-01-10T00:00:00Z"]
      const read = yield* throughs(
        ...dates.map((at, i) => page({ moreResult: true, nextPageToken: `${i}=`, result: [element(at)] })),
        page({}),
      )
      assert.deepStrictEqual(read, ["2026-01-20T00:00:00", "2026-01-20T00:00:00", "2026-02-01T00:00:00"])
    }),
  )

  it.effect("never goes into the future with an activity's date", () =>
    Effect.gen(function* () {
      const future = [element("2031-01-01T00:00:00Z")]
      const read = yield* throughs(page({ moreResult: true, nextPageToken: "A=", result: future }), page({}))
      assert.deepStrictEqual(read, ["2026-02-01T00:00:00", "2026-02-01T00:00:00"])
    }),
  )

  it.effect("once caught up is Marketo's clock, where it tells it", () =>
    Effect.gen(function* () {
      const headers = { date: "Sun, 01 Feb 2026 00:05:00 GMT" }
      assert.deepStrictEqual(yield* throughs(new Response(page({}), { headers })), ["2026-02-01T00:05:00"])
    }),
  )

  it.effect("never goes back with a clock that is behind", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const { layer } = yield* stub([page({})])
      const through = DateTime.add(now, { minutes: 5 })
      const position = new Checkpoint.Position({ query: "activityTypeIds=1", token: "T=", through })
      const [read] = yield* Effect.provide(collect(visits, { since, positions: [position] }), layer)
      assert.deepStrictEqual(read?.positions[0]?.through, through)
    }),
  )

  it.effect("of several chains is that of the one furthest behind", () =>
    Effect.gen(function* () {
      const pages = yield* collect(Feed.leadActivities({ activityTypeIds: many }), { since, batchSize: 40 })
      const behind = pages.map((p) => p.positions.map(({ through }) => DateTime.toEpochMillis(through)))
      assert.deepStrictEqual(
        pages.map((p) => DateTime.toEpochMillis(p.through)),
        behind.map((throughs) => Math.min(...throughs)),
      )
      assert.isTrue(behind.some((throughs) => Math.min(...throughs) < Math.max(...throughs)))
    }).pipe(Effect.provide(simulated({ data: { activities: 600 } }))),
  )
})

describe("chains", () => {
  it.effect("any number of types is read as chains of ten, each token only with its own query", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const pages = yield* collect(Feed.leadActivities({ activityTypeIds: many }), {
        since,
        batchSize: 40,
        concurrency: 3,
      })
      const stored = (yield* simulator.activities).filter((a) => many.includes(a.activityTypeId))
      assert.deepStrictEqual(textsOf(pages).sort(), stored.map((a) => a.text).sort())
      const calls = (yield* simulator.calls).filter((c) => c.endpoint === "leadActivities")
      assert.strictEqual(new Set(calls.map((c) => c.query.activityTypeIds)).size, 5)
      assert.isTrue(calls.every((c) => (c.query.activityTypeIds ?? "").split(",").length <= 10))
      const given = new Set(pages.flatMap((p) => p.positions.map(({ query, token }) => `${query} ${token}`)))
      const followed = calls.filter((c) => c.query.nextPageToken !== calls[0]?.query.nextPageToken)
      assert.isTrue(
        followed.every((c) => given.has(`activityTypeIds=${c.query.activityTypeIds} ${c.query.nextPageToken}`)),
      )
      const last = pages[pages.length - 1]
      assert.strictEqual(last?.positions.length, 5)
      assert.deepStrictEqual(pages.filter((p) => !p.moreResult).length, 1)
      assert.strictEqual(last?.moreResult, false)
    }).pipe(Effect.provide(simulated({ data: { activities: 1_500 } }))),
  )

  it.effect("reads as many chains at once as it is told", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* flowing(collect(Feed.leadActivities({ activityTypeIds: many }), { since, concurrency: 3 }))
      assert.strictEqual(yield* simulator.peakConcurrency, 3)
    }).pipe(Effect.provide(simulated({ data: { activities: 500 }, latency: "1 seconds" }))),
  )

  it.effect("reads five at once unless told otherwise", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const own = Array.from({ length: 10 }, (_, i) => 100_001 + i)
      yield* flowing(collect(Feed.leadActivities({ activityTypeIds: [...many, ...own] }), { since }))
      const chains = (yield* simulator.calls).flatMap((c) => c.query.activityTypeIds ?? [])
      assert.strictEqual(new Set(chains).size, 6)
      assert.strictEqual(yield* simulator.peakConcurrency, 5)
    }).pipe(
      Effect.provide(
        simulated({
          data: {
            activities: 500,
            customTypes: Array.from({ length: 10 }, (_, i) => ({
              apiName: `type${i}`,
              name: `Type ${i}`,
              primaryAttribute: { apiName: "name", name: "Name", dataType: "string" as const },
            })),
          },
          latency: "1 seconds",
        }),
      ),
    ),
  )

  it.effect("an added type starts a chain of its own at since; a removed one stays in its query and is dropped", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const first = yield* collect(Feed.leadActivities({ activityTypeIds: [1, 2] }), { since })
      const before = (yield* simulator.calls).length
      yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 2 }, { activityTypeId: 6 }])
      const second = yield* collect(Feed.leadActivities({ activityTypeIds: [6, 2] }), {
        since,
        positions: first[first.length - 1]?.positions,
      })
      const stored = yield* simulator.activities
      const newest = stored.slice(-3)
      assert.deepStrictEqual(
        textsOf(second).sort(),
        [...stored.filter((a) => a.activityTypeId === 6), ...newest.filter((a) => a.activityTypeId === 2)]
          .map((a) => a.text)
          .sort(),
      )
      assert.deepStrictEqual(
        [...new Set((yield* simulator.calls).slice(before).map((c) => c.query.activityTypeIds))].sort(),
        ["1,2", "6", undefined],
      )
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("a chain without a wanted type is not read, and its position is kept for the type's return", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const first = yield* collect(Feed.leadActivities({ activityTypeIds: [1] }), { since })
      const without = yield* collect(Feed.leadActivities({ activityTypeIds: [2] }), {
        since,
        positions: first.at(-1)?.positions,
      })
      const added = yield* simulator.add([{ activityTypeId: 1 }])
      const again = yield* collect(Feed.leadActivities({ activityTypeIds: [1, 2] }), {
        since,
        positions: without.at(-1)?.positions,
      })
      assert.deepStrictEqual(
        textsOf(again),
        added.map((a) => a.text),
      )
    }).pipe(Effect.provide(simulated())),
  )

  const positions = [
    { query: "activityTypeIds=1", token: "T=", through: now, answered: true },
  ] as ReadonlyArray<Checkpoint.Position>
  for (const [what, feed] of [
    ["a list", Feed.leadActivities({ activityTypeIds: [1], listId: 7 })],
    ["leads", Feed.leadActivities({ activityTypeIds: [1], leadIds: [7] })],
    ["an asset", Feed.leadActivities({ activityTypeIds: [1], assetIds: [7] })],
    ["lead changes", Feed.leadChanges({ fields: ["email"] })],
    ["deleted leads", Feed.deletedLeads],
  ] as const) {
    it.effect(`under a known name, ${what} instead is refused with advice and without a call`, () =>
      Effect.gen(function* () {
        const { layer, sent } = yield* stub([pagingToken])
        const error = yield* Effect.flip(
          Effect.provide(collect(feed as Feed.Feed<unknown>, { since, positions }), layer),
        )
        assert.strictEqual(error._tag === "CheckpointRefused" && error.reason, "OtherFeed")
        assert.include(error.message, "another name")
        assert.deepStrictEqual(yield* sent, [])
      }),
    )
  }
})

describe("the other feeds", () => {
  it.effect("lead changes", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const pages = yield* collect(Feed.leadChanges({ fields: ["firstName", "email", "leadStatus"] }), { since })
      const changes = pages.flatMap((p) => Chunk.toReadonlyArray(p.records).map((r) => r.value))
      assert.isAbove(changes.length, 0)
      assert.deepStrictEqual([...new Set(changes.map((c) => c._tag))], ["LeadChange"])
      const served = new Set((yield* simulator.activities).flatMap((a) => a.leadChange ?? []))
      assert.isTrue(textsOf(pages).every((text) => served.has(text)))
    }).pipe(Effect.provide(simulated({ data: { activities: 3_000 } }))),
  )

  it.effect("deleted leads, as typed values", () =>
    Effect.gen(function* () {
      const activities = yield* Activities.Activities
      const simulator = yield* Simulator.Simulator
      const deleted = yield* Stream.runCollect(activities.stream(Feed.deletedLeads, { since }))
      const stored = (yield* simulator.activities).filter((a) => a.activityTypeId === 37)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(deleted).map((d) => Option.getOrNull(d.id)),
        stored.map((a) => a.id),
      )
      assert.isTrue(Chunk.every(deleted, (d) => /^\d+$/.test(d.deletedLeadId)))
    }).pipe(Effect.provide(simulated({ data: { activities: 5_000 } }))),
  )

  it.effect("activity types", () =>
    Effect.gen(function* () {
      const activities = yield* Activities.Activities
      const types = yield* activities.types
      assert.isTrue(types.some((t) => t.id === 12 && Option.isNone(t.primaryAttribute)))
      assert.isTrue(types.some((t) => t.id === 1 && t.attributes.some((a) => a.name === "Webpage URL")))
    }).pipe(Effect.provide(simulated())),
  )
})

describe("bad input is a typed error before any call", () => {
  const cases: ReadonlyArray<readonly [string, Feed.Feed<unknown>, Partial<Activities.Start>, string]> = [
    ["no lead id", Feed.leadActivities({ activityTypeIds: [1], leadIds: [] }), {}, "leadIds"],
    [
      "31 lead ids",
      Feed.leadChanges({ fields: ["email"], leadIds: Array.from({ length: 31 }, (_, i) => i + 1) }),
      {},
      "leadIds",
    ],
    ["a lead id that was rounded", Feed.leadActivities({ activityTypeIds: [1], leadIds: [2 ** 53] }), {}, "leadIds"],
    ["a lead id that is no id", Feed.leadActivities({ activityTypeIds: [1], leadIds: ["7; drop"] }), {}, "leadIds"],
    ["no type id", Feed.leadActivities({ activityTypeIds: [] }), {}, "activityTypeIds"],
    ["a type id that is no id", Feed.leadActivities({ activityTypeIds: [1.5] }), {}, "activityTypeIds"],
    ["no field", Feed.leadChanges({ fields: [] }), {}, "fields"],
    ["fields in one text", Feed.leadChanges({ fields: ["email,firstName"] }), {}, "fields"],
    ["list and leads", Feed.leadActivities({ activityTypeIds: [1], listId: 1, leadIds: [1] }), {}, "listId"],
    ["an asset with two types", Feed.leadActivities({ activityTypeIds: [1, 2], assetIds: [5] }), {}, "assetIds"],
    [
      "an asset with eleven types",
      Feed.leadActivities({ activityTypeIds: Array.from({ length: 11 }, (_, i) => i + 1), assetIds: [5] }),
      {},
      "assetIds",
    ],
    ["a page of 0", Feed.deletedLeads, { batchSize: 0 }, "batchSize"],
    ["a page of 301", Feed.deletedLeads, { batchSize: 301 }, "batchSize"],
    ["a page of 1.5", Feed.deletedLeads, { batchSize: 1.5 }, "batchSize"],
    ["no concurrency", Feed.deletedLeads, { concurrency: 0 }, "concurrency"],
    ["since in the future", Feed.deletedLeads, { since: "2026-02-01T00:00:01Z" }, "since"],
    ["since without a zone", Feed.deletedLeads, { since: "2026-01-01T00:00:00" }, "since"],
    ["since that is a day", Feed.deletedLeads, { since: "2026-01-01" }, "since"],
    ["since that is no date", Feed.deletedLeads, { since: "yesterday" }, "since"],
    ["since that is not on the calendar", Feed.deletedLeads, { since: "2026-02-30T00:00:00Z" }, "since"],
  ]
  for (const [what, feed, start, field] of cases) {
    it.effect(what, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(DateTime.toEpochMillis(now))
        const { layer, sent } = yield* stub([pagingToken])
        const error = yield* Effect.flip(Effect.provide(collect(feed, { since, ...start }), layer))
        assert.strictEqual(error._tag === "MarketoInvalidRequest" && error.field, field)
        assert.deepStrictEqual(yield* sent, [])
      }),
    )
  }
})

describe("elements that cannot be decoded", () => {
  const bad = [
    {
      text: '{"id":1,"leadId":"x7","activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,"attributes":[]}',
      activityTypeId: 1,
      paths: ["leadId"],
    },
    {
      text: '{"id":2,"leadId":7,"activityDate":"2026-01-20 00:00","activityTypeId":1,"attributes":[{"value":"secret"}]}',
      activityTypeId: 1,
      paths: ["activityDate"],
    },
    { text: "null", activityTypeId: 1, paths: ["(the whole element)"] },
    { text: '"an activity"', activityTypeId: 1, paths: ["(the whole element)"] },
  ]

  it.effect("fail: the read ends with the position and the paths at fault, never the values", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.add([{ activityTypeId: 1 }, ...bad])
      const exit = yield* Effect.exit(collect(visits, { since }))
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(exit)
      assert.strictEqual(error._tag === "MarketoUndecodable" && Option.getOrNull(error.index), 1)
      assert.deepStrictEqual(error._tag === "MarketoUndecodable" && error.paths, ["leadId"])
      assert.notInclude(JSON.stringify(error) + error.message, "x7")
    }).pipe(Effect.provide(simulated({ data: { activities: 0 } }))),
  )

  it.effect("stream has nowhere to keep them: it fails, whatever its options were made for", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.add([{ activityTypeId: 1 }, ...bad])
      const activities = yield* Activities.Activities
      const start: Activities.Start = { since, undecodable: "keep" }
      const error = yield* Effect.flip(Stream.runDrain(activities.stream(visits, start)))
      assert.strictEqual(error._tag === "MarketoUndecodable" && Option.getOrNull(error.index), 1)
    }).pipe(Effect.provide(simulated({ data: { activities: 0 } }))),
  )

  it.effect("keep: the rest goes on, and nothing is dropped", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const stored = yield* simulator.add([{ activityTypeId: 1 }, ...bad, { activityTypeId: 1 }])
      const [read] = yield* collect(visits, { since, undecodable: "keep" })
      assert.deepStrictEqual(textsOf(read === undefined ? [] : [read]), [stored[0]?.text, stored[5]?.text])
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(read?.rejected ?? Chunk.empty()),
        bad.map(({ paths, text }, i) => ({ text, paths, index: i + 1 })),
      )
    }).pipe(Effect.provide(simulated({ data: { activities: 0 } }))),
  )
})

describe("elements that are nested thousands of levels deep", () => {
  for (const levels of [3_000, 20_000]) {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ] as const) {
      const deep = `${open.repeat(levels)}1${close.repeat(levels)}`
      it.effect(`are undecodable as others are: ${levels} of ${open}`, () =>
        Effect.gen(function* () {
          const simulator = yield* Simulator.Simulator
          const bad = [
            { text: deep, paths: open === "[" ? ["(the whole element)"] : undefined },
            {
              text: `{"id":1,"leadId":${deep},"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1}`,
              paths: ["leadId"],
            },
          ]
          const stored = yield* simulator.add([
            { activityTypeId: 1 },
            ...bad.map(({ text }) => ({ activityTypeId: 1, text })),
            { activityTypeId: 1 },
          ])
          const [read] = yield* collect(visits, { since, undecodable: "keep" })
          assert.deepStrictEqual(textsOf(read === undefined ? [] : [read]), [stored[0]?.text, stored[3]?.text])
          const rejected = Chunk.toReadonlyArray(read?.rejected ?? Chunk.empty())
          assert.isTrue(rejected.every(({ text }, i) => text === bad[i]?.text) && rejected.length === 2)
          for (const [i, { paths }] of bad.entries())
            if (paths !== undefined) assert.deepStrictEqual(rejected[i]?.paths, paths)
          const error = yield* Effect.flip(collect(visits, { since }))
          assert.strictEqual(error._tag === "MarketoUndecodable" && Option.getOrNull(error.index), 1)
        }).pipe(Effect.provide(simulated({ data: { activities: 0 } }))),
      )

      it.effect(`go through where the schema does not look: ${levels} of ${open}`, () =>
        Effect.gen(function* () {
          const simulator = yield* Simulator.Simulator
          const text = `{"id":1,"leadId":7,"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,"attributes":[{"name":"a","value":${deep}}],"x":${deep}}`
          yield* simulator.add([{ activityTypeId: 1, text }])
          assert.deepStrictEqual(textsOf(yield* collect(visits, { since })), [text])
        }).pipe(Effect.provide(simulated({ data: { activities: 0 } }))),
      )
    }
  }
})

describe("a paging token that Marketo refuses", () => {
  it.effect("fails with the instant where the chain stood and how to go on", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "refusedToken", call: 4 })
      const activities = yield* Activities.Activities
      const seen: Array<Checkpoint.Position> = []
      const error: MarketoError.MarketoError = yield* Effect.flip(
        activities
          .pages(visits, { since, batchSize: 10 })
          .pipe(Stream.runForEach((p) => Effect.sync(() => seen.push(...p.positions)))),
      )
      assert.strictEqual(error._tag === "CheckpointRefused" && error.reason, "TokenRefused")
      assert.strictEqual(seen.length, 2)
      assert.include(error.message, DateTime.formatIso(seen[1]?.through ?? now))
      assert.include(error.message, "Nothing was skipped")
    }).pipe(Effect.provide(simulated())),
  )

  const refused = (code: string) => JSON.stringify({ requestId: "7a#19", success: false, errors: [{ code }] })
  const failing = (start: Omit<Activities.Start, "since">, ...replies: Parameters<typeof stub>[0]) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const { layer } = yield* stub(replies)
      return yield* Effect.flip(Effect.provide(collect(visits, { since, ...start }), layer))
    })
  const more = page({ moreResult: true, nextPageToken: "A=" })

  for (const code of ["1001", "1003", "702", "704", "709"]) {
    it.effect(`code ${code} on a page after the first is such a refusal`, () =>
      Effect.gen(function* () {
        const error = yield* failing({}, pagingToken, more, refused(code))
        assert.strictEqual(error._tag === "CheckpointRefused" && error.reason, "TokenRefused")
        assert.include(error.message, `[${code}]`)
        assert.include(error.message, "request 7a#19")
      }),
    )
  }

  it.effect("likewise on the first page of a stored position", () =>
    Effect.gen(function* () {
      const position = {
        query: "activityTypeIds=1",
        token: "OLD=",
        through: now,
        answered: true,
      } as Checkpoint.Position
      const error = yield* failing({ positions: [position] }, refused("1003"))
      assert.strictEqual(error._tag === "CheckpointRefused" && error.reason, "TokenRefused")
    }),
  )

  it.effect("a token that was just made cannot be at fault: the first page's refusal is Marketo's own", () =>
    Effect.gen(function* () {
      const error = yield* failing({}, pagingToken, refused("1003"))
      assert.deepStrictEqual(error._tag === "MarketoRejected" && error.codes, ["1003"])
    }),
  )

  it.effect("likewise after a restart, when the checkpoint says that its token was never answered", () =>
    Effect.gen(function* () {
      const subscription = { name: "n", instance: "i" }
      const position = new Checkpoint.Position({
        query: "activityTypeIds=1",
        token: "NEW=",
        through: now,
        answered: false,
      })
      const stored = new Checkpoint.Checkpoint({
        v: 1,
        instance: "i",
        subscription: "n",
        sequence: 1,
        positions: [position],
      })
      const { positions } = yield* Checkpoint.fromJson(Checkpoint.toJson(stored), subscription)
      const said = JSON.stringify({
        requestId: "7a#19",
        success: false,
        errors: [{ code: "1003", message: "No such asset" }],
      })
      const error = yield* failing({ positions }, said)
      assert.strictEqual(error._tag, "MarketoRejected")
      assert.include(error.message, "No such asset")
    }),
  )

  for (const [when, replies] of [
    ["before the first page", [pagingToken]],
    ["later", [pagingToken, more]],
  ] as const) {
    it.effect(`1003 on a feed with a list says first that the list may be gone or too large: ${when}`, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(DateTime.toEpochMillis(now))
        const { layer } = yield* stub([...replies, refused("1003")])
        const feed = Feed.leadActivities({ activityTypeIds: [1], listId: 7 })
        const error = yield* Effect.flip(Effect.provide(collect(feed, { since }), layer))
        assert.strictEqual(error._tag, "MarketoRejected")
        assert.match(
          error.message,
          /^leadActivities: the list of this feed may be gone, or have 10,000 members or more/,
        )
      }),
    )
  }

  it.effect("any other code is no refusal of the token", () =>
    Effect.gen(function* () {
      const error = yield* failing({}, pagingToken, more, refused("1006"))
      assert.deepStrictEqual(error._tag === "MarketoRejected" && error.codes, ["1006"])
    }),
  )
})
