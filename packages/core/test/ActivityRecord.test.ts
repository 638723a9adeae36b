import { assert, describe, it } from "@effect/vitest"
import { assertNone, assertSome } from "@effect/vitest/utils"
import { Activity, ActivityRecord } from "@effect-marketo/core"
import { Arbitrary, Chunk, DateTime, Effect, FastCheck, Option, Schema } from "effect"
import { kinds } from "../src/internal/chains.js"
import { compile } from "../src/internal/guard.js"
import * as instant from "../src/internal/instant.js"
import * as jsonText from "../src/internal/jsonText.js"
import * as page from "../src/internal/page.js"

const record = ActivityRecord.make({
  text: '{"marketoGUID":"7","leadId":9007199254740993,"odd":{"a":[1,"}"]} }',
  identity: "7",
  leadId: "9007199254740993",
  activityTypeId: 1,
  activityDate: DateTime.unsafeMake(0),
  decode: () => ({ a: 1 }),
})

describe("ActivityRecord", () => {
  it("extend adds members and leaves every other character alone", () => {
    const extended = ActivityRecord.extend(record, { country: "SE", "Is Bot": true })
    assert.strictEqual(
      extended.text,
      '{"marketoGUID":"7","leadId":9007199254740993,"odd":{"a":[1,"}"]} ,"country":"SE","Is Bot":true}',
    )
    assert.deepStrictEqual(extended.value, { a: 1, country: "SE", "Is Bot": true })
    assert.deepStrictEqual([extended.identity, extended.leadId], ["7", "9007199254740993"])
    assert.strictEqual(ActivityRecord.extend(record, {}).text, record.text)
    assert.strictEqual(ActivityRecord.extend({ country: "SE" })(extended).identity, "7")
  })

  it("extend of an object without members is JSON too", () => {
    for (const text of ["{}", "{ }", " {\n} "]) {
      const empty = ActivityRecord.withValue(record, {}, text)
      const extended = ActivityRecord.extend(empty, { a: 1, b: "}" })
      assert.deepStrictEqual(JSON.parse(extended.text), { a: 1, b: "}" })
    }
  })

  it("withValue puts another payload in the same place", () => {
    const other = ActivityRecord.withValue(record, { b: 2 })
    assert.deepStrictEqual(
      [other.text, other.value.b, other.identity, other.leadId],
      ['{"b":2}', 2, "7", "9007199254740993"],
    )
    assert.strictEqual(ActivityRecord.withValue(record, { b: 2 }, "avro").text, "avro")
  })

  it("toNdjson writes one line a record, whatever blanks the text has", () => {
    const texts = ['{"a":1}', '{\r\n  "a": "x\\ny",\n\n"b":2}', '{"ü":"\u2028"}']
    const lines = ActivityRecord.toNdjson(Chunk.fromIterable(texts.map((text) => ({ text })))).split("\n")
    assert.strictEqual(lines.pop(), "")
    assert.deepStrictEqual(
      lines.map((line) => JSON.parse(line)),
      texts.map((text) => JSON.parse(text)),
    )
    assert.deepStrictEqual([lines[0], lines[2]], [texts[0], texts[2]])
    assert.strictEqual(ActivityRecord.toNdjson(Chunk.empty()), "")
  })

  it.prop(
    "toNdjsonBytes is the same text in UTF-8",
    [FastCheck.array(FastCheck.string({ unit: "binary" }))],
    ([texts]) => {
      const records = Chunk.fromIterable(texts.map((text) => ({ text })))
      assert.deepStrictEqual(
        Buffer.from(ActivityRecord.toNdjsonBytes(records)),
        Buffer.from(ActivityRecord.toNdjson(records)),
      )
    },
  )

  it.effect("toBytes gives the bytes of the page, line breaks too, and the text of what was made here", () =>
    Effect.gen(function* () {
      const text = '{\n  "marketoGUID": "å", "leadId": 7, "activityDate": "2026-03-04T20:41:32Z", "activityTypeId": 1 }'
      const body = new TextEncoder().encode(`{"result":[${text}]}`)
      const answer = {
        requestId: Option.some("1#1"),
        unreadable: new Map(),
        time: DateTime.unsafeMake(0),
        body,
        json: JSON.parse(new TextDecoder().decode(body)),
      }
      const { records } = yield* page.decode(kinds.LeadActivities, answer, "fail", undefined)
      const bytes = ActivityRecord.toBytes(Chunk.unsafeHead(records))
      assert.strictEqual(new TextDecoder().decode(bytes), text)
      assert.strictEqual(bytes.buffer, body.buffer)
      assert.deepStrictEqual(Buffer.from(ActivityRecord.toBytes({ text })), Buffer.from(text))
    }),
  )

  it("value is made once", () => {
    let made = 0
    const lazy = ActivityRecord.make({ ...record, text: "{}", decode: () => ++made })
    assert.deepStrictEqual([made, lazy.value, lazy.value, made], [0, 1, 1, 1])
  })
})

describe("the text of elements", () => {
  const json = FastCheck.json({ maxDepth: 4 })
  const blank = FastCheck.constantFrom("", " ", "\n", " \r\n\t ")

  it.prop(
    "is found exactly, whatever the values and blanks",
    [FastCheck.array(json), FastCheck.array(blank, { minLength: 60, maxLength: 60 })],
    ([values, blanks]) => {
      const list = `[${blanks[0]}${values.map((v, i) => `${blanks[i % 60]}${v}${blanks[(i + 7) % 60]}`).join(",")}${values.length > 0 ? "" : blanks[1]}]`
      const text = `${blanks[2]}{${blanks[3]}"a"${blanks[4]}:${blanks[5]}{"result":[1]},"result":[0],"r\\u0065sult"${blanks[6]}:${blanks[8]}${list}${blanks[9]},"z":"\\\\\\""}`
      assert.deepStrictEqual(
        JSON.parse(text).result,
        values.map((v) => JSON.parse(v)),
      )
      const found = jsonText.arrayOf(new TextEncoder().encode(text), "result")?.elements
      assert.deepStrictEqual(
        found?.map((e) => new TextDecoder().decode(e)),
        values.map((v) => v.trim()),
      )
    },
  )

  it("of a member that is not there is undefined", () => {
    for (const text of ["{}", " { } ", '{"a":{"b":1}}']) assert.isUndefined(jsonText.member(text, "b"))
  })
})

