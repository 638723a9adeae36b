/**
 * One simulated instance of Marketo. A call is decided as a whole at the instant it arrives; the transports only let
 * the time go by that it takes, and send the answer.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { Call } from "../../Call.js"
import type { CustomType, Lead, NewActivity, StoredActivity } from "../../Data.js"
import type { Fault } from "../../Fault.js"
import type { Options } from "../../Options.js"
import { CustomTypes } from "../customActivities/customTypes.js"
import { toDescribed } from "../customActivities/customTypeWire.js"
import { ActivityLog } from "../data/activityLog.js"
import { Leads } from "../data/leads.js"
import { hash } from "../data/random.js"
import { activityRoutes } from "../endpoints/activities.js"
import { customRoutes, inputOf } from "../endpoints/customActivities.js"
import { identity } from "../endpoints/identity.js"
import { leadRoutes } from "../endpoints/leads.js"
import { gatewayPage, type Outcome, refusal } from "../endpoints/outcome.js"
import { makePagingTokens, type PagingTokens } from "../endpoints/pagingToken.js"
import type { Route } from "../endpoints/route.js"
import { usageRoutes } from "../endpoints/usage.js"
import { FaultScript, replacementOf } from "../faults/script.js"
import { makeSettings, type Settings } from "../settings.js"
import { AccessTokens } from "./accessTokens.js"
import { type Answer, type Incoming, maxBodyBytes, maxTargetBytes } from "./http.js"
import { render } from "./render.js"
import { isPermitted, timeLimit } from "./rules.js"
import { Usage } from "./usage.js"

const identityPath = "/identity/oauth/token"
const routes = new Map([...activityRoutes, ...customRoutes, ...leadRoutes, ...usageRoutes])
const typePath = /^(\/rest\/v1\/activities\/external\/type\/)([^/]+?)((?:\/.+)?\.json)$/

/** Names of types are letters and digits: nothing to decode. */
const findRoute = (path: string): { readonly route: Route | undefined; readonly apiName: string } => {
  const [, prefix = "", apiName = "", suffix = ""] = typePath.exec(path) ?? []
  return { route: routes.get(path) ?? routes.get(`${prefix}{apiName}${suffix}`), apiName }
}

type Draft = { -readonly [K in keyof Call]: Call[K] }

/** A call on its way to an outcome. */
interface Arrival {
  readonly request: Incoming
  readonly route: Route | undefined
  readonly apiName: string
  readonly params: URLSearchParams
  readonly body: unknown
  readonly fault: Fault | undefined
  readonly call: Draft
  /** Who calls, once that is known. */
  user: string | undefined
}

export class Instance {
  readonly settings: Settings
  readonly leads: Leads
  readonly log: ActivityLog
  readonly usage: Usage
  readonly customTypes: CustomTypes
  readonly calls: Array<Call> = []
  readonly #accessTokens: AccessTokens
  readonly #pagingTokens: PagingTokens
  readonly #faults: FaultScript
  #arrived = 0

