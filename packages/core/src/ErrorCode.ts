/**
 * What each code of Marketo means and what this client does about it: one table, used by the client, its tests and the
 * documentation.
 *
 * Source of codes and meanings: Adobe's page "Error codes" of the Marketo Engage REST API. Marketo says that 6xx calls
 * were not executed and 7xx calls were executed and failed; three rows are stricter than that, and say why.
 *
 * @since 0.1.0
 */

/**
 * What the client does:
 *
 * - `Retry`: again after a backoff, up to the endpoint's `retries`
 * - `RetryFew`: again after a backoff, at most twice: the vendor lists it as a catch-all
 * - `Reauthenticate`: once more with a new access token
 * - `WaitWindow`: every caller pauses for one rate window, then again
 * - `WaitQuota`: fail with the instant of the reset, or wait for it, as configured
 * - `Fail`: the same call would be refused again
 *
 * @since 0.1.0
 * @category models
 */
export type Action = "Retry" | "RetryFew" | "Reauthenticate" | "WaitWindow" | "WaitQuota" | "Fail"

/**
 * @since 0.1.0
 * @category models
 */
export interface Row {
  /** As it stands in `errors[].code`, or the status where `level` is `HTTP`. */
  readonly code: string
  readonly level: "HTTP" | "Response"
  readonly meaning: string
  readonly action: Action
  /** Whether Marketo executed the call that ended so. */
  readonly execution: "NotExecuted" | "Unknown"
}

/** Repeats for a code that the vendor lists as a catch-all. */
const FEW = 2

const row = (
  code: string,
  meaning: string,
  action: Action,
  execution: Row["execution"],
  level: Row["level"] = "Response",
): Row => ({ code, level, meaning, action, execution })

/**
 * Every code with a meaning of its own. A code that is not listed is not retried, and its execution is unknown.
 *
 * @since 0.1.0
 * @category models
 */
export const table: ReadonlyArray<Row> = [
  row("401", "client id or client secret refused by the identity service", "Fail", "NotExecuted", "HTTP"),
  row("404", "no such address", "Fail", "NotExecuted", "HTTP"),
  row("413", "request body over 1 MB", "Fail", "NotExecuted", "HTTP"),
  row("414", "address over 8 KB", "Fail", "NotExecuted", "HTTP"),
  row("5xx", "gateway or server trouble, often with an HTML page", "Retry", "Unknown", "HTTP"),
  row("500", "unexpected condition in the server; a malformed address can cause it", "RetryFew", "Unknown"),
  row("502", "bad gateway, probably a time-out", "Retry", "Unknown"),
  row("600", "access token empty", "Reauthenticate", "NotExecuted"),
  row("601", "access token invalid", "Reauthenticate", "NotExecuted"),
  row("602", "access token expired", "Reauthenticate", "NotExecuted"),
  row("603", "access denied: a permission is missing, or the address is not on the allow-list", "Fail", "NotExecuted"),
  // 6xx, but a time-out can strike after the work began
  row("604", "the call took longer than the server allows", "Retry", "Unknown"),
  row("605", "HTTP method not supported", "Fail", "NotExecuted"),
  row("606", "rate limit of the instance exceeded", "WaitWindow", "NotExecuted"),
  row("607", "daily quota of the instance used up", "WaitQuota", "NotExecuted"),
  row("608", "API temporarily unavailable", "Retry", "NotExecuted"),
  row("609", "body is not valid JSON", "Fail", "NotExecuted"),
  row("610", "no such resource", "Fail", "NotExecuted"),
  // 6xx, but the catch-all says nothing about what went before
  row("611", "system error, the catch-all", "RetryFew", "Unknown"),
  row("612", "wrong content type", "Fail", "NotExecuted"),
  row("613", "invalid multipart body", "Fail", "NotExecuted"),
  row("614", "subscription not found or unreachable; usually passes", "Retry", "NotExecuted"),
  row("615", "more calls in flight than the instance allows", "Retry", "NotExecuted"),
  row("616", "the subscription lacks this API", "Fail", "NotExecuted"),
  row("701", "a required field is blank", "Fail", "Unknown"),
  row("702", "no data found", "Fail", "Unknown"),
  row("703", "feature not enabled for this subscription", "Fail", "Unknown"),
  row("704", "invalid date", "Fail", "Unknown"),
  row("709", "against a business rule of the object", "Fail", "Unknown"),
  row("710", "parent folder not found", "Fail", "Unknown"),
  row("711", "wrong folder type", "Fail", "Unknown"),
  row("712", "merge to person account invalid", "Fail", "Unknown"),
  row("713", "a resource was unavailable for a moment", "Retry", "Unknown"),
  row("714", "default record type not found", "Fail", "Unknown"),
  row("718", "external sales person not found", "Fail", "Unknown"),
  // not marked by the vendor; a lock that was waited for too long is free later
  row("719", "waited too long for a lock", "Retry", "Unknown"),
  row("1001", "a value has the wrong type", "Fail", "NotExecuted"),
  row("1002", "a required parameter is missing", "Fail", "NotExecuted"),
  row("1003", "a value is not valid for this endpoint", "Fail", "NotExecuted"),
  row("1004", "lead not found", "Fail", "NotExecuted"),
  row("1006", "field not found", "Fail", "NotExecuted"),
  row("1008", "no access to the lead's partition", "Fail", "NotExecuted"),
  row("1013", "object not found", "Fail", "NotExecuted"),
  row("1017", "object already exists", "Fail", "NotExecuted"),
  row("1022", "object in use", "Fail", "NotExecuted"),
  row("1027", "maximum number of custom activity types reached", "Fail", "NotExecuted"),
  row("1028", "maximum number of secondary attributes (20) reached", "Fail", "NotExecuted"),
  row("1049", "attributes of the activity over 65,536 bytes", "Fail", "NotExecuted"),
]

const byCode = new Map(table.map((r) => [r.level === "HTTP" ? `HTTP ${r.code}` : r.code, r]))

/**
 * The row of a code in `errors[]`, or of an HTTP status.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (code: string): Row | undefined => byCode.get(code) ?? getStatus(Number(code))

/**
 * The row of an HTTP status.
 *
 * @since 0.1.0
 * @category accessors
 */
export const getStatus = (status: number): Row | undefined =>
  byCode.get(`HTTP ${status}`) ?? (status >= 500 && status < 600 ? byCode.get("HTTP 5xx") : undefined)

/**
 * How often a call that ended with this action is repeated, when the endpoint allows `retries` of them.
 *
 * @since 0.1.0
 * @category accessors
 */
export const repeats = (action: Action, retries: number): number => {
  switch (action) {
    case "Retry":
    case "WaitWindow":
    case "WaitQuota":
      return retries
    case "RetryFew":
      return Math.min(FEW, retries)
    case "Reauthenticate":
      return 1
    case "Fail":
      return 0
  }
}
