import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { accessToken, elementTexts, readAll, since, text } from "./reader.js"

const activities = "/rest/v1/activities.json"

describe("pages", () => {
  it.effect("give every stored activity of the asked types once, in order, and with its very text", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const stored = (yield* simulator.activities).filter(({ activityTypeId }) => activityTypeId < 12)
      const start = yield* since(token, "2026-01-01T00:00:00Z")
      const activityTypeIds = "1,2,3,6,7,8,9,10,11"
      const pages = yield* readAll(token, activities, { activityTypeIds }, start)
      assert.deepStrictEqual(
        pages.flatMap((page) => (page.result ?? []).map(({ marketoGUID }) => marketoGUID)),
        stored.map(({ id }) => id),
      )
      const first = yield* text(token, activities, { activityTypeIds, nextPageToken: start })
      assert.deepStrictEqual(
        elementTexts(first),
        stored.slice(0, 300).map((activity) => activity.text),
      )
    }).pipe(Effect.provide(Simulator.layer())),
  )
})
