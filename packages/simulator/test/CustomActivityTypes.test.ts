import { assert, describe, it } from "@effect/vitest"
import { type Data, Simulator } from "@effect-marketo/simulator"
import { Cause, Effect, FastCheck, TestClock } from "effect"
import { accessToken, codeOf, type Envelope, get, post } from "./reader.js"

const external = "/rest/v1/activities/external"
const provide = (options?: Simulator.Options) => Effect.provide(Simulator.layer(options))

const write = (path: string, body?: unknown) =>
  Effect.flatMap(accessToken, (token) => post(token, `${external}/${path}`, body))
const create = (type: unknown) => write("type.json", type)
const change = (apiName: string, operation: string, body?: unknown) => write(`type/${apiName}/${operation}.json`, body)
const update = (apiName: string, body: unknown) => write(`type/${apiName}.json`, body)
const describeType = (apiName: string, version: "live" | "draft" = "live") =>
  Effect.flatMap(accessToken, (token) =>
    get(token, `${external}/type/${apiName}/describe.json`, version === "draft" ? { draft: "true" } : {}),
  )
const list = Effect.flatMap(accessToken, (token) => get(token, `${external}/types.json`))
const declared = Effect.gen(function* () {
  const { result } = yield* get(yield* accessToken, "/rest/v1/activities/types.json")
  return result?.filter(({ id }) => Number(id) >= 100_000)
})

const add = (body: unknown) => Effect.flatMap(accessToken, (token) => post(token, `${external}.json`, body))

const only = ({ result }: Envelope) => {
  assert.strictEqual(result?.length, 1)
  return result?.[0] ?? {}
}

const sail = {
  apiName: "sailBoat",
  name: "Sail Boat",
  triggerName: "Sails Boat",
  filterName: "Sailed Boat",
  primaryAttribute: { apiName: "boat", name: "Boat" },
}
const attribute = (apiName: string) => ({ apiName, name: `The ${apiName}`, dataType: "float" })
const many = (count: number) => Array.from({ length: count }, (_, i) => attribute(`attribute${i}`))

