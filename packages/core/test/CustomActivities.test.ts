import { assert, describe, it } from "@effect/vitest"
import { CustomActivities, CustomActivity, ErrorCode, type MarketoError } from "@effect-marketo/core"
import {
  Cause,
  Chunk,
  DateTime,
  Deferred,
  Effect,
  Either,
  Exit,
  FastCheck,
  Fiber,
  Option,
  Queue,
  Ref,
  Schema,
  Stream,
  TestClock,
} from "effect"
import { type Answer, type Sent, stub } from "./support/stub.js"

const activity = (leadId: number | string, value: unknown = leadId): CustomActivity.CustomActivity => ({
  leadId,
  activityDate: DateTime.unsafeMake("2026-01-20T10:00:00Z"),
  activityTypeId: 100_001,
  primaryAttributeValue: "Sea Kayak",
  attributes: [{ apiName: "rentalId", value: String(value) }],
})

const leadsOf = (sent: Sent): ReadonlyArray<number> =>
  (JSON.parse(sent.body ?? "{}").input as ReadonlyArray<{ leadId: number }>).map(({ leadId }) => leadId)

/** Adds every record; its lead's id is its marketoGUID. */
const added = (sent: Sent): Answer =>
  JSON.stringify({
    requestId: "1#2",
    success: true,
    result: leadsOf(sent).map((id) => ({ id, marketoGUID: String(id), status: "added" })),
  })

const range = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i)

const addAll = <I>(
  input: Stream.Stream<I>,
  toActivity: (i: I) => CustomActivity.CustomActivity,
  options?: CustomActivities.AddAllOptions,
) =>
  Effect.flatMap(CustomActivities.CustomActivities, (service) =>
    Effect.map(Stream.runCollect(service.addAll(input, toActivity, options)), Chunk.toReadonlyArray),
  )

