/** What Marketo's framework lets pass: other clients send all of it. */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { accessToken, activitiesPath, codeOf, type Envelope, get, post, since, tenTypes } from "./reader.js"

const describePath = "/rest/v1/activities/external/type/acmeRentKayak/describe.json"

const form = (path: string, params: Record<string, string>, token?: string) =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.bodyUrlParams(HttpClientRequest.post(`${url}${path}`), params)
    return yield* client.execute(token === undefined ? request : HttpClientRequest.bearerToken(request, token))
  })

describe("parameters", () => {
  it.effect("draft is true by several words, in any case; an empty one is left out, others are refused", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const code = (draft: string) => Effect.map(get(token, describePath, { draft }), codeOf)
      yield* post(token, describePath.replace("/describe", ""), { description: "new" })
      yield* post(token, describePath.replace("describe", "approve"))
      for (const word of ["true", "True", "TRUE", "on", "yes", "1"]) assert.strictEqual(yield* code(word), "1013", word)
      for (const word of ["false", "False", "off", "no", "0", ""]) assert.isUndefined(yield* code(word), word)
      assert.strictEqual(yield* code("maybe"), "1001")
    }).pipe(Effect.provide(Simulator.layer())),
  )

  it.effect("empty filters are left out, spaces and signs around numbers are no error", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, "2026-01-01T00:00:00Z")
      const page = (params: Record<string, string>) =>
        Effect.map(get(token, activitiesPath, { activityTypeIds: tenTypes, nextPageToken, ...params }), (body) => [
          codeOf(body),
          body.result?.length,
        ])
      const whole = yield* page({})
      assert.deepStrictEqual(yield* page({ listId: "", batchSize: "", leadIds: "", assetIds: "" }), whole)
      assert.deepStrictEqual(yield* page({ batchSize: " +20 " }), [undefined, 20])
      assert.deepStrictEqual(yield* page({ batchSize: "many" }), ["1001", undefined])
    }).pipe(Effect.provide(Simulator.layer())),
  )

  it.effect("_method=GET may stand inside the form", () =>
    Effect.gen(function* () {
      const token = yield* accessToken
      const nextPageToken = yield* since(token, "2026-01-01T00:00:00Z")
      const params = { activityTypeIds: tenTypes, nextPageToken }
      const wanted = yield* get(token, activitiesPath, params)
      for (const _method of ["GET", "get"]) {
        const response = yield* form(activitiesPath, { _method, ...params }, token)
        assert.deepStrictEqual(((yield* response.json) as Envelope).result, wanted.result)
      }
      const plain = (yield* (yield* form(activitiesPath, params, token)).json) as Envelope
      assert.strictEqual(codeOf(plain), "605")
    }).pipe(Effect.provide(Simulator.layer())),
  )

  it.effect("identity takes credentials in a form", () =>
    Effect.gen(function* () {
      const { calls, clientId, clientSecret } = yield* Simulator.Simulator
      const grant = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret }
      const response = yield* form("/identity/oauth/token", grant)
      assert.strictEqual(response.status, 200)
      assert.strictEqual(((yield* response.json) as Record<string, unknown>).access_token, yield* accessToken)
      assert.notInclude(JSON.stringify(yield* calls), clientSecret)
    }).pipe(Effect.provide(Simulator.layer())),
  )
})
