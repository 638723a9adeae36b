import { HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { type Data, type Fault, Simulator } from "@effect-marketo/simulator"
import { Effect, Fiber, TestClock } from "effect"
import {
  accessToken,
  activitiesPath,
  codeOf,
  type Envelope,
  elementTexts,
  get,
  post,
  readAll,
  since,
  text,
} from "./reader.js"

const addPath = "/rest/v1/activities/external.json"
const provide = (options?: Simulator.Options) => Effect.provide(Simulator.layer(options))

const rental = {
  leadId: 100_000,
  activityDate: "2026-03-04T15:41:32-05:00",
  activityTypeId: 100_001,
  primaryAttributeValue: "Sea Touring",
  attributes: [
    { apiName: "rentalHours", value: 2.5 },
    { name: "Booking Number", value: "B-1" },
  ],
}

const add = (input: unknown) => Effect.flatMap(accessToken, (token) => post(token, addPath, { input }))

/** What was written since the start. */
const written = Effect.flatMap(Simulator.Simulator, ({ activities }) =>
  Effect.map(activities, (all) => all.filter(({ activityTypeId }) => activityTypeId >= 100_000)),
)

/** The codes of each record: none for an added one. */
const codesOf = ({ result }: Envelope) =>
  result?.map(({ errors, reasons }) =>
    ((errors ?? reasons ?? []) as ReadonlyArray<{ readonly code: string }>).map(({ code }) => code),
  )

const typeOf = (dataType: Data.CustomTypeAttribute["dataType"], apiName = "sample"): Data.CustomType => ({
  apiName,
  name: apiName,
  primaryAttribute: { apiName: "main", name: "Main", dataType },
  attributes: [{ apiName: "other", name: "Other", dataType }],
})

describe("adding", () => {
  it.effect("stores what it can, in order, says what it skips, and the feed serves it", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const answer = yield* post(token, addPath, { input: [rental, { ...rental, leadId: 7 }, rental] })
      const [first, last] = yield* written
      assert.deepStrictEqual(answer.result, [
        { id: Number(first?.id), marketoGUID: first?.id, status: "added" },
        { status: "skipped", errors: [{ code: "1004", message: "Lead not found" }] },
        { id: Number(last?.id), marketoGUID: last?.id, status: "added" },
      ])
      assert.strictEqual(
        first?.text,
        `{"id":${first?.id},"marketoGUID":"${first?.id}","leadId":100000,"activityDate":"2026-03-04T20:41:32Z","activityTypeId":100001,"primaryAttributeValue":"Sea Touring","attributes":[{"name":"Rental Hours","value":2.5},{"name":"Booking Number","value":"B-1"}]}`,
      )
      const nextPageToken = yield* since(token, "2026-03-04T20:41:32Z")
      const body = yield* text(token, activitiesPath, { activityTypeIds: 100_001, nextPageToken })
      assert.deepStrictEqual(
        elementTexts(body),
        (yield* written).map((activity) => activity.text),
      )
    }).pipe(provide()),
  )

  it.effect("a record is skipped with every code that applies to it, and stores nothing", () =>
    Effect.gen(function* () {
      const attributes = (...list: ReadonlyArray<unknown>) => ({ ...rental, attributes: list })
      const { activityDate: _date, primaryAttributeValue: _value, ...bare } = rental
      const cases: ReadonlyArray<readonly [record: unknown, ...codes: ReadonlyArray<string>]> = [
        [{ ...rental, leadId: 99_999 }, "1004"],
        [{ ...rental, leadId: 100_050 }, "1004"],
        [{ ...rental, leadId: "100000" }, "1001"],
        [{ ...rental, activityDate: "yesterday" }, "1001"],
        [{ ...rental, activityDate: "2026-02-30T00:00:00Z" }, "1001"],
        [{ ...rental, activityDate: 1_772_656_892_000 }, "1001"],
        [{ ...rental, activityTypeId: 1 }, "1013"],
        [{ ...rental, activityTypeId: 100_009 }, "1013"],
        [{ ...rental, activityTypeId: 100_002 }, "1003"],
        [{ ...rental, activityTypeId: 100_003 }, "1003"],
        [{ ...rental, primaryAttributeValue: 7 }, "1001"],
        [bare, "1002", "1002"],
        [attributes({ apiName: "colour", value: "red" }), "1006"],
        [attributes({ name: "rentalHours", value: 2 }), "1006"],
        [attributes({ apiName: "kayakModel", value: "Sea Touring" }), "1006"],
        [attributes({ apiName: "rentalHours", value: "many" }), "1001"],
        [attributes({ apiName: "rentalHours", value: null }), "1001"],
        [attributes({ apiName: "rentalHours" }), "1002"],
        [attributes({ value: 1 }), "1002"],
        [{ ...rental, attributes: undefined }, "1002"],
        [
          { ...rental, leadId: 1, attributes: [{ apiName: "colour" }, { apiName: "rentalHours", value: [] }] },
          "1004",
          "1006",
          "1001",
        ],
        [{}, "1002", "1002", "1002", "1002", "1002"],
        [null, "1002", "1002", "1002", "1002", "1002"],
      ]
      const answer = yield* add(cases.map(([record]) => record))
      assert.isTrue(answer.success)
      assert.deepStrictEqual(
        codesOf(answer),
        cases.map(([, ...codes]) => codes),
      )
      assert.isTrue(answer.result?.every(({ id, status }) => status === "skipped" && id === undefined))
      assert.deepStrictEqual(yield* written, [])
    }).pipe(
      provide({
        data: {
          customTypes: [
            {
              apiName: "acmeRentKayak",
              name: "Rent Kayak",
              primaryAttribute: { apiName: "kayakModel", name: "Kayak Model", dataType: "string" },
              attributes: [
                { apiName: "bookingNumber", name: "Booking Number", dataType: "string" },
                { apiName: "rentalHours", name: "Rental Hours", dataType: "float" },
              ],
            },
            { ...typeOf("string", "unfinished"), status: "draft" },
            { ...typeOf("string", "gone"), status: "deleted" },
          ],
        },
      }),
    ),
  )

  it.effect("attributes of 65,536 bytes are taken, one more is 1049", () =>
    Effect.gen(function* () {
      const sized = (bytes: number) => {
        const around = JSON.stringify([{ apiName: "bookingNumber", value: "" }]).length
        return { ...rental, attributes: [{ apiName: "bookingNumber", value: "x".repeat(bytes - around) }] }
      }
      assert.deepStrictEqual(codesOf(yield* add([sized(65_536), sized(65_537)])), [[], ["1049"]])
    }).pipe(provide()),
  )

  const values: Readonly<
    Record<
      Data.CustomTypeAttribute["dataType"],
      { readonly good: ReadonlyArray<unknown>; readonly bad: ReadonlyArray<unknown> }
    >
  > = {
    string: { good: ["", "Zoë 東京"], bad: [1, true, {}] },
    text: { good: ["line\r\nline"], bad: [1] },
    link: { good: ["https://www.example.com/"], bad: [1] },
    email: { good: ["lead@example.com"], bad: [false] },
    phone: { good: ["+49 30 1234"], bad: [493_012_34] },
    boolean: { good: [true, false, "true", "false"], bad: [1, "yes"] },
    integer: { good: [0, -7, "12"], bad: [1.5, "1.5", "", "twelve", true] },
    float: { good: [1.5, 2, "1.5", "-2", "1e3"], bad: ["", "1.5.1", true] },
    currency: { good: [9.99, "9.99"], bad: ["9,99", "$9"] },
    date: { good: ["2026-02-28"], bad: ["2026-02-30", "28.02.2026", "2026-02-28T00:00:00Z", 20_260_228] },
    datetime: {
      good: ["2026-03-04T15:41:32-05:00", "2026-03-04T15:41:32Z", "2026-03-04T15:41Z", "2026-03-04"],
      bad: ["2026-03-04T25:00:00Z", "now", 1_772_656_892],
    },
  }
  for (const [dataType, { bad, good }] of Object.entries(values)) {
    it.effect(`values of type ${dataType}, secondary and primary`, () =>
      Effect.gen(function* () {
        const records = [...good, ...bad].map((value) => ({
          ...rental,
          primaryAttributeValue: String(good[0]),
          attributes: [{ apiName: "other", value }],
        }))
        const primary = [...good, ...bad].filter((value) => typeof value === "string")
        const answer = yield* add([
          ...records,
          ...primary.map((value) => ({ ...rental, primaryAttributeValue: value, attributes: [] })),
        ])
        const codes = (value: unknown) => (good.includes(value) ? [] : ["1001"])
        assert.deepStrictEqual(codesOf(answer), [...good, ...bad, ...primary].map(codes))
        const stored = (yield* written).slice(0, good.length).map((a) => JSON.parse(a.text).attributes[0].value)
        assert.deepStrictEqual(stored, good)
      }).pipe(provide({ data: { customTypes: [typeOf(dataType as keyof typeof values)] } })),
    )
  }

  it.effect("calls are refused as a whole: no input, too much of it, no JSON, another content type", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const token = yield* accessToken
      const send = (body: string, contentType: string) =>
        client.execute(
          HttpClientRequest.post(`${url}${addPath}`).pipe(
            HttpClientRequest.bearerToken(token),
            HttpClientRequest.bodyText(body, contentType),
          ),
        )
      const code = (body: string, contentType = "application/json") =>
        Effect.map(
          Effect.flatMap(send(body, contentType), (response) => response.json),
          (body) => codeOf(body as Envelope),
        )
      const input = (count: number) => JSON.stringify({ input: Array.from({ length: count }, () => rental) })
      assert.strictEqual(yield* code("{}"), "1002")
      assert.strictEqual(yield* code('{"input":[]}'), "1002")
      assert.strictEqual(yield* code('{"input":{"leadId":100000}}'), "1002")
      assert.strictEqual(yield* code("[]"), "1002")
      assert.strictEqual(yield* code(input(301)), "1003")
      assert.strictEqual(yield* code(`${input(1)}}`), "609")
      assert.strictEqual(yield* code(""), "609")
      assert.strictEqual(yield* code(input(1), "text/plain"), "612")
      assert.strictEqual(codeOf(yield* get(token, addPath)), "605")
      const whole = input(1)
      assert.strictEqual((yield* send(whole.padEnd(1_048_577), "application/json")).status, 413)
      assert.deepStrictEqual(yield* written, [])
      assert.strictEqual((yield* send(whole.padEnd(1_048_576), "application/json")).status, 200)
      assert.isUndefined(yield* code(input(300), "application/json; charset=utf-8"))
      assert.strictEqual((yield* written).length, 301)
    }).pipe(provide()),
  )

  it.effect("codes that Marketo does not document are the test's choice, and so is the member that holds them", () =>
    Effect.gen(function* () {
      const answer = yield* add([
        { ...rental, leadId: undefined, activityDate: "x", activityTypeId: 100_002 },
        { ...rental, activityTypeId: 9 },
        { ...rental, attributes: [{ apiName: "other", value: 1 }, { apiName: "none" }] },
      ])
      assert.isTrue(answer.result?.every((result) => "reasons" in result && !("errors" in result)))
      assert.deepStrictEqual(codesOf(answer), [["1", "2", "3"], ["5"], ["6", "7"]])
      assert.strictEqual(codeOf(yield* add([])), "1")
      assert.strictEqual(codeOf(yield* add(Array.from({ length: 301 }, () => rental))), "4")
    }).pipe(
      provide({
        quirks: {
          recordErrors: "reasons",
          codes: { missing: "1", date: "2", notApproved: "3", tooMany: "4", notFound: "5", value: "6", field: "7" },
        },
        data: { customTypes: [typeOf("string", "ready"), { ...typeOf("string", "unfinished"), status: "draft" }] },
      }),
    ),
  )

  it.effect("the leads of the data set exist, and no others", () =>
    Effect.gen(function* () {
      const answer = yield* add([100_000, 100_002, 100_003].map((leadId) => ({ ...rental, leadId })))
      assert.deepStrictEqual(codesOf(answer), [[], [], ["1004"]])
    }).pipe(provide({ data: { leads: 3 } })),
  )
})

