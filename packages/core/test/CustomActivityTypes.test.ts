import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { assertNone, assertSome } from "@effect/vitest/utils"
import { CustomActivity, CustomActivityType, CustomActivityTypes, type MarketoError } from "@effect-marketo/core"
import { DateTime, Effect, Either, FastCheck, Option, ParseResult, Record, Schema } from "effect"
import { flowing, simulated } from "./support/simulated.js"
import { type Reply, stub, url } from "./support/stub.js"

interface Golden {
  readonly request: string
  readonly body?: unknown
  readonly answer: { readonly result: ReadonlyArray<object> }
}

/** Every call and its answer: members and their order are those of Adobe's page "Activities", values are our own. */
const golden: Readonly<Record<string, Golden>> = JSON.parse(
  readFileSync(new URL("./fixtures/customTypeCalls.json", import.meta.url), "utf8"),
)
const answerOf = (name: string) => JSON.stringify(golden[name]?.answer)
const bodyOf = <A>(name: string) => golden[name]?.body as A

/** What `use` makes of the answers, and what it sent. */
const run = <A>(
  replies: ReadonlyArray<Reply>,
  use: (types: CustomActivityTypes.Service) => Effect.Effect<A, MarketoError.MarketoError>,
) =>
  Effect.gen(function* () {
    const { calls, layer } = yield* stub(replies)
    const result = yield* Effect.flatMap(CustomActivityTypes.CustomActivityTypes, use).pipe(
      Effect.either,
      Effect.provide(layer),
      flowing,
    )
    const sent = (yield* calls).map(({ body, headers, method, url: address }) => ({
      line: `${method} ${address.replace(url, "")}`,
      body,
      type: headers["content-type"],
    }))
    return { result, sent }
  })

const failure = <A>(result: Either.Either<A, MarketoError.MarketoError>) =>
  Either.match(result, { onLeft: (error) => error, onRight: () => assert.fail("should have failed") })

const value = <A>(result: Either.Either<A, MarketoError.MarketoError>) =>
  Either.match(result, { onLeft: (error) => assert.fail(error.message), onRight: (a) => a })

type Change = (types: CustomActivityTypes.Service) => Effect.Effect<unknown, MarketoError.MarketoError>

const changes: Readonly<Record<string, Change>> = {
  create: (types) => types.create(bodyOf("create")),
  update: (types) => types.update("acmeRentKayak", bodyOf("update")),
  approve: (types) => types.approve("acmeRentKayak"),
  discardDraft: (types) => types.discardDraft("acmeRentKayak"),
  delete: (types) => types.delete("acmeRentKayak"),
  createAttributes: (types) =>
    types.createAttributes(
      "acmeRentKayak",
      bodyOf<{ attributes: ReadonlyArray<CustomActivityType.AttributeRequest> }>("createAttributes").attributes,
    ),
  updateAttributes: (types) =>
    types.updateAttributes(
      "acmeRentKayak",
      bodyOf<{ attributes: ReadonlyArray<CustomActivityType.AttributeUpdate> }>("updateAttributes").attributes,
    ),
  deleteAttributes: (types) => types.deleteAttributes("acmeRentKayak", ["pickedUpAt", "passengers"]),
}

const rental = {
  apiName: "acmeRentKayak",
  name: "Rent Kayak",
  triggerName: "Rents Kayak",
  filterName: "Rented Kayak",
  primaryAttribute: { apiName: "kayakModel", name: "Kayak Model" },
}

const attribute = (apiName: string, more: Partial<CustomActivityType.AttributeRequest> = {}) => ({
  apiName,
  name: apiName,
  dataType: "string" as const,
  ...more,
})

const described = Schema.decodeUnknownSync(CustomActivityType.CustomActivityType)(golden.describe?.answer.result[0])

