import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as ApiLimits from "../ApiLimits.js"
import * as ErrorCode from "../ErrorCode.js"
import { MarketoLimited, MarketoRejected, MarketoUnauthorized, MarketoUnavailable } from "../MarketoError.js"
import type { Json } from "./body.js"
import type { Failure } from "./failure.js"
import { malformed } from "./transport.js"

/** Marketo documents codes as text; numbers were seen. They become tags and parts of messages, so nothing else passes. */
const codesOf = (json: Json): ReadonlyArray<string> =>
  (Array.isArray(json.errors) ? json.errors : [])
    .map((error: unknown) => (typeof error === "object" && error !== null && "code" in error ? error.code : undefined))
    .filter((code) => typeof code === "string" || typeof code === "number")
    .map(String)
    .filter((code) => /^[\w.-]{1,32}$/.test(code))

const MAX_MESSAGES = 5
const MAX_LENGTH = 300

/** Whether Marketo's words are repeated, and what must not be among them. */
export interface Wording {
  readonly vendorMessages: "include" | "omit"
  readonly secrets: ReadonlyArray<Redacted.Redacted>
}

const withoutSecrets = (text: string, secrets: Wording["secrets"]): string =>
  secrets.map(Redacted.value).reduce((rest, secret) => rest.replaceAll(secret, "(secret)"), text)

const messageOf = (item: unknown): unknown =>
  typeof item === "object" && item !== null && "message" in item ? item.message : item

/** Marketo's words in `errors` or `warnings`, the latter also as plain text. Secrets go before anything is cut off. */
export const messagesOf = (items: unknown, { secrets, vendorMessages }: Wording): ReadonlyArray<string> =>
  vendorMessages === "omit" || !Array.isArray(items)
    ? []
    : items
        .slice(0, MAX_MESSAGES)
        .map(messageOf)
        .filter((message) => typeof message === "string")
        .map((message) =>
          withoutSecrets(message, secrets)
            .replace(/[\p{C}\s]+/gu, " ")
            .trim(),
        )
        .filter((message) => message !== "")
        .map((message) => (message.length > MAX_LENGTH ? `${message.slice(0, MAX_LENGTH - 1)}…` : message))

/** With several codes the one that asks for most care decides. */
const byCare: ReadonlyArray<ErrorCode.Action> = [
  "Fail",
  "WaitQuota",
  "WaitWindow",
  "Reauthenticate",
  "RetryFew",
  "Retry",
]

const actionOf = (code: string): ErrorCode.Action => ErrorCode.get("Response", code)?.action ?? "Fail"

const care = (code: string) => byCare.indexOf(actionOf(code))

/** Marketo's look like `e42b#14272d07d78`. Anything else is not repeated in errors and logs. */
export const requestIdOf = (json: Json): Option.Option<string> =>
  typeof json.requestId === "string" && /^[\w#.:-]{1,64}$/.test(json.requestId)
    ? Option.some(json.requestId)
    : Option.none()

/** What an answer with `success: false` means. */
export const failureOf = (
  endpoint: string,
  json: Json,
  now: DateTime.Utc,
  limits: ApiLimits.Service,
  wording: Wording,
): Failure => {
  const [first, ...rest] = codesOf(json)
  if (first === undefined) return malformed(endpoint)
  const code = rest.reduce((most, other) => (care(other) < care(most) ? other : most), first)
  const action = actionOf(code)
  const codes = [first, ...rest] as const
  const isKnown = codes.every((c) => ErrorCode.get("Response", c)?.execution === "NotExecuted")
  const execution = isKnown ? "NotExecuted" : "Unknown"
  const common = {
    endpoint,
    requestId: requestIdOf(json),
    messages: messagesOf(json.errors, wording),
  }
  // a tag of metrics, so one of a bounded set
  const cause = ErrorCode.get("Response", code) === undefined ? "other" : code
  const decided = { action, execution, cause } as const
  if (code === "606") {
    const retryAt = DateTime.addDuration(now, limits.window)
    return {
      ...decided,
      pause: limits.window,
      toError: (attempts) => new MarketoLimited({ ...common, attempts, reason: "Rate", retryAt }),
    }
  }
  if (code === "607") {
    const waits = limits.dailyQuota === "wait"
    const retryAt = waits ? ApiLimits.quotaRetry(now) : ApiLimits.quotaReset(now)
    const toError = (attempts: number) => new MarketoLimited({ ...common, attempts, reason: "DailyQuota", retryAt })
    return waits
      ? { ...decided, pause: DateTime.distanceDuration(now, retryAt), toError }
      : { ...decided, action: "Fail", toError }
  }
  if (code === "615") {
    const toError = (attempts: number) =>
      new MarketoLimited({ ...common, attempts, reason: "Concurrency", retryAt: now })
    return { ...decided, toError }
  }
  if (code === "603") {
    return { ...decided, toError: (attempts) => new MarketoUnauthorized({ ...common, attempts, reason: "Permission" }) }
  }
  if (action === "Reauthenticate") {
    const toError = (attempts: number) =>
      new MarketoUnavailable({ ...common, attempts, reason: "TokenRefused", execution, code: Option.some(code) })
    return { ...decided, toError }
  }
  const isRetryable = action !== "Fail"
  return {
    ...decided,
    toError: (attempts) => new MarketoRejected({ ...common, attempts, codes, execution, isRetryable }),
  }
}
