/** The control addresses, which tests in any language can use. */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect, Layer } from "effect"
import { accessToken, activitiesPath, codeOf, get, post, since } from "./reader.js"

const control = (name: string, body: unknown) =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post(`${url}/_simulator/${name}`)
    const response = yield* client.execute(
      typeof body === "string"
        ? HttpClientRequest.bodyText(request, body)
        : HttpClientRequest.bodyUnsafeJson(request, body),
    )
    return { status: response.status, body: (yield* response.json) as unknown }
  })

const type = {
  id: 100_400,
  apiName: "sailBoat",
  name: "Sail Boat",
  primaryAttribute: { apiName: "boat", name: "Boat", dataType: "string" },
}

const over = {
  "in process": Simulator.layer(),
  "over a socket": Layer.merge(Simulator.layerServer(), NodeHttpClient.layerUndici),
}

describe("control addresses", () => {
  for (const [way, layer] of Object.entries(over)) {
    it.live(`${way}: what is added while it runs is there at once, and no look or addition counts as a call`, () =>
      Effect.gen(function* () {
        const { calls } = yield* Simulator.Simulator
        const token = yield* accessToken
        const nextPageToken = yield* since(token, "2030-01-01T00:00:00Z")
        const before = (yield* calls).length
        const lead = yield* control("leads", { id: 7, email: "seven@example.com" })
        assert.deepStrictEqual(lead, { status: 200, body: [{ id: 7, email: "seven@example.com" }] })
        const types = (yield* control("types", [type])).body as ReadonlyArray<object>
        assert.deepInclude(types[0], { id: 100_400, status: "approved" })
        const stored = yield* control("activities", [{ activityDate: "2030-01-02T00:00:00Z", leadId: 7 }])
        yield* control("faults", { fault: "error", code: 608, match: { endpoint: "usage" } })
        assert.strictEqual((yield* calls).length, before)

        const page = yield* get(token, activitiesPath, { activityTypeIds: 1, nextPageToken })
        const [{ text }] = stored.body as [{ readonly text: string }]
        assert.deepStrictEqual(page.result, [JSON.parse(text)])
        const found = yield* get(token, "/rest/v1/leads.json", {
          filterType: "email",
          filterValues: "seven@example.com",
        })
        assert.strictEqual(found.result?.[0]?.id, 7)
        const record = { leadId: 7, activityDate: "2030-01-03T00:00:00Z", activityTypeId: 100_400 }
        const input = [{ ...record, primaryAttributeValue: "Dinghy", attributes: [] }]
        assert.strictEqual(
          (yield* post(token, "/rest/v1/activities/external.json", { input })).result?.[0]?.status,
          "added",
        )
        assert.strictEqual(codeOf(yield* get(token, "/rest/v1/stats/usage.json")), "608")
      }).pipe(Effect.provide(layer)),
    )
  }

  const problems: ReadonlyArray<readonly [name: string, body: unknown, status: number, error: RegExp]> = [
    [
      "activities",
      { activityDat: "2030-01-02" },
      400,
      /"element 1\.activityDat": is unexpected, expected: "id" \| "activityTypeId"/,
    ],
    ["activities", [{}, { activityDate: "soon" }], 400, /"element 2\.activityDate": Expected an ISO 8601 instant/],
    ["leads", { id: "seven" }, 400, /"element 1\.id": Expected/],
    ["types", { ...type, id: 100_001 }, 400, /another activity type has the id 100001 \(type "sailBoat"\)/],
    ["types", { ...type, name: "?" }, 400, /Invalid value '\?' for 'name'/],
    ["faults", [{ fault: "cut" }, { fault: "error" }], 400, /"element 2\.code": is missing/],
    ["faults", "{", 400, /The body is not JSON/],
    [
      "lead",
      {},
      404,
      /There is no POST \/_simulator\/lead; there are: GET \/_simulator\/activities, .*POST \/_simulator\/leads/,
    ],
  ]
  for (const [name, body, status, error] of problems) {
    it.effect(`${status} for ${JSON.stringify(body)} to ${name}, in words that help, and nothing is added`, () =>
      Effect.gen(function* () {
        const { activities } = yield* Simulator.Simulator
        const before = (yield* activities).length
        const answer = yield* control(name, body)
        assert.strictEqual(answer.status, status)
        assert.match((answer.body as { readonly error: string }).error, error)
        assert.strictEqual((yield* activities).length, before)
      }).pipe(Effect.provide(Simulator.layer())),
    )
  }
})