describe("requests and answers are the documented ones, byte for byte", () => {
  for (const [name, change] of Object.entries(changes)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { result, sent } = yield* run([answerOf(name)], change)
        assert.deepStrictEqual(sent, [
          {
            line: golden[name]?.request ?? "",
            body: golden[name]?.body === undefined ? "" : JSON.stringify(golden[name]?.body),
            type: "application/json",
          },
        ])
        const type = Schema.decodeUnknownSync(CustomActivityType.CustomActivityType)(golden[name]?.answer.result[0])
        assert.deepStrictEqual(value(result), name === "delete" ? Option.some(type) : type)
      }),
    )
  }

  it.effect("members go in the documented order, and no others, whatever the argument's", () =>
    Effect.gen(function* () {
      const body = bodyOf<CustomActivityType.CustomActivityTypeRequest>("create")
      const turned = Object.fromEntries([...Object.entries(body).reverse(), ["id", 7]]) as unknown as typeof body
      const { sent } = yield* run([answerOf("create")], (types) => types.create(turned))
      assert.strictEqual(sent[0]?.body, JSON.stringify(body))
    }),
  )

  it.effect("list: null description, odd dates, an unknown status", () =>
    Effect.gen(function* () {
      const { result, sent } = yield* run([answerOf("list")], (types) => types.list)
      assert.deepStrictEqual(
        sent.map(({ line }) => line),
        [golden.list?.request],
      )
      const types = value(result)
      assert.deepStrictEqual(
        types.map(({ apiName, attributes, id, primaryAttribute, status }) => [
          Option.getOrNull(id),
          apiName,
          status,
          attributes,
          Option.getOrNull(primaryAttribute),
        ]),
        [
          [100014, "acmeRentKayak", "approved", [], null],
          [100015, "acmeReturnKayak", "retired", [], null],
        ],
      )
      const [, retired = assert.fail()] = types
      assertNone(retired.description)
      assertSome(retired.createdAt, DateTime.unsafeMake("2026-02-11T08:15:02Z"))
      assertSome(retired.updatedAt, DateTime.unsafeMake("2026-02-11T08:15:02Z"))
    }),
  )

  it.effect("describe, of the approved version and of the draft", () =>
    Effect.gen(function* () {
      const { result, sent } = yield* run([answerOf("describe"), answerOf("describeDraft")], (types) =>
        Effect.all([types.describe("acmeRentKayak"), types.describe("acmeRentKayak", { draft: true })]),
      )
      assert.deepStrictEqual(
        sent.map(({ line }) => line),
        [golden.describe?.request, golden.describeDraft?.request],
      )
      const [live, draft] = value(result)
      assert.deepStrictEqual(
        live.attributes.map((a) => [a.apiName, a.dataType, Option.getOrNull(a.description)]),
        [
          ["rentalHours", "float", "Paid for"],
          ["pickedUpAt", "datetime", null],
        ],
      )
      assert.deepStrictEqual([draft.status, draft.attributes], ["approved with draft", []])
    }),
  )

  it.effect("the answer to create has no id yet", () =>
    Effect.gen(function* () {
      const created = value((yield* run([answerOf("create")], (types) => types.create(bodyOf("create")))).result)
      assertNone(created.id)
      assertNone(created.createdAt)
      assertNone(created.updatedAt)
    }),
  )

  it.effect("an instance without custom types, with and without a result", () =>
    Effect.gen(function* () {
      for (const answer of ['{"requestId":"1#2","success":true}', '{"requestId":"1#2","success":true,"result":[]}']) {
        const { result, sent } = yield* run([answer], (types) => types.list)
        assert.deepStrictEqual([value(result), sent.length], [[], 1])
      }
    }),
  )
})

