import { assert, describe, it } from "@effect/vitest"
import {
  Activities,
  type Activity,
  CustomActivities,
  CustomActivityTypes,
  Feed,
  RequestPolicy,
} from "@effect-marketo/core"
import { Chunk, DateTime, Effect, Exit, Layer, Option, Record, Stream, TestClock } from "effect"
import { flowing } from "./support/simulated.js"
import { type Answer, stub } from "./support/stub.js"

const token = '{"requestId":"1#2","success":true,"nextPageToken":"FIRST="}'

const bytesOf = (...parts: ReadonlyArray<string | number>) =>
  new Uint8Array(parts.flatMap((part) => (typeof part === "number" ? [part] : [...new TextEncoder().encode(part)])))

/** A page with the given bytes as its second element. */
const page = (odd: Uint8Array) =>
  new Response(
    bytesOf(
      '{"requestId":"1#3","success":true,"nextPageToken":"NEXT=","moreResult":false,"result":[',
      good,
      ", ",
      ...odd,
      ",",
      good,
      "]}",
    ),
  )

const good = '{"id":1,"leadId":7,"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,"attributes":[]}'
const start = '{"id":2,"leadId":7,"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,"x":"'
const deep = `${"[".repeat(3_000)}${"]".repeat(3_000)}`

const read = (
  answer: Answer,
  undecodable: "fail" | "keep",
  feed: Feed.Feed<Activity.AnyActivity> = Feed.leadActivities({ activityTypeIds: [1] }),
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
    const { calls, layer } = yield* stub([token, answer])
    const pages = Stream.unwrap(
      Effect.map(Activities.Activities, (a) => a.pages(feed, { since: "2026-01-01T00:00:00Z", undecodable })),
    )
    const result = yield* flowing(Effect.either(Effect.provide(Stream.runCollect(pages), layer)))
    return { result, pageCalls: (yield* calls).length - 1 }
  })

const rejectedOf = (answer: Answer) =>
  Effect.map(read(answer, "keep"), ({ result }) => {
    if (result._tag === "Left") return assert.fail(result.left.message)
    const { records, rejected } = Chunk.unsafeHead(result.right)
    assert.deepStrictEqual(
      Chunk.toReadonlyArray(records).map(({ text }) => text),
      [good, good],
    )
    return Chunk.toReadonlyArray(rejected)
  })

describe("an element that cannot be read", () => {
  for (const [what, odd, path] of [
    ["with a byte that is not UTF-8", bytesOf(start, 0xff, '"}'), "(not valid UTF-8)"],
    ["with a raw tab in a string", bytesOf(start, 0x09, '"}'), `(not valid JSON at byte ${start.length})`],
    ["with a bad escape", bytesOf(start, "\\q", '"}'), `(not valid JSON at byte ${start.length + 1})`],
    ["that is a word", bytesOf("NaN"), "(not valid JSON)"],
    ["nested 3,000 deep", bytesOf(deep), "(the whole element)"],
    [
      "with a lead nested 3,000 deep",
      bytesOf(`{"leadId":${deep},"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1}`),
      "leadId",
    ],
  ] as const) {
    it.effect(`${what}: keep sets it aside, and the others are records`, () =>
      Effect.gen(function* () {
        const rejected = yield* rejectedOf(page(odd))
        assert.deepStrictEqual(rejected, [{ text: new TextDecoder().decode(odd), index: 1, paths: [path] }])
      }),
    )
    it.effect(`${what}: fail ends the read with its index and path, after one call`, () =>
      Effect.gen(function* () {
        const { pageCalls, result } = yield* read(page(odd), "fail")
        assert.strictEqual(pageCalls, 1)
        if (result._tag === "Right" || result.left._tag !== "MarketoUndecodable") return assert.fail("not Undecodable")
        assert.deepStrictEqual([Option.getOrNull(result.left.index), result.left.paths], [1, [path]])
      }),
    )
  }

  it.effect("deep attributes are no fault: nothing depends on them", () =>
    Effect.gen(function* () {
      const { result } = yield* read(page(bytesOf(`${start}","attributes":${deep}}`)), "fail")
      if (result._tag === "Left") return assert.fail(result.left.message)
      assert.strictEqual(Chunk.unsafeHead(result.right).records.length, 3)
    }),
  )
})