  constructor(options: Options, defaults: { readonly gzip: boolean }) {
    this.settings = makeSettings(options, defaults)
    const { from, leadFields, leads } = this.settings.data
    this.leads = new Leads(leads, leadFields, from)
    this.log = new ActivityLog(this.settings, this.leads)
    this.usage = new Usage(this.settings)
    this.customTypes = new CustomTypes(this.settings)
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

  addLeads(leads: ReadonlyArray<Lead>): void {
    for (const lead of leads) this.leads.add(lead)
  }

  /** Throws at the first that breaks a rule; those before it exist then. */
  addCustomTypes(types: ReadonlyArray<CustomType>, now: number): ReadonlyArray<unknown> {
    return types.map((type) =>
      Either.match(this.customTypes.add(type, now), {
        onLeft: (problem) => {
          throw new RangeError(problem)
        },
        onRight: (added) => toDescribed(added),
      }),
    )
  }

  add(activities: ReadonlyArray<NewActivity>, now: number): ReadonlyArray<StoredActivity> {
    this.log.reveal(now)
    return activities.map((activity) => this.log.add(activity, now))
  }

  /** The answer to a call of Marketo's own addresses. */
  answer(request: Incoming, now: number): Answer {
    const [path = "", query = ""] = request.target.split("?", 2)
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
    const arrival: Arrival = { request, route, apiName, params, body, fault, call, user: undefined }
    const outcome = this.#outcome(arrival)
    call.code = outcome._tag === "Refusal" ? String(outcome.errors[0]?.code) : undefined
    if (number !== undefined && (call.executed || outcome._tag === "Refusal"))
      this.usage.count(now, call.code, arrival.user)
    const requestId = `${(hash(this.settings.seed, number ?? 0) & 0xfffff).toString(16)}#${now.toString(16)}`
    const zip = this.settings.gzip && /\bgzip\b/.test(request.headers["accept-encoding"] ?? "")
    const sent = render(outcome, { requestId, emptyResult: this.settings.quirks.emptyResult, zip, fault })
    call.status = sent.cut === undefined ? sent.status : undefined
    return {
      ...sent,
      delayMillis: Math.min(this.settings.latencyMillis, timeLimit(endpoint)) + Duration.toMillis(fault?.delay ?? 0),
      done: () => {
        if (number !== undefined) this.usage.leave()
      },
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

  #execute(arrival: Arrival): Outcome {
    const { apiName, body, call, fault, params, request, route } = arrival
    const { method } = request
    const now = call.at
    if (Buffer.byteLength(request.target) > maxTargetBytes) return gatewayPage(414)
    if (request.body.length > maxBodyBytes) return gatewayPage(413)
    if (call.endpoint === "identity") return identity(this.settings, this.#accessTokens, method, params, fault, now)
    if (route === undefined) return refusal("610")
    const asGet = standsForGet(method, params)
    if ((asGet ? "GET" : method) !== route.method) return refusal("605", `Request method '${method}' not supported`)
    if (
      (asGet && request.body.length > 0 && !hasType(request, formType)) ||
      (route.takesJson && !hasType(request, jsonType))
    )
      return refusal("612")
    const client = this.#accessTokens.check(this.#accessToken(request, params, now), now)
    if (typeof client === "string") return refusal(client)
    arrival.user = client.user
    if (!isPermitted(route.endpoint, client.permissions)) return refusal("603")
    const limited = this.usage.refusal(now)
    if (limited !== undefined) return refusal(limited, limitMessage(this.settings, limited))
    if (route.takesJson && body === undefined) return refusal("609")
    if (this.settings.latencyMillis > timeLimit(route.endpoint)) return refusal("604")
    return Either.merge(
      route.handle({
        settings: this.settings,
        log: this.log,
        leads: this.leads,
        customTypes: this.customTypes,
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

  #accessToken(request: Incoming, params: URLSearchParams, now: number): string | undefined {
    const header = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1]
    return (
      header ??
      (now < this.settings.quirks.queryTokenUntilMillis ? (params.get("access_token") ?? undefined) : undefined)
    )
  }
}

const formType = "application/x-www-form-urlencoded"
const jsonType = "application/json"

const hasType = (request: Incoming, type: string): boolean =>
  (request.headers["content-type"] ?? "").toLowerCase().startsWith(type)

/** The form that stands for a query too long for the URL. */
const standsForGet = (method: string, params: URLSearchParams): boolean =>
  method === "POST" && params.get("_method")?.toUpperCase() === "GET"

/** Undefined, which no JSON is, for anything else. */
const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

/** Those of the query, and those of a form: Java's servlets do not tell them apart. */
const parameters = (request: Incoming, query: string): URLSearchParams => {
  const params = new URLSearchParams(query)
  if (request.method === "POST" && hasType(request, formType)) {
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