describe("outside Marketo's limits: nothing is sent", () => {
  const refuses = (what: string, use: Change, field: string, limit: RegExp) =>
    it.effect(what, () =>
      Effect.gen(function* () {
        const { result, sent } = yield* run([answerOf("describe")], use)
        const error = failure(result)
        if (error._tag !== "MarketoInvalidRequest") return assert.fail(error.message)
        assert.strictEqual(error.field, field)
        assert.match(error.limit, limit)
        assert.deepStrictEqual(sent, [])
      }),
    )

  const alphanumeric = /letters and digits, at least one letter, at most 255/
  const names: ReadonlyArray<readonly [string, string]> = [
    ["no letter", "123"],
    ["a space", "acme rent"],
    ["an underscore", "acme_rent"],
    ["a letter beyond ASCII", "acmeKajakgröße"],
    ["256 characters", "a".repeat(256)],
    ["none", ""],
    ["a step up in the path", ".."],
  ]
  for (const [what, apiName] of names) {
    refuses(`apiName: ${what}`, (types) => types.create({ ...rental, apiName }), "apiName", alphanumeric)
    refuses(`path: ${what}`, (types) => types.approve(apiName), "apiName", alphanumeric)
  }
  const calls: Readonly<Record<string, Change>> = {
    describe: (types) => types.describe("a/b"),
    update: (types) => types.update("a/b", {}),
    discardDraft: (types) => types.discardDraft("a/b"),
    delete: (types) => types.delete("a/b"),
    createAttributes: (types) => types.createAttributes("a/b", [attribute("x")]),
    updateAttributes: (types) => types.updateAttributes("a/b", [attribute("x")]),
    deleteAttributes: (types) => types.deleteAttributes("a/b", ["x"]),
  }
  for (const [what, call] of Object.entries(calls)) refuses(`path of ${what}`, call, "apiName", alphanumeric)

  for (const name of ["Rent-Kayak", "2026", "", " _ "]) {
    const limit = /letters, digits, spaces and underscores, at least one letter/
    refuses(`name "${name}"`, (types) => types.create({ ...rental, name }), "name", limit)
    refuses(`new name "${name}"`, (types) => types.update("acmeRentKayak", { name }), "name", limit)
  }
  for (const member of ["apiName", "name", "triggerName", "filterName", "primaryAttribute"] as const) {
    const { [member]: _, ...rest } = rental
    refuses(`${member} missing`, (types) => types.create(rest as typeof rental), member, /missing/)
  }
  refuses("a blank trigger", (types) => types.create({ ...rental, triggerName: " " }), "triggerName", /not blank/)
  refuses(
    "a primary attribute without a name",
    (types) =>
      types.create({ ...rental, primaryAttribute: { apiName: "kayakModel" } as typeof rental.primaryAttribute }),
    "primaryAttribute.name",
    /missing/,
  )
  refuses(
    "an unknown data type",
    (types) =>
      types.createAttributes("acmeRentKayak", [attribute("a"), attribute("b", { dataType: "score" as "string" })]),
    "attributes.1.dataType",
    /string, boolean, integer, float, link, email, currency, date, datetime, phone, text/,
  )
  refuses(
    "an attribute's apiName",
    (types) => types.createAttributes("acmeRentKayak", [attribute("rental-hours")]),
    "attributes.0.apiName",
    alphanumeric,
  )
  refuses("no attribute", (types) => types.createAttributes("acmeRentKayak", []), "attributes", /at least one/)
  refuses(
    "no attribute to delete",
    (types) => types.deleteAttributes("acmeRentKayak", []),
    "attributes",
    /at least one/,
  )
  const many = (n: number) => Array.from({ length: n }, (_, i) => attribute(`extra${i}`))
  refuses(
    "21 secondary attributes",
    (types) => types.createAttributes("acmeRentKayak", many(21)),
    "attributes",
    /20 secondary.*21/,
  )
  refuses(
    "19 more where two are",
    (types) => types.createAttributes(described, many(19)),
    "attributes",
    /20 secondary.*21/,
  )
  refuses(
    "two primary attributes in one call",
    (types) =>
      types.updateAttributes("acmeRentKayak", [
        { apiName: "rentalHours", isPrimary: true },
        { apiName: "pickedUpAt", isPrimary: true },
      ]),
    "attributes",
    /one primary/,
  )
  for (const [what, use] of [
    ["a new one", (types) => types.createAttributes(described, [attribute("boat", { isPrimary: true })])],
    ["an old one", (types) => types.updateAttributes(described, [{ apiName: "rentalHours", isPrimary: true }])],
    [
      "before the old one",
      (types) =>
        types.updateAttributes(described, [
          { apiName: "rentalHours", isPrimary: true },
          { apiName: "kayakModel", isPrimary: false },
        ]),
    ],
  ] as ReadonlyArray<readonly [string, Change]>) {
    refuses(`promoted without a demotion: ${what}`, use, "attributes", /isPrimary: false on kayakModel before/)
  }

  it.effect("what is within the limits is sent", () =>
    Effect.gen(function* () {
      const { result, sent } = yield* run([answerOf("createAttributes")], (types) =>
        Effect.all([
          types.create({ ...rental, apiName: `a${"1".repeat(254)}`, name: "Kajak_Größe 2" }),
          types.createAttributes("acmeRentKayak", [...many(20), attribute("boat", { isPrimary: true })]),
          types.createAttributes(described, many(18)),
          types.updateAttributes(described, [{ apiName: "kayakModel", isPrimary: false }]),
          types.updateAttributes(described, [
            { apiName: "kayakModel", isPrimary: false },
            { apiName: "rentalHours", isPrimary: true },
          ]),
          types.updateAttributes(described, [{ apiName: "kayakModel", name: "Model", isPrimary: true }]),
          types.updateAttributes("acmeRentKayak", [{ apiName: "made_elsewhere", dataType: "text" }]),
        ]),
      )
      assert.strictEqual(value(result).length, 7)
      assert.strictEqual(sent[6]?.body, '{"attributes":[{"apiName":"made_elsewhere","dataType":"text"}]}')
    }),
  )
})

