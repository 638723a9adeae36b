/** The least of a client: it asks, and hands back what came. */
import { HttpClient, HttpClientRequest, UrlParams } from "@effect/platform"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"

export type Params = Readonly<Record<string, string | number | ReadonlyArray<string>>>

export interface Envelope {
  readonly requestId: string
  readonly success: boolean
  readonly errors?: ReadonlyArray<{ readonly code: unknown; readonly message?: string }>
  readonly warnings?: ReadonlyArray<unknown>
  readonly result?: ReadonlyArray<Readonly<Record<string, unknown>>> | null
  readonly nextPageToken?: string
  readonly moreResult?: boolean
}

export const askIdentity = (secret?: string) =>
  Effect.gen(function* () {
    const { clientId, clientSecret, url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const response = yield* client.get(`${url}/identity/oauth/token`, {
      urlParams: { grant_type: "client_credentials", client_id: clientId, client_secret: secret ?? clientSecret },
    })
    return {
      status: response.status,
      headers: response.headers,
      body: (yield* response.json) as {
        readonly access_token: string
        readonly expires_in: number
        readonly token_type?: string
        readonly error?: string
      },
    }
  })

export const identity = askIdentity()

export const accessToken = Effect.map(identity, ({ body }) => body.access_token)

export const send = (token: string, path: string, params: Params = {}) =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    return yield* HttpClientRequest.get(`${url}${path}`, { urlParams: UrlParams.fromInput(params) }).pipe(
      HttpClientRequest.bearerToken(token),
      client.execute,
    )
  })

/** The text of a 200. */
export const text = (token: string, path: string, params: Params = {}) =>
  Effect.flatMap(send(token, path, params), (response) => response.text)

export const get = (token: string, path: string, params: Params = {}) =>
  Effect.map(text(token, path, params), (body): Envelope => JSON.parse(body))

/** The answer to a body of JSON, or to none. */
export const post = (token: string, path: string, body?: unknown) =>
  Effect.gen(function* () {
    const { url } = yield* Simulator.Simulator
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.bearerToken(HttpClientRequest.post(`${url}${path}`), token)
    const response = yield* client.execute(
      body === undefined ? request : HttpClientRequest.bodyUnsafeJson(request, body),
    )
    return (yield* response.json) as Envelope
  })

export const codeOf = (envelope: Envelope) => envelope.errors?.[0]?.code

export const since = (token: string, sinceDatetime: string) =>
  Effect.map(get(token, "/rest/v1/activities/pagingtoken.json", { sinceDatetime }), (body) => body.nextPageToken ?? "")

/** Pages until `moreResult: false`. */
export const readAll = (token: string, path: string, params: Params, start: string) =>
  Effect.gen(function* () {
    const pages: Array<Envelope> = []
    let nextPageToken = start
    for (;;) {
      const page = yield* get(token, path, { ...params, nextPageToken })
      pages.push(page)
      if (page.moreResult !== true) return pages
      nextPageToken = page.nextPageToken ?? ""
    }
  })

export const activitiesPath = "/rest/v1/activities.json"

/** Ten of the standard types. */
export const tenTypes = "1,2,3,6,7,8,9,10,11,13"

export const typesOf = (activityTypeIds: string) => new Set(activityTypeIds.split(",").map(Number))

/** The elements of `result` as they stand in the body. */
export const elementTexts = (body: string): ReadonlyArray<string> => {
  const texts: Array<string> = []
  const array = body.indexOf('"result":[') + '"result":['.length
  let depth = 0
  let start = array
  let quoted = false
  for (let i = array; i < body.length; i++) {
    const c = body[i]
    if (quoted) {
      if (c === "\\") i++
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === "{" || c === "[") {
      if (depth++ === 0) start = i
    } else if (c === "}" || (c === "]" && depth > 0)) {
      if (--depth === 0) texts.push(body.slice(start, i + 1))
    } else if (c === "]") break
  }
  return texts
}
