import * as DateTime from "effect/DateTime"
import * as ApiLimits from "../ApiLimits.js"
import * as ErrorCode from "../ErrorCode.js"
import { Limited, Rejected, Unauthorized } from "../MarketoError.js"
import type { Failure } from "./failure.js"
import { type Json, unavailable } from "./transport.js"

/** Marketo documents codes as text; numbers were seen. */
const codesOf = (json: Json): ReadonlyArray<string> =>
  (Array.isArray(json.errors) ? json.errors : [])
    .map((error: unknown) => (typeof error === "object" && error !== null && "code" in error ? error.code : undefined))
    .filter((code) => typeof code === "string" || typeof code === "number")
    .map(String)

/** With several codes the one that asks for most care decides. */
const byCare: ReadonlyArray<ErrorCode.Action> = [
  "Fail",
  "WaitQuota",
  "WaitWindow",
  "Reauthenticate",
  "RetryFew",
  "Retry",
]

const actionOf = (code: string): ErrorCode.Action => ErrorCode.get(code)?.action ?? "Fail"

const care = (code: string) => byCare.indexOf(actionOf(code))

export const requestIdOf = (json: Json): string | undefined =>
  typeof json.requestId === "string" ? json.requestId : undefined

export const malformed = (endpoint: string): Failure =>
  unavailable(endpoint, "Retry", { reason: "Malformed", execution: "Unknown" })

/** What an answer with `success: false` means. */
export const failureOf = (endpoint: string, json: Json, now: DateTime.Utc, limits: ApiLimits.Service): Failure => {
  const [first, ...rest] = codesOf(json)
  if (first === undefined) return malformed(endpoint)
  const code = rest.reduce((most, other) => (care(other) < care(most) ? other : most), first)
  const action = actionOf(code)
  const common = { endpoint, requestId: requestIdOf(json) }
  switch (code) {
    case "606": {
      const retryAt = DateTime.addDuration(now, limits.window)
      const toError = (attempts: number) => new Limited({ ...common, attempts, reason: "Rate", retryAt })
      return { action, cause: code, retryAt, toError }
    }
    case "607": {
      const retryAt = ApiLimits.quotaReset(now)
      const toError = (attempts: number) => new Limited({ ...common, attempts, reason: "DailyQuota", retryAt })
      return { action: limits.dailyQuota === "wait" ? action : "Fail", cause: code, retryAt, toError }
    }
    case "615": {
      const toError = (attempts: number) => new Limited({ ...common, attempts, reason: "Concurrency", retryAt: now })
      return { action, cause: code, toError }
    }
    case "603": {
      const toError = (attempts: number) => new Unauthorized({ ...common, attempts, reason: "Permission" })
      return { action, cause: code, toError }
    }
  }
  if (action === "Reauthenticate") {
    const toError = (attempts: number) => new Unauthorized({ ...common, attempts, reason: "Token" })
    return { action, cause: code, toError }
  }
  const codes = [first, ...rest] as const
  const isKnown = codes.every((c) => ErrorCode.get(c)?.execution === "NotExecuted")
  const execution = isKnown ? "NotExecuted" : "Unknown"
  const toError = (attempts: number) =>
    new Rejected({ ...common, attempts, codes, execution, isRetryable: action !== "Fail" })
  return { action, cause: code, toError }
}