describe("the record's text", () => {
  it("is that of Marketo's documentation, byte for byte", () => {
    const text = CustomActivity.toJson({
      leadId: 1001,
      activityDate: DateTime.unsafeMakeZoned("2013-09-26T06:56:35+07:00", {
        timeZone: DateTime.zoneMakeOffset(7 * 3_600_000),
      }),
      activityTypeId: 1001,
      primaryAttributeValue: "Game Giveaway",
      attributes: [
        { name: "URL", value: 'http://www.example.com/kayak?a="ü"' },
        { apiName: "hours", value: 2.5 },
        { apiName: "paid", value: true },
        { apiName: "at", value: DateTime.unsafeMake("2026-01-20T10:00:00.999Z") },
        { apiName: "big", value: 9007199254740993n },
      ],
    })
    assert.deepStrictEqual(
      text,
      Either.right(
        '{"leadId":1001,"activityDate":"2013-09-26T06:56:35+07:00","activityTypeId":1001,"primaryAttributeValue":"Game Giveaway","attributes":[{"name":"URL","value":"http://www.example.com/kayak?a=\\"ü\\""},{"apiName":"hours","value":2.5},{"apiName":"paid","value":true},{"apiName":"at","value":"2026-01-20T10:00:00Z"},{"apiName":"big","value":9007199254740993}]}',
      ),
    )
  })

  it.prop(
    "is JSON that reads back as what was given",
    [
      FastCheck.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      FastCheck.string({ unit: "binary" }),
      FastCheck.array(
        FastCheck.tuple(
          FastCheck.string({ minLength: 1 }),
          FastCheck.oneof(
            FastCheck.string(),
            FastCheck.boolean(),
            FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
          ),
        ),
      ),
    ],
    ([leadId, primaryAttributeValue, attributes]) => {
      const given = {
        ...activity(String(leadId)),
        primaryAttributeValue,
        attributes: attributes.map(([name, value]) => ({ name, value })),
      }
      const text = Either.getOrThrow(CustomActivity.toJson(given))
      assert.include(text, `"leadId":${leadId},`)
      const read = JSON.parse(text)
      assert.deepStrictEqual(
        [read.primaryAttributeValue, read.attributes],
        [
          primaryAttributeValue,
          given.attributes.map(({ name, value }) => ({ name, value: Object.is(value, -0) ? 0 : value })),
        ],
      )
    },
  )

  it("escapes each character that needs it, wherever it stands", () => {
    const units = Array.from({ length: 0x180 }, (_, unit) => String.fromCharCode(unit))
    for (const unit of [...units, "\u2028", "\ud800", "\udfff", "🛶"]) {
      for (const value of [unit, `a${unit}`, `${unit}b`, `a${unit}b`]) {
        const given = { ...activity(1), primaryAttributeValue: value, attributes: [{ apiName: value, value }] }
        const { attributes, primaryAttributeValue } = JSON.parse(Either.getOrThrow(CustomActivity.toJson(given)))
        assert.deepStrictEqual([primaryAttributeValue, attributes], [value, given.attributes])
      }
    }
  })

  const cases: ReadonlyArray<readonly [string, Partial<Record<keyof CustomActivity.CustomActivity, unknown>>, string]> =
    [
      ["lead 0", { leadId: 0 }, "leadId"],
      ["a rounded lead id", { leadId: 2 ** 53 }, "leadId"],
      ["a lead id that is none", { leadId: "7x" }, "leadId"],
      ["NaN as lead", { leadId: Number.NaN }, "leadId"],
      ["an invalid date", { activityDate: new Date("x") }, "activityDate"],
      ["no date", { activityDate: undefined }, "activityDate"],
      ["a type that is none", { activityTypeId: 1.5 }, "activityTypeId"],
      ["no primary value", { primaryAttributeValue: undefined }, "primaryAttributeValue"],
      [
        "NaN",
        {
          attributes: [
            { apiName: "a", value: 1 },
            { apiName: "b", value: Number.NaN },
          ],
        },
        "attributes.1.value",
      ],
      ["Infinity", { attributes: [{ apiName: "a", value: Number.POSITIVE_INFINITY }] }, "attributes.0.value"],
      ["undefined", { attributes: [{ apiName: "a", value: undefined }] }, "attributes.0.value"],
      ["null", { attributes: [{ name: "a", value: null }] }, "attributes.0.value"],
      ["an object", { attributes: [{ name: "a", value: { b: 1 } }] }, "attributes.0.value"],
      ["a Date", { attributes: [{ name: "a", value: new Date(0) }] }, "attributes.0.value"],
      ["no name", { attributes: [{ value: 1 }] }, "attributes.0.name"],
      ["an empty apiName", { attributes: [{ apiName: "", value: 1 }] }, "attributes.0.apiName"],
    ]
  for (const [what, members, field] of cases) {
    it(`${what} is an error with the path`, () => {
      const result = CustomActivity.toJson({ ...activity(1), ...members } as CustomActivity.CustomActivity)
      assert.deepStrictEqual(
        Either.mapLeft(result, (e) => e.field),
        Either.left(field),
      )
    })
  }
})