describe("a body that cannot be read", () => {
  for (const [what, body, path] of [
    [
      "a raw tab outside of the elements",
      bytesOf('{"success":true,"x":"', 0x09, '","result":[]}'),
      "(not valid JSON at byte 21)",
    ],
    ["no UTF-8 outside of the elements", bytesOf('{"success":true,"x":"', 0xff, '"}'), "(not valid UTF-8)"],
  ] as const) {
    it.effect(`${what}, again and again: Undecodable at its byte, and no advice to run again`, () =>
      Effect.gen(function* () {
        const { pageCalls, result } = yield* read(new Response(body), "keep")
        assert.strictEqual(pageCalls, 9)
        if (result._tag === "Right" || result.left._tag !== "MarketoUndecodable") return assert.fail("not Undecodable")
        assert.isFalse(result.left.isRetryable)
        assert.deepStrictEqual([result.left.index, result.left.paths], [Option.none(), [path]])
        assert.notMatch(result.left.message, /later|again/)
      }),
    )
  }

  it.effect("one that was cut on the way is Unavailable, which another attempt may mend", () =>
    Effect.gen(function* () {
      for (const cut of [
        good.slice(0, 40),
        '{"success":true,"result":[{"id":"',
        '{"success":true,"result":[',
        '{"a":1',
        "{",
      ]) {
        const { result } = yield* read(cut, "keep")
        assert.strictEqual(result._tag === "Left" && result.left._tag, "MarketoUnavailable", cut)
      }
    }),
  )
})

describe("members of another type than documented", () => {
  const typed = (members: string, feed?: Feed.Feed<Activity.AnyActivity>) =>
    Effect.map(
      read(
        `{"success":true,"moreResult":false,"nextPageToken":"N=","result":[{"leadId":7,"activityDate":"2026-01-20T00:00:00Z","activityTypeId":1,${members}}]}`,
        "fail",
        feed,
      ),
      ({ result }) => {
        if (result._tag === "Left") return assert.fail(result.left.message)
        return Chunk.unsafeHead(Chunk.unsafeHead(result.right).records)
      },
    )

  it.effect("numbers and booleans where text is documented are shown as they came", () =>
    Effect.gen(function* () {
      const activity = (yield* typed(
        '"marketoGUID":9007199254740993,"primaryAttributeValue":12.5,"campaignId":{"a":1}',
      )).value
      assert.strictEqual(activity.marketoGUID, "9007199254740993")
      assert.deepStrictEqual(activity._tag === "Activity" && activity.primaryAttributeValue, Option.some(12.5))
      assert.deepStrictEqual(activity.campaignId, Option.some('{"a":1}'))
      const change = (yield* typed(
        '"fields":[{"name":"a","newValue":5,"oldValue":false},{"id":{"toString":1},"name":"b"},{"id":3},7]',
        Feed.leadChanges({ fields: ["a"] }),
      )).value
      assert.deepStrictEqual(change._tag === "LeadChange" && change.fields, [
        { id: Option.none(), name: "a", newValue: Option.some(5), oldValue: Option.some(false) },
        { id: Option.none(), name: "b", newValue: Option.none(), oldValue: Option.none() },
      ])
    }),
  )

  it.effect("attributes that are no list, or without a name, are no fault", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* typed('"attributes":"none"')).value.attributes, [])
      assert.deepStrictEqual(
        (yield* typed('"attributes":[{"value":1},null,{"name":"n","apiName":3,"value":[]}]')).value.attributes,
        [{ name: "n", apiName: Option.none(), value: [] }],
      )
    }),
  )

  it.effect("one odd activity type leaves the others as they are", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([
        '{"success":true,"result":[{"id":1,"name":"Visit Webpage","primaryAttribute":{"name":"Webpage ID"},"attributes":[{"name":"Query"},{"dataType":"text"},{"name":"URL","dataType":"text"}],"description":5},{"name":"no id"},null]}',
      ])
      const types = yield* Effect.flatMap(Activities.Activities, (a) => a.types).pipe(Effect.provide(layer))
      assert.deepStrictEqual(types, [
        {
          id: 1,
          name: "Visit Webpage",
          apiName: Option.none(),
          description: Option.none(),
          primaryAttribute: Option.some({ name: "Webpage ID", dataType: Option.none(), apiName: Option.none() }),
          attributes: [
            { name: "Query", dataType: Option.none(), apiName: Option.none() },
            { name: "URL", dataType: Option.some("text"), apiName: Option.none() },
          ],
        },
      ])
    }),
  )
})

/** Values that have been seen to make something throw. */
const hostile: ReadonlyArray<unknown> = [{ toString: 1 }, "\ud800", "a\r\nb", null]