describe("reading back", () => {
  it.effect("apiNames beside names, and integers as strings, when asked for", () =>
    Effect.gen(function* () {
      yield* add([{ ...rental, attributes: [{ name: "Other", value: 12 }], primaryAttributeValue: "1" }])
      const [stored] = yield* written
      assert.deepStrictEqual(JSON.parse(stored?.text ?? "").attributes, [
        { name: "Other", apiName: "other", value: "12" },
      ])
    }).pipe(
      provide({
        quirks: { customApiNames: true, integersAsStrings: true },
        data: { customTypes: [typeOf("integer")] },
      }),
    ),
  )

  it.effect("readers see it after the visibility delay; it is stored at once", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const token = yield* accessToken
      const nextPageToken = yield* since(token, "2026-03-01")
      const seen = Effect.map(
        text(token, activitiesPath, { activityTypeIds: 100_001, nextPageToken }),
        (body) => elementTexts(body).length,
      )
      yield* add([rental])
      yield* TestClock.adjust("59 seconds")
      yield* add([rental])
      assert.strictEqual(yield* seen, 0)
      const texts = (yield* written).map((activity) => activity.text)
      assert.strictEqual(texts.length, 2)
      const lines = yield* Effect.flatMap(client.get(`${url}/_simulator/activities`), (response) => response.text)
      assert.deepStrictEqual(lines.split("\n").slice(-3, -1), texts)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* seen, 1)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* seen, 2)
      assert.deepStrictEqual(
        (yield* written).map((activity) => activity.text),
        texts,
      )
    }).pipe(provide({ data: { activities: 512 }, quirks: { visibilityDelay: "1 minute" } })),
  )

  it.effect("an old date is a late arrival: a reader at the end of the log sees it, and ids go on", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const params = { activityTypeIds: "1,100001" }
      const pages = yield* readAll(token, activitiesPath, params, yield* since(token, "2026-01-01"))
      yield* add([
        { ...rental, activityDate: "2025-12-31T23:59:59Z" },
        { ...rental, activityDate: "2026-01-02" },
      ])
      yield* simulator.add([{ activityTypeId: 1, activityDate: "2026-01-02T00:00:00Z" }])
      const again = yield* readAll(token, activitiesPath, params, pages[pages.length - 1]?.nextPageToken ?? "")
      const found = again.flatMap((page) => page.result ?? [])
      assert.deepStrictEqual(
        found.map(({ activityTypeId }) => activityTypeId),
        [100_001, 1], // the first lies before the date that this reader began with
      )
      const ids = (yield* simulator.activities).map(({ id }) => id)
      assert.strictEqual(new Set(ids).size, 1_003)
    }).pipe(provide()),
  )

  it.effect("readers that follow dates find it in its place", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      yield* add([
        { ...rental, activityDate: "2026-01-20" },
        { ...rental, activityDate: "2026-01-10" },
      ])
      const pages = yield* readAll(
        token,
        activitiesPath,
        { activityTypeIds: "1,100001" },
        yield* since(token, "2026-01-01"),
      )
      const dates = pages.flatMap((page) => page.result ?? []).map(({ activityDate }) => activityDate)
      assert.deepStrictEqual(dates, [...dates].sort())
      assert.isTrue(dates.includes("2026-01-10T00:00:00Z"))
    }).pipe(provide({ quirks: { lateArrivals: "missed" } })),
  )
})

