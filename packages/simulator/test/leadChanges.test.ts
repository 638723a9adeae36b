/** `leadchanges.json` and `activities.json` are two views on one log. */
import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { accessToken, activitiesPath, type Envelope, get, readAll, since } from "./reader.js"

const path = "/rest/v1/activities/leadchanges.json"
const start = "2026-01-01T00:00:00Z"

interface Element {
  readonly marketoGUID: string
  readonly leadId: number
  readonly activityTypeId: number
  readonly activityDate: string
  readonly primaryAttributeValueId?: number
  readonly primaryAttributeValue?: string
  readonly fields: ReadonlyArray<{ readonly id: number; readonly name: string; readonly [value: string]: unknown }>
  readonly attributes: ReadonlyArray<{ readonly name: string; readonly value: unknown }>
}

const elements = (pages: ReadonlyArray<Envelope>) =>
  pages.flatMap(({ result }) => (result ?? []) as unknown as ReadonlyArray<Element>)

const valueOf = ({ attributes }: Element, name: string) => attributes.find((one) => one.name === name)?.value ?? null

const fieldNames = Effect.gen(function* () {
  const described = yield* get(yield* accessToken, "/rest/v1/leads/describe.json")
  return (described.result ?? []).map(({ rest }) => (rest as { readonly name: string }).name)
})

describe("lead changes", () => {
  it.effect("say of each generated change what activities say of it, and hold no field that was not asked for", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      const changes = elements(yield* readAll(token, path, { fields: (yield* fieldNames).join(",") }, nextPageToken))
      const activities = elements(yield* readAll(token, activitiesPath, { activityTypeIds: "12,13" }, nextPageToken))
      assert.isAbove(changes.length, 300)
      assert.deepStrictEqual(
        changes.map(({ marketoGUID }) => marketoGUID),
        activities.map(({ marketoGUID }) => marketoGUID),
      )
      for (const [i, change] of changes.entries()) {
        const activity = activities[i] as Element
        const { activityDate, activityTypeId, leadId } = activity
        assert.deepInclude(change, { activityDate, activityTypeId, leadId })
        const told = { newValue: valueOf(activity, "New Value"), oldValue: valueOf(activity, "Old Value") }
        if (activityTypeId === 12) assert.deepStrictEqual(change.fields, [])
        else {
          assert.strictEqual(change.fields.length, 1)
          assert.deepInclude(change.fields[0], { id: activity.primaryAttributeValueId ?? 0, ...told })
        }
        assert.strictEqual(valueOf(change, "Source"), valueOf(activity, "Source"))
      }
      const some = elements(yield* readAll(token, path, { fields: "city,leadScore" }, nextPageToken))
      const named = some.flatMap(({ fields }) => fields.map(({ name }) => name))
      assert.deepStrictEqual([...new Set(named)].sort(), ["city", "leadScore"])
    }).pipe(Effect.provide(Simulator.layer({ data: { activities: 4_000 }, limits: { calls: 1_000 } }))),
  )

  it.effect("of an added change of several fields those that are asked for; activities tell the first", () =>
    Effect.gen(function* () {
      const { add } = yield* Simulator.Simulator
      const token = yield* accessToken
      const first = { id: 60, name: "city", newValue: "Köln", oldValue: "Bonn" }
      const second = { id: 62, name: "state", newValue: null, oldValue: "NRW" }
      yield* add([{ activityTypeId: 13, activityDate: "2026-02-01T00:00:00Z", fields: [first, second] }])
      const nextPageToken = yield* since(token, "2026-02-01T00:00:00Z")
      const asked = (fields: string) =>
        Effect.map(get(token, path, { fields, nextPageToken }), (page) => elements([page]).map((one) => one.fields))
      assert.deepStrictEqual(yield* asked("city,state"), [[first, second]])
      assert.deepStrictEqual(yield* asked("state,title"), [[second]])
      assert.deepStrictEqual(yield* asked("title"), [])
      const [activity] = elements([yield* get(token, activitiesPath, { activityTypeIds: 13, nextPageToken })])
      assert.deepInclude(activity, { primaryAttributeValueId: 60, primaryAttributeValue: "City" })
      assert.deepStrictEqual(activity?.attributes, [
        { name: "New Value", value: "Köln" },
        { name: "Old Value", value: "Bonn" },
      ])
    }).pipe(Effect.provide(Simulator.layer({ data: { activities: 0 } }))),
  )

  it.effect("the fields are the test's choice, and generated changes are about them", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, start)
      assert.deepStrictEqual(yield* fieldNames, ["boats", "isCaptain"])
      const changes = elements([yield* get(token, path, { fields: "boats,isCaptain", nextPageToken })])
      const named = new Map(changes.flatMap(({ fields }) => fields.map(({ id, name }) => [name, id])))
      assert.deepStrictEqual([...named], [["boats", 7]])
      for (const { fields } of changes) for (const one of fields) assert.match(String(one.newValue), /^\d+$|null/)
    }).pipe(
      Effect.provide(
        Simulator.layer({
          data: {
            leadFields: [
              { id: 7, name: "boats", displayName: "Number of Boats", dataType: "integer" },
              { name: "isCaptain", dataType: "boolean", readOnly: true },
            ],
          },
        }),
      ),
    ),
  )
})