describe("the life cycle", () => {
  const draft = {
    ...sail,
    status: "draft",
    primaryAttribute: { apiName: "boat", name: "Boat", dataType: "string" },
  }

  it.effect("from a draft to an approved type, whose draft is its own until it is approved", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(new Date("2026-03-04T05:06:07Z").getTime())
      assert.deepStrictEqual(only(yield* create(sail)), draft)
      const whole = { id: 100_001, ...draft, createdAt: "2026-03-04T05:06:07Z", updatedAt: "2026-03-04T05:06:07Z" }
      assert.deepStrictEqual(only(yield* describeType("sailBoat", "draft")), whole)
      assert.strictEqual(codeOf(yield* describeType("sailBoat")), "1013")
      assert.deepStrictEqual(yield* declared, [])

      yield* TestClock.adjust("1 hour")
      const approved = { ...whole, updatedAt: "2026-03-04T06:06:07Z", status: "approved" }
      assert.deepStrictEqual(only(yield* change("sailBoat", "approve")), approved)
      assert.deepStrictEqual(only(yield* describeType("sailBoat")), approved)
      assert.strictEqual(codeOf(yield* describeType("sailBoat", "draft")), "1013")
      const { primaryAttribute } = draft
      const declaration = { id: 100_001, apiName: "sailBoat", name: "Sail Boat", primaryAttribute }
      assert.deepStrictEqual(yield* declared, [declaration])

      const wind = { apiName: "wind", name: "Wind", dataType: "integer", description: "Beaufort" }
      const withWind = only(yield* change("sailBoat", "attributes/create", { attributes: [wind] }))
      assert.deepStrictEqual(withWind, { ...approved, status: "approved with draft", attributes: [wind] })
      const renamed = only(yield* update("sailBoat", { name: "Sail a Boat", description: "On the lake" }))
      assert.deepInclude(renamed, { name: "Sail a Boat", description: "On the lake", status: "approved with draft" })
      assert.deepInclude(only(yield* describeType("sailBoat")), { name: "Sail Boat" })
      assert.notProperty(only(yield* describeType("sailBoat")), "attributes")
      assert.deepInclude(only(yield* describeType("sailBoat", "draft")), { name: "Sail a Boat", attributes: [wind] })
      assert.deepInclude(only(yield* list), { name: "Sail Boat", status: "approved with draft" })
      assert.deepStrictEqual(yield* declared, [declaration])

      yield* change("sailBoat", "approve")
      assert.deepStrictEqual(yield* declared, [
        { ...declaration, name: "Sail a Boat", description: "On the lake", attributes: [wind] },
      ])
      yield* change("sailBoat", "attributes/delete", { attributes: [{ apiName: "wind" }] })
      assert.notProperty(only(yield* describeType("sailBoat", "draft")), "attributes")
      assert.deepInclude(only(yield* change("sailBoat", "discardDraft")), { attributes: [wind], status: "approved" })
      assert.deepInclude(only(yield* change("sailBoat", "delete")), { id: 100_001, status: "deleted" })
      assert.deepStrictEqual((yield* list).result, [])
      assert.deepStrictEqual(yield* declared, [])
    }).pipe(provide({ data: { customTypes: [] } })),
  )

  const operations = {
    update: update("sample", { description: "new" }),
    createAttributes: change("sample", "attributes/create", { attributes: [attribute("more")] }),
    updateAttributes: change("sample", "attributes/update", { attributes: [{ apiName: "old", name: "Older" }] }),
    deleteAttributes: change("sample", "attributes/delete", { attributes: [{ apiName: "old" }] }),
    approve: change("sample", "approve"),
    discardDraft: change("sample", "discardDraft"),
    delete: change("sample", "delete"),
  }
  type Status = NonNullable<Data.CustomType["status"]>
  const edited = (status: Status) => ({
    update: status,
    createAttributes: status,
    updateAttributes: status,
    deleteAttributes: status,
    delete: "deleted",
  })
  const table: Readonly<Record<Status, Readonly<Record<keyof typeof operations, string>>>> = {
    draft: { ...edited("draft"), approve: "approved", discardDraft: "709" },
    approved: { ...edited("approved with draft"), approve: "709", discardDraft: "709" },
    "approved with draft": { ...edited("approved with draft"), approve: "approved", discardDraft: "approved" },
    deleted: {
      update: "1013",
      createAttributes: "1013",
      updateAttributes: "1013",
      deleteAttributes: "1013",
      approve: "1013",
      discardDraft: "1013",
      delete: "1013",
    },
  }
  for (const [status, row] of Object.entries(table)) {
    it.effect(`what leads where from ${status}`, () =>
      Effect.gen(function* () {
        const customTypes = [
          {
            apiName: "sample",
            name: "Sample",
            primaryAttribute: { apiName: "main", name: "Main", dataType: "string" },
            attributes: [{ apiName: "old", name: "Old", dataType: "string" }],
            status: status as Status,
          },
        ] as const
        const ends = yield* Effect.forEach(Object.entries(operations), ([name, operation]) =>
          Effect.map(Effect.provide(operation, Simulator.layer({ data: { customTypes } })), (answer) => [
            name,
            codeOf(answer) ?? only(answer).status,
          ]),
        )
        assert.deepStrictEqual(Object.fromEntries(ends), row)
      }),
    )
  }

  const names = ["one", "two"] as const
  const steps = ["create", "update", "approve", "discardDraft", "delete"] as const
  it.effect.prop(
    "any order of operations on two types ends as a model of versions says",
    [
      FastCheck.array(
        FastCheck.record({ name: FastCheck.constantFrom(...names), step: FastCheck.constantFrom(...steps) }),
        { maxLength: 30 },
      ),
    ],
    ([script]) =>
      Effect.gen(function* () {
        const model = new Map<string, { readonly live?: string | undefined; readonly draft?: string | undefined }>()
        for (const [i, { name, step }] of script.entries()) {
          const version = `version ${i}`
          const type = model.get(name)
          const next =
            step === "create"
              ? type === undefined && { draft: version }
              : type !== undefined &&
                {
                  update: { ...type, draft: version },
                  approve: type.draft !== undefined && { live: type.draft },
                  discardDraft: type.draft !== undefined && type.live !== undefined && { live: type.live },
                  delete: {},
                }[step]
          const words = { ...sail, apiName: name, triggerName: name, filterName: name, description: version }
          const answer =
            step === "create"
              ? yield* create(words)
              : step === "update"
                ? yield* update(name, { description: version })
                : yield* change(name, step)
          assert.strictEqual(answer.success, next !== false, `${step} ${name}`)
          if (step === "delete") model.delete(name)
          else if (next !== false) model.set(name, next)
          for (const name of names) {
            for (const wanted of ["live", "draft"] as const) {
              const { result } = yield* describeType(name, wanted)
              assert.strictEqual(result?.[0]?.description, model.get(name)?.[wanted])
            }
          }
        }
        assert.strictEqual((yield* list).result?.length, model.size)
      }).pipe(provide({ data: { customTypes: [] }, limits: { calls: 1_000 } })),
    { fastCheck: { numRuns: 40 } },
  )
})