describe("failures", () => {
  const refusal = (code: string) => `{"requestId":"1#2","success":false,"errors":[{"code":"${code}","message":"no"}]}`
  const summary = (error: MarketoError.MarketoError) =>
    "execution" in error ? [error._tag, error.execution, error.attempts] : [error._tag]

  it.effect("a record that Marketo skipped is a refusal with all its codes, under either name", () =>
    Effect.gen(function* () {
      const skipped =
        '{"requestId":"1#2","success":true,"result":[{"status":"skipped","reasons":[{"code":"1027","message":"too many"}],"errors":[{"code":1017,"message":"exists"}]}]}'
      const error = failure((yield* run([skipped], (types) => types.create(rental))).result)
      if (error._tag !== "MarketoRejected") return assert.fail(error.message)
      assert.deepStrictEqual(
        [error.codes, error.execution, error.isRetryable, Option.getOrNull(error.requestId), error.endpoint],
        [["1027", "1017"], "NotExecuted", false, "1#2", "createCustomActivityType"],
      )
      assert.include(error.message, "maximum number of custom activity types")
    }),
  )

  it.effect("a type that was changed and has a remark is no refusal", () =>
    Effect.gen(function* () {
      const remark = { ...golden.approve?.answer.result[0], errors: [{ code: "1003", message: "remark" }] }
      const answer = JSON.stringify({ requestId: "1#2", success: true, result: [remark] })
      assert.strictEqual(
        value((yield* run([answer], (types) => types.approve("acmeRentKayak"))).result).status,
        "approved",
      )
    }),
  )

  it.effect("a type that is not there: by code, and by an empty result", () =>
    Effect.gen(function* () {
      for (const answer of [refusal("1013"), '{"requestId":"1#2","success":true,"result":[]}']) {
        const { result, sent } = yield* run([answer], (types) => types.describe("acmeRentKayak"))
        const error = failure(result)
        assert.deepStrictEqual(error._tag === "MarketoRejected" ? error.codes : error.message, ["1013"])
        assert.strictEqual(sent.length, 1)
      }
    }),
  )

  it.effect("writes: what was not executed is repeated, what may have been is not", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [Reply, ReadonlyArray<unknown>]> = [
        [refusal("709"), ["MarketoRejected", "Unknown", 1]],
        [refusal("1022"), ["MarketoRejected", "NotExecuted", 1]],
        [refusal("604"), ["MarketoRejected", "Unknown", 1]],
        [502, ["MarketoUnavailable", "Unknown", 1]],
        ["", ["MarketoUnavailable", "Unknown", 1]],
        [refusal("608"), ["MarketoRejected", "NotExecuted", 9]],
      ]
      for (const [name, change] of Object.entries(changes)) {
        for (const [reply, expected] of table) {
          const { result, sent } = yield* run([reply], change)
          assert.deepStrictEqual(summary(failure(result)), expected, `${name} ${reply}`)
          assert.strictEqual(sent.length, expected[2], `${name} ${reply}`)
        }
        const { result } = yield* run([refusal("608"), refusal("606"), answerOf(name)], change)
        assert.isTrue(Either.isRight(result), name)
      }
    }),
  )

  it.effect("writes: `success: true` is success, and what the answer lacks is asked for", () =>
    Effect.gen(function* () {
      const [type] = golden.approve?.answer.result ?? []
      for (const [name, change] of Object.entries(changes)) {
        for (const result of [undefined, null, [], [type, type], [{ status: "draft" }]]) {
          const reply = JSON.stringify({ requestId: "1#2", success: true, result })
          const { result: answer, sent } = yield* run([reply, answerOf("describe")], change)
          const seen = value(answer)
          if (name === "delete") assertNone(seen as Option.Option<unknown>)
          else assert.strictEqual((seen as CustomActivityType.CustomActivityType).apiName, "acmeRentKayak")
          assert.strictEqual(sent.length, name === "delete" ? 1 : 2, `${name} ${reply}`)
        }
      }
    }),
  )

  it.effect("reads: repeated until they are whole", () =>
    Effect.gen(function* () {
      const noResult = '{"requestId":"1#2","success":true}'
      const described = yield* run([502, noResult, answerOf("describe")], (types) => types.describe("acmeRentKayak"))
      assertSome(value(described.result).id, 100014)
      assert.strictEqual(described.sent.length, 3)
      const never = yield* run([noResult], (types) => types.describe("acmeRentKayak"))
      assert.deepStrictEqual(summary(failure(never.result)), ["MarketoUnavailable", "Unknown", 9])
      const listed = yield* run([502, answerOf("list")], (types) => types.list)
      assert.strictEqual(value(listed.result).length, 2)
      const broken = yield* run(['{"requestId":"1#2","success":true,"result":[{"id":"x"}]}'], (types) => types.list)
      assert.deepStrictEqual(summary(failure(broken.result)), ["MarketoUnavailable", "Unknown", 1])
    }),
  )
})

