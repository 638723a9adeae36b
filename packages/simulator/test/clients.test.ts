/** Who calls: credentials, permissions, and what is counted for whom. */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { type Options, Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { activitiesPath, codeOf, type Envelope } from "./reader.js"

const provide = (options: Simulator.Options) => Effect.provide(Simulator.layer(options))

const ask = (path: string, token: string, method: "GET" | "POST" = "GET") =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.make(method)(`${url}${path}`).pipe(
      HttpClientRequest.bearerToken(token),
      method === "GET" ? (same) => same : HttpClientRequest.bodyUnsafeJson({}),
    )
    return (yield* (yield* client.execute(request)).json) as Envelope
  })

const identity = (client_id: string, client_secret: string) =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const urlParams = { grant_type: "client_credentials", client_id, client_secret }
    const response = yield* client.get(`${url}/identity/oauth/token`, { urlParams })
    return { status: response.status, body: (yield* response.json) as Record<string, string> }
  })

const types = "/rest/v1/activities/external/type/acmeRentKayak"
const usagePath = "/rest/v1/stats/usage.json"

/** One call for each permission, and one that needs none. */
const calls = {
  read: [activitiesPath, "GET"],
  write: ["/rest/v1/activities/external.json", "POST"],
  describe: [`${types}/describe.json`, "GET"],
  approve: [`${types}/approve.json`, "POST"],
  leads: ["/rest/v1/leads/describe.json", "GET"],
  usage: [usagePath, "GET"],
} as const

describe("clients", () => {
  const may: ReadonlyArray<readonly [Options.Permission | undefined, ReadonlyArray<keyof typeof calls>]> = [
    ["Read-Only Activity", ["read", "usage"]],
    ["Read-Write Activity", ["read", "write", "usage"]],
    ["Read-Only Activity Metadata", ["describe", "usage"]],
    ["Read-Write Activity Metadata", ["describe", "approve", "usage"]],
    ["Read-Only Lead", ["leads", "usage"]],
    [undefined, ["usage"]],
  ]
  for (const [permission, allowed] of may) {
    const permissions = permission === undefined ? [] : [permission]
    it.effect(`603 for all but ${allowed.join(", ")} with ${permission ?? "no permission"}`, () =>
      Effect.gen(function* () {
        const { clientId, clientSecret } = yield* Simulator.Simulator
        const { body } = yield* identity(clientId, clientSecret)
        for (const [name, [path, method]] of Object.entries(calls)) {
          const { errors } = yield* ask(path, body.access_token ?? "", method)
          const denied = errors?.some(({ code, message }) => code === "603" && message === "Access denied") ?? false
          assert.strictEqual(denied, !allowed.includes(name as keyof typeof calls), name)
        }
      }).pipe(provide({ clients: [{ clientId: "limited", permissions }] })),
    )
  }

  const two: Options.Options["clients"] = [
    { clientId: "reader", clientSecret: "one", user: "reader@example.com" },
    { clientId: "writer", clientSecret: "two", user: "writer@example.com" },
  ]

  it.effect("have tokens of their own, and their calls are counted by user", () =>
    Effect.gen(function* () {
      const { expireTokens } = yield* Simulator.Simulator
      const [one, other] = yield* Effect.all([identity("reader", "one"), identity("writer", "two")])
      assert.deepInclude(one.body, { scope: "reader@example.com" })
      assert.notStrictEqual(one.body.access_token, other.body.access_token)
      const asReader = ask(usagePath, one.body.access_token ?? "")
      yield* asReader
      yield* asReader
      const usage = yield* ask(usagePath, other.body.access_token ?? "")
      const users = [{ userId: "reader@example.com", count: 2 }]
      assert.deepInclude(usage.result?.[0], { total: 2, users })
      yield* expireTokens
      assert.strictEqual(codeOf(yield* asReader), "602")
      assert.strictEqual(codeOf(yield* ask(usagePath, other.body.access_token ?? "")), "602")
    }).pipe(provide({ clients: two })),
  )

  it.effect("a wrong secret is invalid_client, an unknown client unauthorized, both HTTP 401; so are the faults", () =>
    Effect.gen(function* () {
      const { fault } = yield* Simulator.Simulator
      const refused = (id: string, secret: string) =>
        Effect.map(identity(id, secret), ({ body, status }) => [status, body.error, body.error_description])
      const badSecret = [401, "invalid_client", "Bad client credentials"]
      assert.deepStrictEqual(yield* refused("reader", "two"), badSecret)
      assert.deepStrictEqual(yield* refused("nobody", "two"), [
        401,
        "unauthorized",
        "No client with requested id: nobody",
      ])
      yield* fault({ fault: "unauthorized" })
      assert.deepStrictEqual(yield* refused("reader", "one"), badSecret)
      yield* fault({ fault: "unauthorized", error: "unauthorized" })
      assert.strictEqual((yield* refused("reader", "one"))[1], "unauthorized")
    }).pipe(provide({ clients: two })),
  )
})