describe("rules", () => {
  it.effect("names, members and data types of a new type", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [Record<string, unknown>, string]> = [
        [{ apiName: undefined }, "1002"],
        [{ name: undefined }, "1002"],
        [{ triggerName: "" }, "1002"],
        [{ filterName: undefined }, "1002"],
        [{ primaryAttribute: undefined }, "1002"],
        [{ primaryAttribute: { apiName: "boat" } }, "1002"],
        [{ apiName: "sail-boat" }, "1003"],
        [{ apiName: "12" }, "1003"],
        [{ apiName: "a".repeat(256) }, "1003"],
        [{ name: "Sail & Boat" }, "1003"],
        [{ name: "_ 1" }, "1003"],
        [{ primaryAttribute: { ...sail.primaryAttribute, dataType: "percent" } }, "1003"],
        [{ description: 5 }, "1001"],
        [{ triggerName: ["Sails"] }, "1001"],
      ]
      for (const [members, code] of cases) {
        assert.strictEqual(codeOf(yield* create({ ...sail, ...members })), code, JSON.stringify(members))
      }
      assert.isTrue((yield* create({ ...sail, apiName: "a".repeat(255), name: "Größe_1" })).success)
      assert.strictEqual((yield* list).result?.length, 2)
    }).pipe(provide()),
  )

  it.effect("names that are taken, until their type is deleted", () =>
    Effect.gen(function* () {
      yield* create(sail)
      const other = { ...sail, apiName: "other", triggerName: "Other", filterName: "Other" }
      assert.strictEqual(codeOf(yield* create({ ...other, apiName: "sailBoat" })), "1017")
      assert.strictEqual(codeOf(yield* create({ ...other, triggerName: "Sails Boat" })), "1017")
      assert.strictEqual(codeOf(yield* create({ ...other, filterName: "Sailed Boat" })), "1017")
      yield* create(other)
      assert.strictEqual(codeOf(yield* update("other", { filterName: "Sailed Boat" })), "1017")
      assert.isTrue((yield* update("other", { filterName: "Other" })).success)
      assert.strictEqual(codeOf(yield* update("other", { apiName: "another" })), "709")
      assert.isTrue((yield* update("other", { apiName: "other" })).success)
      yield* change("sailBoat", "delete")
      yield* create(sail)
      assert.strictEqual(only(yield* describeType("sailBoat", "draft")).id, 100_004)
    }).pipe(provide()),
  )

  it.effect("ten types, or as many as the contract says; a deleted one does not count", () => {
    const fill = Effect.gen(function* () {
      const named = (i: number) => ({ ...sail, apiName: `boat${i}`, triggerName: `${i}`, filterName: `${i}` })
      for (let i = 0; ; i++) {
        const code = codeOf(yield* create(named(i)))
        if (code === undefined) continue
        yield* change("boat0", "delete")
        assert.isTrue((yield* create(named(i))).success)
        return { code, types: (yield* list).result?.length }
      }
    })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* fill.pipe(provide()), { code: "1027", types: 10 })
      assert.deepStrictEqual(yield* fill.pipe(provide({ limits: { customTypes: 12 } })), { code: "1027", types: 12 })
    })
  })

  it.effect("twenty secondary attributes; a call that is refused changes nothing", () =>
    Effect.gen(function* () {
      yield* create(sail)
      const createAll = (attributes: ReadonlyArray<unknown>) => change("sailBoat", "attributes/create", { attributes })
      assert.strictEqual(codeOf(yield* createAll(many(21))), "1028")
      assert.strictEqual(codeOf(yield* createAll([...many(2), attribute("attribute0")])), "1017")
      assert.strictEqual(codeOf(yield* createAll([...many(2), attribute("boat")])), "1017")
      assert.strictEqual(codeOf(yield* createAll([...many(2), { apiName: "x", name: "X" }])), "1002")
      assert.strictEqual(codeOf(yield* createAll([])), "1002")
      assert.notProperty(only(yield* describeType("sailBoat", "draft")), "attributes")
      assert.isTrue((yield* createAll(many(20))).success)
      assert.strictEqual(codeOf(yield* createAll([attribute("one")])), "1028")
      assert.isTrue(
        (yield* change("sailBoat", "attributes/delete", { attributes: [{ apiName: "attribute7" }] })).success,
      )
      assert.isTrue((yield* createAll([attribute("one")])).success)
    }).pipe(provide()),
  )

  it.effect("one primary attribute: the old one is demoted first, and none can be approved without", () =>
    Effect.gen(function* () {
      yield* create(sail)
      yield* change("sailBoat", "attributes/create", { attributes: [attribute("wind")] })
      const set = (...primary: ReadonlyArray<readonly [apiName: string, isPrimary: unknown]>) =>
        change("sailBoat", "attributes/update", {
          attributes: primary.map(([apiName, isPrimary]) => ({ apiName, isPrimary })),
        })
      assert.strictEqual(codeOf(yield* set(["wind", true])), "709")
      assert.strictEqual(codeOf(yield* set(["wind", true], ["boat", false])), "709")
      assert.strictEqual(codeOf(yield* set(["wind", "yes"])), "1001")
      assert.strictEqual(codeOf(yield* set(["sail", true])), "1006")
      const first = { apiName: "first", name: "First" }
      assert.strictEqual(codeOf(yield* update("sailBoat", { primaryAttribute: first })), "709")
      assert.strictEqual(
        codeOf(yield* change("sailBoat", "attributes/delete", { attributes: [{ apiName: "boat" }] })),
        "709",
      )
      assert.notProperty(only(yield* set(["boat", false])), "primaryAttribute")
      assert.strictEqual(codeOf(yield* change("sailBoat", "approve")), "709")
      assert.deepInclude(only(yield* set(["wind", true])), {
        primaryAttribute: attribute("wind"),
        attributes: [{ apiName: "boat", name: "Boat", dataType: "string" }],
      })
      assert.isTrue((yield* set(["wind", false], ["boat", true])).success)
      const renamed = { apiName: "boat", name: "Vessel", dataType: "text" }
      assert.deepInclude(only(yield* update("sailBoat", { primaryAttribute: renamed })), { primaryAttribute: renamed })
      assert.isTrue((yield* change("sailBoat", "approve")).success)
    }).pipe(provide()),
  )

  it.effect(
    "names, description and primary attribute of a type with activities stay; its secondary attributes need not",
    () =>
      Effect.gen(function* () {
        const { activities } = yield* Simulator.Simulator
        const rental = {
          leadId: 100_000,
          activityDate: "2026-03-04",
          activityTypeId: 100_001,
          primaryAttributeValue: "x",
        }
        const rent = (...attributes: ReadonlyArray<unknown>) => add({ input: [{ ...rental, attributes }] })
        yield* rent({ apiName: "bookingNumber", value: "B-1" })
        const type = "acmeRentKayak"
        assert.strictEqual(codeOf(yield* update(type, { triggerName: "Borrows Kayak" })), "709")
        assert.strictEqual(codeOf(yield* update(type, { description: "Other words" })), "709")
        const demoted = { attributes: [{ apiName: "kayakModel", isPrimary: false }] }
        assert.strictEqual(codeOf(yield* change(type, "attributes/update", demoted)), "709")
        const renamed = { attributes: [{ apiName: "bookingNumber", name: "Reference" }] }
        assert.isTrue((yield* change(type, "attributes/update", renamed)).success)
        yield* rent({ name: "Booking Number", value: "B-2" })
        yield* change(type, "approve")
        assert.strictEqual((yield* rent({ name: "Booking Number", value: "B-3" })).result?.[0]?.status, "skipped")
        yield* rent({ name: "Reference", value: "B-4" })
        assert.deepStrictEqual(
          (yield* activities).slice(-3).map((activity) => JSON.parse(activity.text).attributes[0].name),
          ["Booking Number", "Booking Number", "Reference"],
        )
      }).pipe(provide()),
  )

  it.effect("a refusal may be a skipped record, and codes that Marketo does not document are the test's choice", () =>
    Effect.gen(function* () {
      const skipped = (code: string, answer: Envelope) =>
        assert.deepInclude(only(answer), { status: "skipped", reasons: [{ code, message: reasonOf(answer) }] })
      const reasonOf = (answer: Envelope) =>
        (only(answer).reasons as ReadonlyArray<{ readonly message: string }>)[0]?.message ?? ""
      skipped("1", yield* create({ ...sail, name: undefined }))
      skipped("2", yield* create({ ...sail, apiName: "?" }))
      skipped("3", yield* create({ ...sail, apiName: "acmeRentKayak" }))
      skipped("4", yield* change("acmeRentKayak", "approve"))
      skipped("5", yield* change("nobody", "approve"))
      skipped("1027", yield* create(sail))
      assert.strictEqual(codeOf(yield* describeType("nobody")), "5")
    }).pipe(
      provide({
        quirks: {
          recordErrors: "reasons",
          customTypeErrors: "record",
          codes: { missing: "1", invalid: "2", exists: "3", rule: "4", notFound: "5" },
        },
        limits: { customTypes: 1 },
      }),
    ),
  )

  it.effect("an option with a type that Marketo would not take dies with its name", () =>
    Effect.gen(function* () {
      const build = (...customTypes: ReadonlyArray<Data.CustomType>) =>
        Effect.map(Effect.flip(Effect.sandbox(Effect.void.pipe(provide({ data: { customTypes } })))), Cause.pretty)
      const type: Data.CustomType = {
        apiName: "sailBoat",
        name: "Sail Boat",
        primaryAttribute: { apiName: "boat", name: "Boat", dataType: "string" },
      }
      assert.include(yield* build({ ...type, name: "!" }), `Invalid value '!' for 'name' (type "sailBoat")`)
      assert.include(yield* build(type, type), "already exists")
    }),
  )
})