describe("recordSchema", () => {
  const at = DateTime.unsafeMake("2026-02-20T09:00:00.900Z")
  const dataTypes = CustomActivityType.DataType.literals
  /** One attribute of each data type, named after it, and one of a type that is not known. */
  const everything: CustomActivityType.CustomActivityType = {
    ...described,
    attributes: [...dataTypes, "score"].map((dataType) => ({
      apiName: dataType,
      name: `The ${dataType}`,
      description: Option.none(),
      dataType,
    })),
  }
  const schemaOf = (type: CustomActivityType.CustomActivityType) =>
    Either.getOrThrowWith(CustomActivityType.recordSchema(type), (error) => error)
  const decode = Schema.decodeUnknownEither(schemaOf(everything))
  const record = (attributes: Readonly<Record<string, unknown>>) => ({
    leadId: "9007199254740993",
    activityDate: at,
    attributes: { kayakModel: "Sea 500", ...attributes },
  })
  const issues = (input: unknown) =>
    Either.match(decode(input), {
      onRight: () => [],
      onLeft: (error) =>
        ParseResult.ArrayFormatter.formatErrorSync(error).map((issue) => [issue.path.join("."), issue.message]),
    })
  const zoned = DateTime.unsafeMakeZoned("2026-02-19T23:30:00Z", { timeZone: "Asia/Tokyo" })

  const valid: Readonly<Record<string, ReadonlyArray<readonly [given: unknown, sent: string]>>> = {
    string: [
      ["x", '"x"'],
      ["", '""'],
      ["é".repeat(255), JSON.stringify("é".repeat(255))],
      ["🛶".repeat(255), JSON.stringify("🛶".repeat(255))],
    ],
    text: [["é".repeat(15_000), JSON.stringify("é".repeat(15_000))]],
    link: [["https://example.com/?a=b", '"https://example.com/?a=b"']],
    email: [["a@example.com", '"a@example.com"']],
    phone: [["+49 1", '"+49 1"']],
    score: [["+10", '"+10"']],
    boolean: [[false, "false"]],
    integer: [
      [-3, "-3"],
      [9007199254740993n, "9007199254740993"],
    ],
    float: [
      [2.5, "2.5"],
      [0, "0"],
    ],
    currency: [[-0.01, "-0.01"]],
    date: [
      ["2028-02-29", '"2028-02-29"'],
      [at, '"2026-02-20"'],
      [zoned, '"2026-02-20"'],
    ],
    datetime: [
      [at, '"2026-02-20T09:00:00Z"'],
      [zoned, '"2026-02-20T08:30:00+09:00"'],
    ],
  }
  const wrong: Readonly<Record<string, ReadonlyArray<unknown>>> = {
    string: ["x".repeat(256), "🛶".repeat(256), 1],
    text: ["é".repeat(15_001), 1],
    link: [1],
    email: [true],
    phone: [491],
    score: [10],
    boolean: ["true", 1],
    integer: [1.5, 2 ** 53, "7", Number.NaN],
    float: [Number.NaN, Number.POSITIVE_INFINITY, "2.5", 1n],
    currency: [Number.NEGATIVE_INFINITY, "1"],
    date: ["2027-02-29", "2026-2-1", "2026-02-20T09:00:00Z", 20260220],
    datetime: ["2026-02-20T09:00:00Z", new Date("nonsense"), Number.NaN],
  }

  it("every data type: what is taken, and how it is sent", () => {
    assert.sameMembers([...dataTypes, "score"], Object.keys(valid))
    for (const [dataType, values] of Object.entries(valid)) {
      for (const [given, sent] of values) {
        const activity = Either.getOrThrow(decode(record({ [dataType]: given })))
        assert.strictEqual(
          Either.getOrThrow(CustomActivity.toJson(activity)),
          `{"leadId":9007199254740993,"activityDate":"2026-02-20T09:00:00Z","activityTypeId":100014,"primaryAttributeValue":"Sea 500","attributes":[{"apiName":"${dataType}","value":${sent}}]}`,
        )
      }
    }
  })

  it("every data type: what fails, with its path, and without the value", () => {
    assert.sameMembers([...dataTypes, "score"], Object.keys(wrong))
    for (const [dataType, values] of Object.entries(wrong)) {
      for (const given of [...values, undefined, null, {}, []]) {
        const found = issues(record({ [dataType]: given }))
        assert.deepStrictEqual(
          found.map(([path]) => path),
          [`attributes.${dataType}`],
          String(given),
        )
        assert.match(String(found[0]?.[1]), /^must be /)
      }
    }
  })

  it("the primary attribute, of any data type, becomes text", () => {
    for (const [dataType, given, sent] of [
      ["integer", 7, "7"],
      ["boolean", true, "true"],
      ["float", 2.5, "2.5"],
      ["date", zoned, "2026-02-20"],
      ["datetime", zoned, "2026-02-20T08:30:00+09:00"],
    ] as const) {
      const primaryAttribute = Option.map(described.primaryAttribute, (primary) => ({ ...primary, dataType }))
      const schema = schemaOf({ ...described, primaryAttribute })
      const input = { ...record({ rentalHours: 2 }), attributes: { rentalHours: 2, kayakModel: given } }
      const activity = Schema.decodeSync(schema)(input)
      assert.strictEqual(activity.primaryAttributeValue, sent)
      assert.deepStrictEqual(activity.attributes, [{ apiName: "rentalHours", value: 2 }])
    }
  })

  it("names at fault, all at once", () => {
    const names = (input: unknown) => issues(input).map(([path]) => path)
    assert.sameMembers(names(record({ Boolean: true, nope: 1, float: "x" })), [
      "attributes.Boolean",
      "attributes.nope",
      "attributes.float",
    ])
    assert.deepStrictEqual(names({ ...record({}), attributes: {} }), ["attributes.kayakModel"])
    assert.deepStrictEqual(names({ ...record({}), attributes: { kayakModel: undefined } }), ["attributes.kayakModel"])
    assert.sameMembers(
      names({ leadId: 0, activityDate: "2026-02-20T09:00:00Z", attributes: { kayakModel: "x" }, extra: 1 }),
      ["leadId", "activityDate", "extra"],
    )
    for (const leadId of [-1, 1.5, 2 ** 53, Number.NaN, "", "-1", "1e3", "x"]) {
      assert.deepStrictEqual(names({ ...record({}), leadId }), ["leadId"], String(leadId))
    }
  })

  it("no message quotes a value", () => {
    const secret = "person@example.com"
    const input = {
      leadId: secret,
      activityDate: secret,
      attributes: { kayakModel: 1, integer: secret, boolean: secret },
    }
    const messageOf = (input: unknown) =>
      Either.match(decode(input), { onLeft: (error) => error.message, onRight: () => assert.fail() })
    assert.include(messageOf(input), "must be true or false")
    for (const given of [
      input,
      secret,
      [secret],
      { ...record({}), attributes: secret },
      record({ [secret]: secret }),
    ]) {
      assert.notInclude(messageOf(given).replaceAll(`["${secret}"]`, ""), secret)
    }
  })

  it("types that take no records", () => {
    const refusal = (type: Partial<CustomActivityType.CustomActivityType>) =>
      Either.match(CustomActivityType.recordSchema({ ...described, ...type }), {
        onLeft: (error) => error.message,
        onRight: () => "",
      })
    assert.include(refusal({ status: "draft" }), "acmeRentKayak is draft: only an approved type takes records")
    assert.include(refusal({ status: "deleted" }), "acmeRentKayak is deleted")
    assert.include(refusal({ id: Option.none() }), "use the type that `describe` gives")
    assert.include(refusal({ primaryAttribute: Option.none() }), "use the type that `describe` gives")
    assert.strictEqual(refusal({ status: "approved with draft" }), "")
  })
})