describe("faults", () => {
  const onAdd = { match: { endpoint: "addCustomActivities" } } as const
  const cases: ReadonlyArray<Fault.Fault> = [
    { fault: "error", code: 604, executed: true, ...onAdd },
    { fault: "http", status: 502, executed: true, ...onAdd },
    { fault: "empty", executed: true, ...onAdd },
    { fault: "cut", executed: true, ...onAdd },
    { fault: "cutBody", ...onAdd },
    { fault: "malformed", ...onAdd },
    { fault: "shortResult", ...onAdd },
    { fault: "error", code: 608, ...onAdd },
    { fault: "http", status: 413, ...onAdd },
    { fault: "empty", ...onAdd },
    { fault: "cut", ...onAdd },
    { fault: "expiredToken", ...onAdd },
  ]
  for (const fault of cases) {
    const executed =
      ("executed" in fault && fault.executed) || ["cutBody", "malformed", "shortResult"].includes(fault.fault)
    it.effect(`${fault.fault}, ${executed ? "after" : "before"} the call is carried out`, () =>
      Effect.gen(function* () {
        const { calls } = yield* Simulator.Simulator
        yield* Effect.exit(add([rental, { ...rental, leadId: 1 }]))
        assert.strictEqual((yield* written).length, executed ? 1 : 0)
        const [call] = (yield* calls).slice(-1)
        assert.deepInclude(call, { endpoint: "addCustomActivities", fault: fault.fault, executed, records: 2 })
        assert.deepStrictEqual(codesOf(yield* add([rental])), [[]])
      }).pipe(provide({ faults: [fault] })),
    )
  }

  it.effect("a result that is missing, or short", () =>
    Effect.gen(function* () {
      const none = yield* add([rental, rental])
      assert.isTrue(none.success)
      assert.notProperty(none, "result")
      assert.strictEqual((yield* add([rental, rental])).result?.length, 1)
      assert.deepStrictEqual((yield* add([rental])).result, [])
      assert.strictEqual((yield* written).length, 5)
    }).pipe(
      provide({
        faults: [{ fault: "shortResult" }, { fault: "shortResult", records: 1 }, { fault: "shortResult", records: 0 }],
      }),
    ),
  )

  it.effect("a slow call that nobody waits for is carried out all the same", () =>
    Effect.gen(function* () {
      const slow = yield* Effect.fork(add([rental]))
      yield* TestClock.adjust("100 seconds")
      yield* Fiber.interrupt(slow)
      assert.strictEqual((yield* written).length, 1)
    }).pipe(provide({ faults: [{ fault: "delay", delay: "2 minutes", ...onAdd }] })),
  )

  it.effect("a type's endpoints have faults of their own", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const type = "/rest/v1/activities/external/type"
      assert.strictEqual(codeOf(yield* post(token, `${type}/acmeRentKayak/delete.json`)), "1022")
      assert.strictEqual(codeOf(yield* get(token, `${type}/acmeRentKayak/describe.json`)), "611")
      assert.notProperty(yield* post(token, `${type}/acmeRentKayak.json`, { description: "By the hour" }), "result")
      assert.isTrue((yield* post(token, `${type}/acmeRentKayak/approve.json`)).success)
    }).pipe(
      provide({
        faults: [
          { fault: "error", code: 1022, match: { endpoint: "deleteCustomActivityType" } },
          { fault: "error", code: 611, match: { endpoint: "describeCustomActivityType" } },
          { fault: "shortResult", match: { endpoint: "updateCustomActivityType" } },
        ],
      }),
    ),
  )

  it.effect("values come back in another spelling, if the test wants them to", () =>
    Effect.gen(function* () {
      const input = [
        {
          ...rental,
          activityTypeId: 100_001,
          primaryAttributeValue: "10",
          attributes: [{ apiName: "other", value: 10 }],
        },
        {
          ...rental,
          activityTypeId: 100_002,
          primaryAttributeValue: "+07",
          attributes: [{ apiName: "other", value: 7 }],
        },
        {
          ...rental,
          activityTypeId: 100_003,
          primaryAttributeValue: "true",
          attributes: [{ apiName: "other", value: true }],
        },
        {
          ...rental,
          activityTypeId: 100_004,
          primaryAttributeValue: "2026-03-04T15:41:32-05:00",
          attributes: [{ apiName: "other", value: "2026-03-04T15:41:32.5+0100" }],
        },
        {
          ...rental,
          activityTypeId: 100_005,
          primaryAttributeValue: "10",
          attributes: [{ apiName: "other", value: "10" }],
        },
      ]
      yield* add(input)
      const seen = (yield* written).map(({ text }) => {
        const { attributes, primaryAttributeValue } = JSON.parse(text)
        return [primaryAttributeValue, attributes[0].value]
      })
      assert.deepStrictEqual(seen, [
        ["10.0", "10.0"],
        ["7", "7"],
        ["true", "true"],
        ["2026-03-04T20:41:32Z", "2026-03-04T14:41:32Z"],
        ["10", "10"],
      ])
    }).pipe(
      provide({
        quirks: { reformattedValues: true },
        data: {
          customTypes: (["float", "integer", "boolean", "datetime", "string"] as const).map((type) =>
            typeOf(type, type),
          ),
        },
      }),
    ),
  )
})
