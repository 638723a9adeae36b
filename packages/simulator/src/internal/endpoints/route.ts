/** What an endpoint is to the simulated Marketo, and what it is given of a call. */
import type * as Either from "effect/Either"
import type { Endpoint, Fault } from "../../Fault.js"
import type { CustomTypes } from "../customActivities/customTypes.js"
import type { ActivityLog } from "../data/activityLog.js"
import type { Leads } from "../data/leads.js"
import type { Usage } from "../server/usage.js"
import type { Settings } from "../settings.js"
import type { Refusal, Success } from "./outcome.js"
import type { PagingTokens } from "./pagingToken.js"

export interface Request {
  readonly settings: Settings
  readonly log: ActivityLog
  readonly leads: Leads
  readonly customTypes: CustomTypes
  readonly usage: Usage
  readonly pagingTokens: PagingTokens
  /** What stands in the place of `{apiName}` in the path. */
  readonly apiName: string
  readonly params: URLSearchParams
  /** Parsed, on routes that take JSON. */
  readonly body: unknown
  readonly fault: Fault | undefined
  /** Epoch milliseconds. */
  readonly now: number
}

export type Handler = (request: Request) => Either.Either<Success, Refusal>

export interface Route {
  readonly endpoint: Endpoint
  readonly method: "GET" | "POST"
  /** Whether the body must be JSON. */
  readonly takesJson: boolean
  readonly handle: Handler
}

/** By path, with `{apiName}` for the name of a custom activity type. */
export type Routes = ReadonlyMap<string, Route>

export const get = (endpoint: Endpoint, handle: Handler): Route => ({
  endpoint,
  method: "GET",
  takesJson: false,
  handle,
})