describe("the record of a text", () => {
  it.prop(
    "of toJson is the record",
    [
      FastCheck.oneof(FastCheck.integer({ min: 1 }), FastCheck.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String)),
      FastCheck.integer({ min: 0, max: 4_000_000_000 }),
      FastCheck.string({ unit: "binary" }),
      FastCheck.array(
        FastCheck.tuple(
          FastCheck.string({ minLength: 1 }),
          FastCheck.oneof(FastCheck.string(), FastCheck.boolean(), FastCheck.integer()),
        ),
      ),
    ],
    ([leadId, seconds, primaryAttributeValue, attributes]) => {
      const given: CustomActivity.CustomActivity = {
        leadId: leadId,
        activityDate: DateTime.unsafeMake(seconds * 1_000),
        activityTypeId: 100_001,
        primaryAttributeValue,
        attributes: attributes.map(([apiName, value]) => ({ apiName, value })),
      }
      const text = Either.getOrThrow(CustomActivity.toJson(given))
      const read = CustomActivity.fromJson(typeof leadId === "number" ? text : text.replace(leadId, `"${leadId}"`))
      assert.deepStrictEqual(read, Either.right(given))
    },
  )

  it("without attributes has none, and an offset is the instant that it says", () => {
    const read = CustomActivity.fromJson(
      '{"leadId":"7","activityDate":"2026-01-20T10:00:00+02:00","activityTypeId":100001,"primaryAttributeValue":"x"}',
    )
    assert.deepStrictEqual(
      Either.map(read, ({ activityDate, attributes }) => [DateTime.formatIso(activityDate), attributes]),
      Either.right(["2026-01-20T08:00:00.000Z", []]),
    )
  })

  it("keeps a year before 100", () => {
    const text = Either.getOrThrow(CustomActivity.toJson(activity(1))).replace(/\d{4}(?=-)/, "0050")
    assert.deepStrictEqual(Either.flatMap(CustomActivity.fromJson(text), CustomActivity.toJson), Either.right(text))
  })

  const record = JSON.parse(Either.getOrThrow(CustomActivity.toJson(activity(1, "secret"))))
  for (const [what, members, field] of [
    ["a lead id that is none", { leadId: "secret" }, "leadId"],
    ["no lead id", { leadId: undefined }, "leadId"],
    ["a date without a zone", { activityDate: "2026-01-20T10:00:00" }, "activityDate"],
    ["a date that is none", { activityDate: "2026-02-30T10:00:00Z" }, "activityDate"],
    ["a type that is text", { activityTypeId: "secret" }, "activityTypeId"],
    ["a primary value that is no text", { primaryAttributeValue: 5 }, "primaryAttributeValue"],
    ["attributes that are no list", { attributes: { secret: 1 } }, "attributes"],
    ["an attribute that is no object", { attributes: ["secret"] }, "attributes.0"],
    ["an attribute without a name", { attributes: [{ value: "secret" }] }, "attributes.0.apiName"],
    ["an attribute without a value", { attributes: [{ apiName: "a", value: null }] }, "attributes.0.value"],
    ["an attribute with an empty name", { attributes: [{ name: "", value: "secret" }] }, "attributes.0.name"],
    ["a member that is misspelt", { attribute: ["secret"] }, "attribute"],
    [
      "a member that an attribute has not",
      { attributes: [{ name: "a", value: 1, unit: "secret" }] },
      "attributes.0.unit",
    ],
  ] as const) {
    it(`${what} is an error with the path and without the value`, () => {
      const error = Either.getOrThrow(Either.flip(CustomActivity.fromJson(JSON.stringify({ ...record, ...members }))))
      assert.strictEqual(error.field, field)
      assert.notInclude(error.message, "secret")
    })
  }

  for (const number of ["1e999", "9007199254740993"]) {
    it(`the number ${number}, which reading would change, is an error`, () => {
      const text = Either.getOrThrow(CustomActivity.toJson(activity(1))).replace('"value":"1"', `"value":${number}`)
      assert.deepStrictEqual(
        Either.mapLeft(CustomActivity.fromJson(text), ({ field }) => field),
        Either.left("attributes.0.value"),
      )
    })
  }

  for (const text of ["secret", "", "null", '"secret"', "[]"]) {
    it(`${JSON.stringify(text)} is no record`, () => {
      const error = Either.getOrThrow(Either.flip(CustomActivity.fromJson(text)))
      assert.strictEqual(error.field, "record")
      assert.notInclude(error.message, "secret")
    })
  }
})

