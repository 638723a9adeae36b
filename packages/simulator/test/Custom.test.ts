import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { accessToken, activitiesPath, elementTexts, post, since, text } from "./reader.js"

const external = "/rest/v1/activities/external"
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

describe("adding", () => {
  it.effect("stores what it can, says what it skips, and the feed serves it", () =>
    Effect.gen(function* () {
      const { activities } = yield* Simulator.Simulator
      const token = yield* accessToken
      const answer = yield* post(token, `${external}.json`, { input: [rental, { ...rental, leadId: 7 }] })
      const [stored] = (yield* activities).slice(-1)
      assert.deepStrictEqual(answer.result, [
        { id: Number(stored?.id), marketoGUID: stored?.id, status: "added" },
        { status: "skipped", errors: [{ code: "1004", message: "Lead not found" }] },
      ])
      const nextPageToken = yield* since(token, "2026-03-04T20:41:32Z")
      const body = yield* text(token, activitiesPath, { activityTypeIds: 100_001, nextPageToken })
      assert.deepStrictEqual(elementTexts(body), [
        `{"id":${stored?.id},"marketoGUID":"${stored?.id}","leadId":100000,"activityDate":"2026-03-04T20:41:32Z","activityTypeId":100001,"primaryAttributeValue":"Sea Touring","attributes":[{"name":"Rental Hours","value":2.5},{"name":"Booking Number","value":"B-1"}]}`,
      ])
    }).pipe(provide()),
  )
})
