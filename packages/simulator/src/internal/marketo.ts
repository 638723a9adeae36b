/**
 * The simulated Marketo. A call is decided as a whole at the instant it arrives; the transports only let the time go by that
 * it takes, and send the answer.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { Fault } from "../Fault.js"
import type { Options } from "../Options.js"
import type { Call, NewActivity, StoredActivity } from "../Simulator.js"
import { AccessTokens } from "./accessTokens.js"
import { ActivityLog } from "./activityLog.js"
import { customRoutes, inputOf } from "./customEndpoints.js"
import { CustomTypes } from "./customTypes.js"
import { FaultScript, replacementOf } from "./faultScript.js"
import { type Answer, maxBodyBytes, maxTargetBytes, type Request } from "./http.js"
import { identity } from "./identity.js"
import { gatewayPage, type Outcome, refusal } from "./outcome.js"
import { makePagingTokens, type PagingTokens } from "./pagingToken.js"
import { hash } from "./random.js"
import { readRoutes } from "./readEndpoints.js"
import { render } from "./render.js"
import type { Route } from "./route.js"
import { makeSettings, type Settings } from "./settings.js"
import { Usage } from "./usage.js"

const identityPath = "/identity/oauth/token"
const routes = new Map([...readRoutes, ...customRoutes])
const typePath = /^(\/rest\/v1\/activities\/external\/type\/)([^/]+?)((?:\/.+)?\.json)$/

/** Names of types are letters and digits: nothing to decode. */
const findRoute = (path: string): { readonly route: Route | undefined; readonly apiName: string } => {
  const [, prefix = "", apiName = "", suffix = ""] = typePath.exec(path) ?? []
  return { route: routes.get(path) ?? routes.get(`${prefix}{apiName}${suffix}`), apiName }
}

type Draft = { -readonly [K in keyof Call]: Call[K] }

/** A call on its way to an outcome. */
interface Arrival {
  readonly request: Request
  readonly route: Route | undefined
  readonly apiName: string
  readonly params: URLSearchParams
  readonly body: unknown
  readonly fault: Fault | undefined
  readonly call: Draft
}

export class Marketo {
  readonly settings: Settings
  readonly log: ActivityLog
  readonly usage: Usage
  readonly #customTypes: CustomTypes
  readonly calls: Array<Call> = []
  readonly #accessTokens: AccessTokens
  readonly #pagingTokens: PagingTokens
  readonly #faults: FaultScript
  #arrived = 0

  constructor(options: Options, defaults: { readonly gzip: boolean }) {
    this.settings = makeSettings(options, defaults)
    this.log = new ActivityLog(this.settings)
    this.usage = new Usage(this.settings)
    this.#customTypes = new CustomTypes(this.settings)
    this.#accessTokens = new AccessTokens(this.settings)
    this.#pagingTokens = makePagingTokens(this.settings.munchkinId, this.settings.seed)
    this.#faults = new FaultScript(this.settings.faults)
  }

  fault(fault: Fault): void {
    this.#faults.append(fault)
  }

  expireTokens(now: number): void {
    this.#accessTokens.expireIn(0, now)
  }

  add(activities: ReadonlyArray<NewActivity>, now: number): ReadonlyArray<StoredActivity> {
    this.log.reveal(now)
    return activities.map((activity) => this.log.add(activity, now))
  }

  answer(request: Request, now: number): Answer {
    const [path = "", query = ""] = request.target.split("?", 2)
    if (path.startsWith("/_simulator/")) return this.#inspect(path)
    this.log.reveal(now)
    const { apiName, route } = findRoute(path)
    const endpoint = path === identityPath ? "identity" : (route?.endpoint ?? "unknown")
    const number = endpoint === "identity" ? undefined : ++this.#arrived
    const fault = this.#faults.take({ number, endpoint, method: request.method })
    const params = parameters(request, query)
    const body = route?.takesJson === true ? parseJson(request.body) : undefined
    const call: Draft = {
      number,
      at: now,
      endpoint,
      method: request.method,
      path,
      query: withoutSecrets(params),
      status: undefined,
      code: undefined,
      fault: fault?.fault,
      records: endpoint === "addCustomActivities" ? (inputOf(body)?.length ?? 0) : 0,
      executed: false,
    }
    this.calls.push(call)
    if (fault?.fault === "expiredToken") this.expireTokens(now)
    if (fault?.fault === "lateActivities") this.add(fault.activities, now)

    if (number !== undefined) this.usage.arrive()
    const outcome = this.#outcome({ request, route, apiName, params, body, fault, call })
    call.code = outcome._tag === "Refusal" ? String(outcome.errors[0]?.code) : undefined
    if (number !== undefined && (call.executed || outcome._tag === "Refusal")) this.usage.count(now, call.code)
    const requestId = `${(hash(this.settings.seed, number ?? 0) & 0xfffff).toString(16)}#${now.toString(16)}`
    const zip = this.settings.gzip && /\bgzip\b/.test(request.headers["accept-encoding"] ?? "")
    const sent = render(outcome, { requestId, emptyResult: this.settings.quirks.emptyResult, zip, fault })
    call.status = sent.cut === undefined ? sent.status : undefined
    return {
      ...sent,
      delayMillis: this.settings.latencyMillis + Duration.toMillis(fault?.delay ?? 0),
      done: () => {
        if (number !== undefined) this.usage.leave()
      },
    }
  }