describe("the record of bytes", () => {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

  /** What reading and writing makes of the text, or where it is at fault. */
  const written = (text: string) =>
    CustomActivity.fromJson(text).pipe(
      Either.flatMap(CustomActivity.toJson),
      Either.mapLeft(({ field }) => field),
    )

  /** The same by `fromBytes`, which passes on what need not be written. */
  const passed = (text: string) =>
    CustomActivity.fromBytes(encoder.encode(text)).pipe(
      Either.map(({ json }) => decoder.decode(json)),
      Either.mapLeft(({ field }) => field),
    )

  const isPassedOn = (text: string) => {
    const bytes = encoder.encode(text)
    return Either.getOrThrow(CustomActivity.fromBytes(bytes)).json === bytes
  }

  const attributes = [
    { apiName: "text", value: 'a "quoted" line\n and a \\ of ümlaut 🛶' },
    { name: "whole", value: -123 },
    { apiName: "part", value: 0.25 },
    { apiName: "yes", value: true },
    { apiName: "no", value: false },
  ]
  const text = Either.getOrThrow(CustomActivity.toJson({ ...activity(1001), attributes }))

  it("is sent as it came, where it came in the form that is sent", () => {
    assert.isTrue(isPassedOn(text))
    assert.isTrue(isPassedOn(Either.getOrThrow(CustomActivity.toJson({ ...activity(1), attributes: [] }))))
  })

  it("has the members of the record, also an id that only text keeps exact", () => {
    const source = text.replace("1001", '"9223372036854775807"')
    const read = Either.getOrThrow(CustomActivity.fromBytes(encoder.encode(source)))
    const { activityDate, activityTypeId, attributes: own, leadId, primaryAttributeValue } = read
    assert.deepStrictEqual(
      { activityDate, activityTypeId, attributes: own, leadId, primaryAttributeValue },
      { ...Either.getOrThrow(CustomActivity.fromJson(source)), leadId: "9223372036854775807" },
    )
    assert.deepStrictEqual(Either.right(decoder.decode(read.json)), CustomActivity.toJson(read))
    assert.include(decoder.decode(read.json), '"leadId":9223372036854775807,')
  })

  const insertion = FastCheck.constantFrom(
    ...'0123456789-+.eE"\\/bnu{}[]:, TZ\u0001\u007fé🛶\u2028',
    "00",
    "-0",
    "null",
    "",
  )
  const characters = [...text]
  const change = FastCheck.tuple(FastCheck.nat({ max: characters.length }), FastCheck.nat({ max: 2 }), insertion)

  it.prop(
    "is sent as reading and writing it would, whatever was changed in it",
    [FastCheck.array(change, { minLength: 1, maxLength: 2 })],
    ([changes]) => {
      const changed = changes.reduce((all, [at, length, by]) => all.toSpliced(at, length, by), characters).join("")
      assert.deepStrictEqual(passed(changed), written(changed))
    },
    { fastCheck: { numRuns: 5_000 } },
  )

  it.prop(
    "keeps each number that is written as it is read, and writes the others",
    [
      FastCheck.oneof(FastCheck.double(), FastCheck.integer(), FastCheck.double({ min: -1, max: 1 })),
      FastCheck.nat({ max: 9 }),
    ],
    ([number, digits]) => {
      for (const spelling of [String(number), number.toFixed(digits), number.toExponential(digits)]) {
        const changed = text.replace("0.25", spelling)
        assert.deepStrictEqual(passed(changed), written(changed))
      }
    },
    { fastCheck: { numRuns: 2_000 } },
  )

  it("is sent as reading and writing it would, with each character that has to be escaped, and with what a pattern may overlook", () => {
    const units = Array.from({ length: 0x180 }, (_, unit) => String.fromCharCode(unit))
    const others = ["\u2028", "\\u0041", "\\u001f", "\\/", "\\x"]
    const spellings = [
      // behind a character with a backslash, and where none is
      ...[...units, ...others].flatMap((unit) => ["of ", "text"].map((at) => text.replace(at, () => unit))),
      text.replace('"apiName":"text"', '"apiName":""'),
      text.replace('"name":"whole"', '"name":""'),
      ...['"text","name":"other"', 'null,"name":"other"', '5,"name":"other"'].map((name) =>
        text.replace('"text"', name),
      ),
      `{${text}`,
      `${text}}`,
      ...["24:00:00", "23:60:00", "23:59:60", "23:59:59"].map((time) => text.replace(/\d\d:\d\d:\d\d/, time)),
      ...[".5", ".123456789", ".", ".1234567890", ".-1"].map((fraction) => text.replace("Z", `${fraction}Z`)),
      text.replace(/\d{4}-.*Z/, "1969-12-31T23:59:59.5Z"),
      text.replace("Z", "+01:00"),
    ]
    for (const spelling of spellings) assert.deepStrictEqual(passed(spelling), written(spelling), spelling)
  })

  it("takes each day of the calendar, and none that is not there", () => {
    const two = (n: number) => String(n).padStart(2, "0")
    const date = /\d{4}-\d\d-\d\dT/
    for (const year of ["0000", "0099", "0999", "2023", "2024"]) {
      for (let month = 0; month <= 13; month++) {
        for (let day = 0; day <= 32; day++) {
          const changed = text.replace(date, `${year}-${two(month)}-${two(day)}T`)
          assert.deepStrictEqual(passed(changed), written(changed), changed)
        }
      }
    }
  })

  it("is of no use where the bytes are not UTF-8, or there is a mark before it", () => {
    const bytes = encoder.encode(text)
    const at = bytes.indexOf(0xc3)
    bytes[at + 1] = 0x22
    assert.deepStrictEqual(
      Either.mapLeft(CustomActivity.fromBytes(bytes), ({ field }) => field),
      Either.left("record"),
    )
    assert.deepStrictEqual(passed(`\ufeff${text}`), Either.right(text))
  })

  it("has at most 500,000 bytes", () => {
    const padded = (bytes: number) => text.replace("ümlaut", "\\n".repeat((bytes - text.length) / 2))
    assert.isTrue(Either.isRight(passed(padded(490_000))))
    for (const bytes of [510_000, 7_000_000]) {
      const error = Either.getOrThrow(Either.flip(CustomActivity.fromBytes(encoder.encode(padded(bytes)))))
      assert.strictEqual(error.message, "record: must have at most 500000 bytes")
      assert.deepStrictEqual(passed(padded(bytes)), written(padded(bytes)))
    }
  })

  const nested = (levels: number, [open, close]: readonly [string, string]) =>
    `${open.repeat(levels)}1${close.repeat(levels)}`
  const brackets = [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const
  for (const levels of [7, 2_000, 5_000, 60_000]) {
    it(`is refused where a part of it is nested ${levels} levels deep, whatever part`, () => {
      for (const pair of brackets) {
        const deep = nested(levels, pair)
        for (const source of [
          deep,
          text.replace("1001", deep),
          text.replace("-123", deep),
          text.replace('"a \\"quoted', `${deep},"b":"a \\"quoted`),
          text.replace("{", `{"extra":${deep},`),
        ]) {
          assert.isTrue(Either.isLeft(passed(source)), source.slice(0, 200))
          assert.deepStrictEqual(passed(source), written(source))
        }
      }
    })
  }

  it("may have brackets in its texts", () => {
    const source = text.replace("ümlaut", `${"[{".repeat(1_000)}\\"[[`)
    assert.isTrue(Either.isRight(passed(source)))
    assert.isTrue(Either.isRight(CustomActivity.fromJson(source)))
  })

  it("is refused in no time, however long", () => {
    const value = `${'a\\"'.repeat(100_000)}\u0001`
    const began = process.cpuUsage()
    assert.deepStrictEqual(passed(text.replace("ümlaut", value)), Either.left("record"))
    assert.isBelow(process.cpuUsage(began).user, 2_000_000)
  })
})

describe("add", () => {
  it.effect("one call, a result for each record by position, all codes of errors and reasons", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([
        '{"requestId":"1#2","success":true,"result":[{"id":50,"marketoGUID":"50","status":"added"},{"status":"skipped","errors":[{"code":"1004","message":"Lead not found"},{"code":1006}]},{"status":"skipped","reasons":[{"code":"1003","message":"x"}]},{"id":51,"status":"added"}]}',
      ])
      const results = yield* Effect.flatMap(CustomActivities.CustomActivities, (service) =>
        service.add(Chunk.make(activity(1), activity(2), activity(3), activity(4))),
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(Chunk.toReadonlyArray(results), [
        { _tag: "Added", marketoGUID: "50", confirmedBy: "answer" },
        {
          _tag: "Skipped",
          codes: [
            { code: "1004", message: "Lead not found" },
            { code: "1006", message: "" },
          ],
          requestId: Option.some("1#2"),
        },
        { _tag: "Skipped", codes: [{ code: "1003", message: "x" }], requestId: Option.some("1#2") },
        { _tag: "Added", marketoGUID: "51", confirmedBy: "answer" },
      ])
      const [sent] = yield* calls
      assert.strictEqual(sent?.method, "POST")
      assert.isTrue(sent?.url.endsWith("/rest/v1/activities/external.json"))
      assert.strictEqual(sent?.headers["content-type"], "application/json")
      assert.deepStrictEqual(Object.keys(JSON.parse(sent?.body ?? "")), ["input"])
    }),
  )

  for (const [what, batch, field] of [
    ["301 records", range(301).map((i) => activity(i)), "input"],
    ["over 1 MB", range(20).map((i) => ({ ...activity(i), primaryAttributeValue: "ü".repeat(30_000) })), "input"],
    ["an invalid record", [activity(1), activity(2), { ...activity(3), leadId: -1 }], "2.leadId"],
  ] as const) {
    it.effect(`${what}: a typed error and no call`, () =>
      Effect.gen(function* () {
        const { layer, sent } = yield* stub([added])
        const error = yield* Effect.flatMap(CustomActivities.CustomActivities, (service) =>
          Effect.flip(
            service.add(Chunk.unsafeFromArray([...batch]) as Chunk.NonEmptyChunk<CustomActivity.CustomActivity>),
          ),
        ).pipe(Effect.provide(layer))
        assert.deepStrictEqual([error._tag, "field" in error && error.field], ["MarketoInvalidRequest", field])
        assert.deepStrictEqual(yield* sent, [])
      }),
    )
  }

  it.effect("is not repeated by the client where the outcome is unknown", () =>
    Effect.gen(function* () {
      for (const row of ErrorCode.table.filter(
        (r) => r.execution === "Unknown" && (r.level === "HTTP" || r.level === "Response"),
      )) {
        const answer =
          row.level === "HTTP"
            ? row.code === "5xx"
              ? 503
              : Number(row.code)
            : `{"success":false,"errors":[{"code":"${row.code}"}]}`
        const { calls, layer } = yield* stub([answer])
        const error = yield* Effect.flatMap(CustomActivities.CustomActivities, (service) =>
          Effect.flip(service.add(Chunk.make(activity(1)))),
        ).pipe(Effect.provide(layer))
        assert.deepStrictEqual(
          [row.code, "execution" in error && error.execution, (yield* calls).length],
          [row.code, "Unknown", 1],
        )
      }
    }),
  )
})