const answers = {
  identity: { access_token: "t", expires_in: 3599, token_type: "bearer", scope: "x", error: "e" },
  page: {
    requestId: "1#2",
    success: true,
    moreResult: true,
    nextPageToken: "N=",
    warnings: [{ code: 1, message: "w" }],
    errors: [{ code: "1003", message: "m" }],
    result: [
      {
        id: 1,
        marketoGUID: "1",
        leadId: 7,
        activityDate: "2026-01-20T00:00:00Z",
        activityTypeId: 100001,
        attributes: [{ name: "n", apiName: "a", value: 1 }],
        fields: [{ id: 1, name: "f", newValue: "n", oldValue: "o" }],
        status: "added",
        reasons: [{ code: "1", message: "m" }],
        errors: [{ code: "1", message: "m" }],
        apiName: "x",
        name: "x",
        createdAt: "2026-01-20T00:00:00Z",
        primaryAttribute: { name: "p", apiName: "p", dataType: "string" },
      },
    ],
  },
}

/** Every JSON text in which one member of `value`, however deep, is another value or is gone. */
const spoilt = (value: unknown): ReadonlyArray<unknown> => {
  if (typeof value !== "object" || value === null) return hostile
  const entries = Object.entries(value)
  const joined = (all: ReadonlyArray<readonly [string, unknown]>) =>
    Array.isArray(value) ? all.map(([, inner]) => inner) : Object.fromEntries(all)
  return [
    ...hostile,
    ...entries.flatMap(([key, inner], i) => [
      joined(entries.filter((_, j) => j !== i)),
      ...spoilt(inner).map((other) => joined(entries.with(i, [key, other]))),
    ]),
  ]
}

const dies = (use: Effect.Effect<unknown, unknown>) =>
  Effect.map(flowing(Effect.exit(use)), (exit) => Exit.isFailure(exit) && exit.cause._tag !== "Fail")

describe("whatever an answer holds ends in a typed error or a value", () => {
  const activity = {
    leadId: 7,
    activityDate: DateTime.unsafeMake("2026-01-20T00:00:00Z"),
    activityTypeId: 100001,
    primaryAttributeValue: "x",
    attributes: [{ apiName: "a", value: 1 }],
  }
  const uses = {
    pages: Effect.flatMap(Activities.Activities, (a) =>
      Stream.runForEach(
        Stream.take(
          a.pages(Feed.leadActivities({ activityTypeIds: [1] }), {
            since: "2026-01-01T00:00:00Z",
            undecodable: "keep",
          }),
          3,
        ),
        ({ records }) =>
          Effect.sync(() => Chunk.forEach(records, (r) => [r.identity, r.leadId, r.value, r.activityDate])),
      ),
    ),
    types: Effect.flatMap(Activities.Activities, (a) => a.types),
    customTypes: Effect.flatMap(CustomActivityTypes.CustomActivityTypes, (t) => t.list),
    describe: Effect.flatMap(CustomActivityTypes.CustomActivityTypes, (t) => t.describe("x")),
    approve: Effect.flatMap(CustomActivityTypes.CustomActivityTypes, (t) => t.approve("x")),
    add: Effect.flatMap(CustomActivities.CustomActivities, (c) => c.add(Chunk.of(activity))),
  } satisfies Record<string, Effect.Effect<unknown, unknown, unknown>>

  const policies = Record.map(RequestPolicy.endpoints, () => ({ retries: 0 }))

  const refusal = { requestId: "1#2", success: false, errors: answers.page.errors }
  const skipped = { success: true, result: [{ status: "skipped", reasons: answers.page.errors }] }
  const spoiltAnswers = [answers.page, refusal, skipped].flatMap(spoilt).map((value) => JSON.stringify(value))

  for (const [name, use] of Object.entries(uses)) {
    it.scoped(name, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
        let answer = ""
        const { layer } = yield* stub([({ url }) => (url.includes("pagingtoken") ? token : answer)], { policies })
        const services = yield* Layer.build(layer)
        for (answer of spoiltAnswers) {
          assert.isFalse(yield* dies(Effect.provide(use as Effect.Effect<unknown, unknown>, services)), answer)
        }
      }),
    )
  }

  it.scoped("a paging token", () =>
    Effect.gen(function* () {
      let answer = ""
      const { layer } = yield* stub([() => answer], { policies })
      const services = yield* Layer.build(layer)
      for (answer of spoilt(JSON.parse(token)).map((value) => JSON.stringify(value))) {
        assert.isFalse(yield* dies(Effect.provide(uses.pages, services)), answer)
      }
    }),
  )

  it.effect("identity", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.unsafeMake("2026-11-01T00:00:00Z").epochMillis)
      const use = Effect.flatMap(Activities.Activities, (a) => a.pagingToken("2026-01-01T00:00:00Z"))
      for (const identity of spoilt(answers.identity).map((value) => JSON.stringify(value))) {
        const { layer } = yield* stub([token], { policies }, identity)
        assert.isFalse(yield* dies(Effect.provide(use, layer)), identity)
      }
    }),
  )
})
