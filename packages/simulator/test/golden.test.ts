/** The answers that Adobe documents, written by hand from its pages, against those of the simulator. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect, TestClock } from "effect"
import { accessToken, post, since, text } from "./reader.js"

interface Step {
  readonly get?: string
  readonly post?: string
  readonly body?: unknown
  readonly answer: unknown
}

const steps = (name: string): ReadonlyArray<Step> =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8"))

/** Runs the steps one after the other, and compares everything but what differs between any two calls. */
const play = (name: string) =>
  Effect.gen(function* () {
    const token = yield* accessToken
    const nextPageToken = yield* since(token, "2014-01-01T00:00:00Z")
    for (const step of steps(name)) {
      const path = (step.get ?? step.post ?? "").replace("{nextPageToken}", encodeURIComponent(nextPageToken))
      const body = step.post === undefined ? JSON.parse(yield* text(token, path)) : yield* post(token, path, step.body)
      const { nextPageToken: _, requestId, ...answer } = body
      assert.match(requestId, /^[0-9a-f]+#[0-9a-f]+$/)
      assert.deepStrictEqual(answer, step.answer, path)
    }
  })

const instant = TestClock.setTime(new Date("2016-02-03T22:36:23Z").getTime())

describe("documented answers", () => {
  it.effect("creating, changing and listing custom activity types", () =>
    Effect.zipRight(instant, play("customActivityTypes")).pipe(
      Effect.provide(Simulator.layer({ data: { customTypes: [] } })),
    ),
  )

  it.effect("adding custom activities, two of three leads being there", () =>
    Effect.zipRight(instant, play("addCustomActivities")).pipe(
      Effect.provide(
        Simulator.layer({
          data: {
            activities: 0,
            leads: [{ id: 1001 }, { id: 1200 }],
            customTypes: [
              {
                id: 1001,
                apiName: "playGame",
                name: "Play Game",
                primaryAttribute: { apiName: "game", name: "Game", dataType: "string" },
                attributes: [{ apiName: "uRL", name: "URL", dataType: "link" }],
              },
            ],
          },
        }),
      ),
    ),
  )

  it.effect("lead changes, leads, usage, and the texts of errors", () =>
    Effect.gen(function* () {
      const { add } = yield* Simulator.Simulator
      yield* instant
      yield* add([
        {
          id: 1078,
          activityTypeId: 13,
          activityDate: "2014-09-17T22:31:49+0000",
          fields: [{ id: 48, name: "firstName", newValue: "FirstName_6176", oldValue: "FirstName_4914" }],
          members: {
            attributes: [
              { name: "New Value", value: "FirstName_6176" },
              { name: "Old Value", value: "FirstName_4914" },
              { name: "Reason", value: "Web service API" },
              { name: "Source", value: "Web service API" },
              { name: "Lead ID", value: 775 },
            ],
          },
        },
      ])
      yield* play("reading")
    }).pipe(
      Effect.provide(
        Simulator.layer({
          clients: [{ clientId: "extract", user: "extract@example.com" }],
          data: {
            activities: 0,
            leads: [
              {
                id: 775,
                firstName: "John",
                lastName: "Doe",
                email: "jdoe@example.com",
                createdAt: "2015-05-02T00:47:30Z",
                updatedAt: "2015-05-07T19:47:30Z",
              },
            ],
            leadFields: [
              { id: 48, name: "firstName", displayName: "First Name" },
              { name: "lastName" },
              { name: "department", dataType: "text", readOnly: true },
            ],
          },
        }),
      ),
    ),
  )
})