describe("addAll", () => {
  it.effect("no input, no call", () =>
    Effect.gen(function* () {
      const { layer, sent } = yield* stub([added])
      assert.deepStrictEqual(yield* Effect.provide(addAll(Stream.empty, activity), layer), [])
      assert.deepStrictEqual(yield* sent, [])
    }),
  )

  it.effect("10,000 records from a backlog are 34 calls, each input back with its outcome, in order", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([added], { limits: { calls: 10_000 } })
      const inputs = range(10_000).map((offset) => ({ offset }))
      const outcomes = yield* Effect.provide(
        addAll(Stream.rechunk(Stream.fromIterable(inputs), 37), ({ offset }) => activity(offset)),
        layer,
      )
      assert.deepStrictEqual(
        outcomes.map(([i]) => i),
        inputs,
      )
      assert.isTrue(outcomes.every(([i, o]) => o._tag === "Added" && o.marketoGUID === String(i.offset)))
      assert.strictEqual((yield* calls).length, 34)
    }),
  )

  it.effect.prop(
    "nothing lost, order kept, never over 300 records or 1 MB, whatever the sizes and chunks, multi-byte text included",
    [
      FastCheck.array(
        FastCheck.tuple(
          FastCheck.constantFrom(0, 1, 10, 1_000, 20_000, 200_000, 350_000),
          FastCheck.constantFrom("a", "ü", "東", "😀"),
        ),
        { maxLength: 120 },
      ),
      FastCheck.integer({ min: 1, max: 50 }),
      FastCheck.integer({ min: 1, max: 300 }),
      FastCheck.integer({ min: 1, max: 4 }),
    ],
    ([sizes, chunk, maxCount, concurrency]) =>
      Effect.gen(function* () {
        const { calls, layer } = yield* stub([added], { limits: { calls: 10_000 } })
        const toActivity = (i: number) => {
          const [size = 0, text = ""] = sizes[i - 1] ?? []
          return { ...activity(i), primaryAttributeValue: text.repeat(size) }
        }
        const input = Stream.rechunk(Stream.fromIterable(range(sizes.length)), chunk)
        const outcomes = yield* Effect.provide(addAll(input, toActivity, { batch: { maxCount }, concurrency }), layer)
        assert.deepStrictEqual(
          outcomes.map(([i]) => i),
          range(sizes.length),
        )
        const sent = yield* calls
        for (const call of sent) {
          assert.isAtMost(leadsOf(call).length, maxCount)
          assert.isAtMost(Buffer.byteLength(call.body ?? ""), 1_000_000)
        }
        const tooLarge = outcomes.filter(([, o]) => o._tag === "Invalid").map(([i]) => i)
        const expected = range(sizes.length).filter(
          (i) => Buffer.byteLength(Either.getOrThrow(CustomActivity.toJson(toActivity(i)))) > 999_980,
        )
        assert.deepStrictEqual(tooLarge, expected)
        assert.deepStrictEqual(
          sent.flatMap(leadsOf).sort((a, b) => a - b),
          range(sizes.length).filter((i) => !expected.includes(i)),
        )
      }),
    { fastCheck: { numRuns: 40 } },
  )

  it.effect("an invalid record comes back alone, the others are written", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([added])
      const outcomes = yield* Effect.provide(addAll(Stream.make(1, -2, 3), activity), layer)
      assert.deepStrictEqual(
        outcomes.map(([i, o]) => [i, o._tag]),
        [
          [1, "Added"],
          [-2, "Invalid"],
          [3, "Added"],
        ],
      )
      const [, invalid] = outcomes[1] ?? []
      assert.strictEqual(
        invalid?._tag === "Invalid" && invalid.error._tag === "MarketoInvalidRequest" && invalid.error.field,
        "leadId",
      )
      assert.deepStrictEqual((yield* calls).map(leadsOf), [[1, 3]])
    }),
  )

  it.effect("only invalid records: no call", () =>
    Effect.gen(function* () {
      const { layer, sent } = yield* stub([added])
      const outcomes = yield* Effect.provide(addAll(Stream.make(-1, -2), activity), layer)
      assert.deepStrictEqual(
        outcomes.map(([, o]) => o._tag),
        ["Invalid", "Invalid"],
      )
      assert.deepStrictEqual(yield* sent, [])
    }),
  )

  it.effect("the next call is encoded while one is under way, and none behind it", () =>
    Effect.gen(function* () {
      const answer = yield* Effect.makeLatch()
      const { calls, layer } = yield* stub([(sent) => Effect.as(answer.await, added(sent))])
      const isEncoded = yield* Deferred.make<void>()
      let encoded = 0
      const toActivity = (i: number) => {
        if (++encoded === 600) Deferred.unsafeDone(isEncoded, Exit.void)
        return activity(i)
      }
      const fiber = yield* Effect.fork(Effect.provide(addAll(Stream.range(1, 3_000), toActivity), layer))
      yield* Deferred.await(isEncoded)
      assert.deepStrictEqual((yield* calls).map(leadsOf), [range(300)])
      for (let turns = 0; turns < 10; turns++) yield* Effect.promise(() => new Promise(setImmediate))
      assert.strictEqual(encoded, 600)
      yield* answer.open
      assert.lengthOf(yield* Fiber.join(fiber), 3_000)
    }),
  )

  it.effect("a slow input is cut by age", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([added])
      const queue = yield* Queue.unbounded<number>()
      const fiber = yield* Effect.fork(
        Effect.provide(
          addAll(Stream.take(Stream.fromQueue(queue), 4), activity, { batch: { maxWait: "10 seconds" } }),
          layer,
        ),
      )
      yield* queue.offer(1)
      yield* TestClock.adjust("9 seconds")
      yield* queue.offer(2)
      assert.strictEqual((yield* calls).length, 0)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual((yield* calls).map(leadsOf), [[1, 2]])
      yield* TestClock.adjust("1 hours")
      yield* queue.offerAll([3, 4])
      yield* Fiber.join(fiber)
      assert.deepStrictEqual((yield* calls).map(leadsOf), [
        [1, 2],
        [3, 4],
      ])
    }),
  )

  it.effect("when the input fails, what came before is written first", () =>
    Effect.gen(function* () {
      class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
      const { calls, layer } = yield* stub([added])
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const service = yield* Effect.provide(CustomActivities.CustomActivities, layer)
      const error = yield* service.addAll(Stream.concat(Stream.make(1, 2), Stream.fail(new Broken())), activity).pipe(
        Stream.runForEach(([i]) => Ref.update(seen, (all) => [...all, i])),
        Effect.flip,
      )
      assert.strictEqual(error._tag, "Broken")
      assert.deepStrictEqual([yield* Ref.get(seen), (yield* calls).map(leadsOf)], [[1, 2], [[1, 2]]])
    }),
  )

  it.effect("when a record makes the program fail, what came before is written first", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([added])
      // a program without types
      const broken = { ...activity(3), attributes: undefined } as unknown as CustomActivity.CustomActivity
      const exit = yield* addAll(Stream.range(1, 9), (i) => (i === 3 ? broken : activity(i))).pipe(
        Effect.provide(layer),
        Effect.exit,
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.deepStrictEqual((yield* calls).map(leadsOf), [[1, 2]])
    }),
  )

  for (const options of [{ batch: { maxCount: 0 } }, { batch: { maxBytes: Number.NaN } }, { concurrency: 0 }]) {
    it.effect(`${JSON.stringify(options)} is refused before any call`, () =>
      Effect.gen(function* () {
        const { layer, sent } = yield* stub([added])
        const error = yield* Effect.flip(Effect.provide(addAll(Stream.make(1), activity, options), layer))
        assert.strictEqual(error._tag, "MarketoInvalidRequest")
        assert.deepStrictEqual(yield* sent, [])
      }),
    )
  }

  it.effect("413 halves at once, down to one record, which alone is invalid", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([(sent) => (leadsOf(sent).includes(5) ? 413 : added(sent))], {
        limits: { calls: 10_000 },
      })
      const outcomes = yield* Effect.provide(addAll(Stream.fromIterable(range(10)), activity), layer)
      assert.deepStrictEqual(
        outcomes.map(([i, o]) => [i, o._tag]),
        range(10).map((i) => [i, i === 5 ? "Invalid" : "Added"]),
      )
      assert.deepStrictEqual((yield* calls).map(leadsOf).slice(0, 4), [range(10), range(5), range(3), [4, 5]])
    }),
  )

  it.effect("what is sent again is what was sent, whatever became of the record since", () =>
    Effect.gen(function* () {
      const records = range(5).map((i) => ({ ...activity(i), primaryAttributeValue: `trip ${i} ü` }))
      const { calls, layer } = yield* stub([
        (sent) => {
          for (const record of records) record.primaryAttributeValue = "changed"
          return leadsOf(sent).length > 2 ? 413 : added(sent)
        },
      ])
      yield* Effect.provide(
        addAll(Stream.fromIterable(records), (record) => record),
        layer,
      )
      const bodies = (yield* calls).map(({ body }) => JSON.parse(body ?? "").input as ReadonlyArray<object>)
      assert.deepStrictEqual(
        bodies.map((input) => input.length),
        [5, 3, 2, 1, 2],
      )
      const [first, , second, third, last] = bodies
      assert.deepStrictEqual([...(second ?? []), ...(third ?? []), ...(last ?? [])], first)
      assert.include(JSON.stringify(first), "trip 1 ü")
    }),
  )

  it.effect("a refusal for good ends the stream; what was written before has come back", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([added, 413, added, '{"success":false,"errors":[{"code":"603"}]}'])
      const service = yield* Effect.provide(CustomActivities.CustomActivities, layer)
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const error = yield* service.addAll(Stream.fromIterable(range(10)), activity, { batch: { maxCount: 4 } }).pipe(
        Stream.runForEach(([i]) => Ref.update(seen, (all) => [...all, i])),
        Effect.flip,
      )
      assert.strictEqual(error._tag === "MarketoUnauthorized" && error.reason, "Permission")
      assert.deepStrictEqual(yield* Ref.get(seen), [1, 2, 3, 4, 5, 6])
    }),
  )
})

describe("sink", () => {
  it.effect("hands every outcome on, and ends when all are", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([added])
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      yield* Stream.fromIterable(range(700)).pipe(
        Stream.map((i) => activity(i)),
        Stream.run(
          CustomActivities.sink((outcomes) =>
            Ref.update(seen, (all) => [...all, ...Chunk.map(outcomes, ([a]) => String(a.leadId))]),
          ),
        ),
        Effect.provide(layer),
      )
      assert.deepStrictEqual(yield* Ref.get(seen), range(700).map(String))
      assert.strictEqual((yield* calls).length, 3)
    }),
  )

  it.effect("fails when writing does, also with input to come", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub(['{"success":false,"errors":[{"code":"610"}]}'])
      const error: MarketoError.MarketoError = yield* Stream.iterate(1, (i) => i + 1).pipe(
        Stream.map((i) => activity(i)),
        Stream.run(CustomActivities.sink(() => Effect.void)),
        Effect.provide(layer),
        Effect.flip,
      )
      assert.strictEqual(error._tag, "MarketoRejected")
    }),
  )
})