describe("instants", () => {
  it("every spelling that Marketo sends", () => {
    const at = Date.UTC(2026, 2, 4, 20, 41, 32)
    for (const text of [
      "2026-03-04T20:41:32Z",
      "2026-03-04T20:41:32+0000",
      "2026-03-04T20:41:32+00:00",
      "2026-03-04T20:41:32Z+0000",
      "2026-03-04T15:41:32-05:00",
      "2026-03-05T03:41:32+0700",
    ]) {
      assert.strictEqual(instant.parse(text), at, text)
    }
    assert.strictEqual(instant.parse("2026-03-04T20:41:32.5Z"), at + 500)
    assert.strictEqual(instant.parse("2026-03-04T20:41:32.123456Z"), at + 123)
  })

  it("nothing that would be a guess", () => {
    for (const text of [
      "",
      "2026-03-04",
      "2026-03-04T20:41:32",
      "2026-02-29T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-03-04T24:00:00Z",
      "2026-03-04T20:60:00Z",
      "2026-03-04 20:41:32Z",
      "1772656892",
      "2026-03-04T20:41:32-99:99",
      "2026-03-04T20:41:32+18:60",
      "2026-03-04T20:41:32+19:00",
    ]) {
      assert.isNaN(instant.parse(text), text)
    }
  })

  it.prop(
    "any instant in any zone",
    [
      FastCheck.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
      FastCheck.integer({ min: -14 * 60, max: 14 * 60 }),
    ],
    ([date, offset]) => {
      const wall = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 23)
      const abs = Math.abs(offset)
      const zone = `${offset < 0 ? "-" : "+"}${String(Math.floor(abs / 60)).padStart(2, "0")}:${String(abs % 60).padStart(2, "0")}`
      assert.strictEqual(instant.parse(wall + zone), date.getTime())
    },
  )
})

describe("the fast check says yes exactly when the Schema does", () => {
  /** Changes one place of a value: another type, a member less, a member of another kind. */
  const damage = (value: unknown, pick: (n: number) => number): unknown => {
    const spoiled = [
      null,
      undefined,
      0,
      1.5,
      Number.NaN,
      "",
      "7",
      "x",
      true,
      [],
      {},
      [null],
      { name: 1 },
      "2026-01-01T00:00:00Z",
      "2026-02-30T00:00:00Z",
    ]
    if (typeof value !== "object" || value === null || pick(4) === 0) return spoiled[pick(spoiled.length)]
    const copy: Record<string, unknown> | Array<unknown> = Array.isArray(value) ? [...value] : { ...value }
    const keys = Object.keys(copy)
    const key = keys[pick(keys.length)]
    if (key === undefined) return spoiled[pick(spoiled.length)]
    if (pick(5) === 0) delete (copy as Record<string, unknown>)[key]
    else (copy as Record<string, unknown>)[key] = damage((copy as Record<string, unknown>)[key], pick)
    return copy
  }

  const schema = Activity.ActivityJson
  const encoded = Schema.encodedSchema(schema) as Schema.Schema<unknown>
  const isValid = Schema.is(schema as Schema.Schema<unknown>)
  const guard = compile(schema as Schema.Schema<unknown>)
  const good = { leadId: 1, activityDate: "2026-01-01T00:00:00Z", activityTypeId: 1 }
  const dated = Arbitrary.make(encoded).map((value) => ({ ...(value as object), ...good }))

  it.prop("generated", [Arbitrary.make(encoded)], ([value]) => assert.strictEqual(guard(value), isValid(value)), {
    fastCheck: { numRuns: 500 },
  })

  it.prop(
    "valid and damaged",
    [dated, FastCheck.array(FastCheck.nat(), { minLength: 40, maxLength: 40 }), FastCheck.nat({ max: 3 })],
    ([value, picks, rounds]) => {
      let at = 0
      const pick = (n: number) => (picks[at++ % picks.length] ?? 0) % n
      let damaged: unknown = value
      for (let i = 0; i < rounds; i++) damaged = damage(damaged, pick)
      assert.strictEqual(guard(damaged), isValid(damaged))
    },
    { fastCheck: { numRuns: 5_000 } },
  )

  it("both say yes and no", () => {
    assert.deepStrictEqual([guard(good), isValid(good)], [true, true])
    assert.deepStrictEqual([guard({ ...good, leadId: {} }), isValid({ ...good, leadId: {} })], [false, false])
  })
})

describe("attributes", () => {
  const activity = {
    attributes: [
      { name: "api method name", apiName: Option.none(), value: "sync" },
      { name: "Kayak Model", apiName: Option.some("kayakModel"), value: 0 },
      { name: "Empty", apiName: Option.none(), value: null },
    ],
  } as unknown as Activity.ActivityCommon

  it("are found by name or apiName, case ignored", () => {
    assertSome(Activity.attribute(activity, "API Method Name"), "sync")
    assertSome(Activity.attribute(activity, "KAYAKMODEL"), 0)
    assertSome(Activity.attribute("kayak model")(activity), 0)
    assertNone(Activity.attribute(activity, "empty"))
    assertNone(Activity.attribute(activity, "none"))
  })
})