describe("life cycle", () => {
  /** A type as the vendor's table of states has it; `live` and `draft` are the apiNames of secondary attributes. */
  interface Model {
    readonly live: ReadonlyArray<string> | undefined
    readonly draft: ReadonlyArray<string> | undefined
  }
  type State = Readonly<Record<string, Model>>

  const statusOf = ({ draft, live }: Model) =>
    live === undefined ? "draft" : draft === undefined ? "approved" : "approved with draft"

  const edit = (
    model: Model | undefined,
    change: (attributes: ReadonlyArray<string>) => ReadonlyArray<string> | undefined,
  ) => {
    const draft = model && change(model.draft ?? model.live ?? [])
    return draft && model && { ...model, draft }
  }

  interface Operation {
    readonly call: (types: CustomActivityTypes.Service, type: string, attribute: string) => ReturnType<Change>
    /** The type afterwards; undefined where the operation is refused, `"deleted"` where the type is gone. */
    readonly next: (model: Model | undefined, attribute: string) => Model | "deleted" | undefined
  }

  const operations: Readonly<Record<string, Operation>> = {
    create: {
      call: (types, type) =>
        types.create({ ...rental, apiName: type, triggerName: `Does ${type}`, filterName: `Did ${type}` }),
      next: (model) => (model === undefined ? { live: undefined, draft: [] } : undefined),
    },
    update: {
      call: (types, type) => types.update(type, { description: "changed" }),
      next: (model) => edit(model, (attributes) => attributes),
    },
    approve: {
      call: (types, type) => types.approve(type),
      next: (model) => (model?.draft === undefined ? undefined : { live: model.draft, draft: undefined }),
    },
    discardDraft: {
      call: (types, type) => types.discardDraft(type),
      next: (model) =>
        model?.draft === undefined || model.live === undefined ? undefined : { ...model, draft: undefined },
    },
    delete: {
      call: (types, type) => types.delete(type),
      next: (model) => model && "deleted",
    },
    createAttributes: {
      call: (types, type, name) => types.createAttributes(type, [attribute(name)]),
      next: (model, name) =>
        edit(model, (attributes) => (attributes.includes(name) ? undefined : [...attributes, name])),
    },
    updateAttributes: {
      call: (types, type, name) => types.updateAttributes(type, [{ apiName: name, description: "changed" }]),
      next: (model, name) => edit(model, (attributes) => (attributes.includes(name) ? attributes : undefined)),
    },
    deleteAttributes: {
      call: (types, type, name) => types.deleteAttributes(type, [name]),
      next: (model, name) =>
        edit(model, (attributes) => (attributes.includes(name) ? attributes.filter((a) => a !== name) : undefined)),
    },
  }

  const step = FastCheck.record({
    // a type's way back to nothing is short: as many deletions as other operations would leave little else to see
    name: FastCheck.oneof(
      { weight: 20, arbitrary: FastCheck.constantFrom(...Object.keys(operations).filter((name) => name !== "delete")) },
      { weight: 1, arbitrary: FastCheck.constant("delete") },
    ),
    type: FastCheck.constantFrom("acmeRent", "acmeReturn"),
    attribute: FastCheck.constantFrom("a", "b"),
  })

  /** Both versions of every type, as Marketo describes them. */
  const observe = (types: CustomActivityTypes.Service, type: string) =>
    Effect.map(
      Effect.all([Effect.either(types.describe(type)), Effect.either(types.describe(type, { draft: true }))]),
      ([live, draft]): Model => {
        const names = Either.match({
          onLeft: () => undefined,
          onRight: (described: CustomActivityType.CustomActivityType) => described.attributes.map((a) => a.apiName),
        })
        return { live: names(live), draft: names(draft) }
      },
    )

  it.effect.prop(
    "any operations in any order: the status the model says, or a refusal that changes nothing",
    [
      FastCheck.array(step, { minLength: 30, maxLength: 40 }),
      // where Marketo puts these refusals is documented nowhere
      FastCheck.constantFrom("response" as const, "record" as const),
    ],
    ([steps, customTypeErrors]) =>
      Effect.gen(function* () {
        const types = yield* CustomActivityTypes.CustomActivityTypes
        let state: State = {}
        for (const [index, { name, type, attribute }] of steps.entries()) {
          const where = `${index}: ${name} ${type} ${attribute}`
          const operation = operations[name] ?? assert.fail(name)
          const next = operation.next(state[type], attribute)
          const result = yield* Effect.either(operation.call(types, type, attribute))
          if (next === undefined) {
            const error = failure(result)
            assert.strictEqual(error._tag, "MarketoRejected", `${where}: ${error.message}`)
          } else {
            const changed = value(result) as
              | Option.Option<CustomActivityType.CustomActivityType>
              | CustomActivityType.CustomActivityType
            const { status } = Option.isOption(changed) ? Option.getOrThrow(changed) : changed
            assert.strictEqual(status, next === "deleted" ? next : statusOf(next), where)
            const { [type]: _, ...others } = state
            state = next === "deleted" ? others : { ...others, [type]: next }
          }
          const observed = yield* observe(types, type)
          assert.deepStrictEqual(observed, state[type] ?? { live: undefined, draft: undefined }, where)
        }
        const listed = yield* types.list
        assert.deepStrictEqual(
          Object.fromEntries(listed.map(({ apiName, status }) => [apiName, status])),
          Record.map(state, statusOf),
        )
      }).pipe(Effect.provide(simulated({ data: { activities: 0, customTypes: [] }, quirks: { customTypeErrors } }))),
    { fastCheck: { numRuns: 30 } },
  )
})