  /** The addresses that show what is stored and what was called; they are not Marketo's, and nothing counts them. */
  #inspect(path: string): Answer {
    const lines =
      path === "/_simulator/activities"
        ? this.#activityLines()
        : path === "/_simulator/calls"
          ? callLines(this.calls)
          : undefined
    return {
      status: lines === undefined ? 404 : 200,
      headers: { "content-type": "application/x-ndjson" },
      body: lines ?? new Uint8Array(),
      delayMillis: 0,
      done: () => {},
    }
  }

  *#activityLines(): Iterable<Uint8Array> {
    const step = 256
    for (let first = 0; first < this.log.storedLength; first += step) {
      const entries = Array.from({ length: Math.min(step, this.log.storedLength - first) }, (_, i) => first + i)
      // only added text can hold line ends, and only between its members, where a space is as good
      yield Buffer.from(entries.map((entry) => `${this.log.text(entry).replace(/[\r\n]+/g, " ")}\n`).join(""))
    }
  }

  #outcome(arrival: Arrival): Outcome {
    const { call, fault } = arrival
    const replacement = fault === undefined ? undefined : replacementOf(fault)
    if (replacement !== undefined && !replacement.executed) return replacement.outcome
    const outcome = this.#execute(arrival)
    call.executed = outcome._tag === "Success" || (outcome._tag === "Plain" && outcome.status === 200)
    if (outcome._tag === "Success" && outcome.elements !== undefined) call.records = outcome.elements.length
    return replacement?.outcome ?? outcome
  }

  #execute({ apiName, body, call, fault, params, request, route }: Arrival): Outcome {
    const { method } = request
    const now = call.at
    if (Buffer.byteLength(request.target) > maxTargetBytes) return gatewayPage(414)
    if (request.body.length > maxBodyBytes) return gatewayPage(413)
    if (call.endpoint === "identity") return identity(this.settings, this.#accessTokens, method, params, fault, now)
    if (route === undefined) return refusal("610")
    const asGet = method === "POST" && params.get("_method") === "GET"
    if ((asGet ? "GET" : method) !== route.method) return refusal("605", `Request method '${method}' not supported`)
    if ((asGet && !hasType(request, formType)) || (route.takesJson && !hasType(request, jsonType)))
      return refusal("612")
    const unauthorized = this.#accessTokens.refusal(this.#accessToken(request, params, now), now)
    if (unauthorized !== undefined) return refusal(unauthorized)
    const limited = this.usage.refusal(now)
    if (limited !== undefined) return refusal(limited, limitMessage(this.settings, limited))
    if (route.takesJson && body === undefined) return refusal("609")
    return Either.merge(
      route.handle({
        settings: this.settings,
        log: this.log,
        customTypes: this.#customTypes,
        usage: this.usage,
        pagingTokens: this.#pagingTokens,
        apiName,
        params,
        body,
        fault,
        now,
      }),
    )
  }

  #accessToken(request: Request, params: URLSearchParams, now: number): string | undefined {
    const header = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1]
    return (
      header ??
      (now < this.settings.quirks.queryTokenUntilMillis ? (params.get("access_token") ?? undefined) : undefined)
    )
  }
}

function* callLines(calls: ReadonlyArray<Call>): Iterable<Uint8Array> {
  for (const call of calls) yield Buffer.from(`${JSON.stringify(call)}\n`)
}

const formType = "application/x-www-form-urlencoded"
const jsonType = "application/json"

const hasType = (request: Request, type: string): boolean => (request.headers["content-type"] ?? "").startsWith(type)

/** Undefined, which no JSON is, for anything else. */
const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

/** Those of the query, and those of the form that stands for a query too long for the URL. */
const parameters = (request: Request, query: string): URLSearchParams => {
  const params = new URLSearchParams(query)
  if (request.method === "POST" && params.get("_method") === "GET" && hasType(request, formType)) {
    for (const [name, value] of new URLSearchParams(Buffer.from(request.body).toString())) params.append(name, value)
  }
  return params
}

const secret: ReadonlySet<string> = new Set(["client_secret", "access_token"])

const withoutSecrets = (params: URLSearchParams): Call["query"] => {
  const query: Record<string, string> = {}
  for (const [name, value] of params) {
    if (!secret.has(name)) query[name] = name in query ? `${query[name]},${value}` : value
  }
  return query
}

const limitMessage = ({ limits }: Settings, code: "606" | "607" | "615"): string | undefined =>
  code === "606"
    ? `Max rate limit '${limits.calls}' exceeded with in '${limits.windowMillis / 1_000}' secs`
    : code === "615"
      ? `Concurrent access limit '${limits.concurrent}' reached`
      : undefined
