/**
 * What each way to fail means, what this client does about it, and whether Marketo executed the call: one table, used by
 * the client, its tests and the documentation.
 *
 * Source of Marketo's codes and meanings: Adobe's page "Error codes" of the Marketo Engage REST API. It says that 6xx
 * calls were not executed and 7xx calls were executed and failed. Where a row is stricter, it says why.
 *
 * A read that ends with `Retry` or `RetryFew` is repeated. A write is repeated only where the row says `NotExecuted`: a
 * custom activity cannot be deleted, and it can fire campaigns at real people.
 *
 * @since 0.1.0
 */

/**
 * What the client does:
 *
 * - `Retry`: again after a backoff, up to the endpoint's `retries`
 * - `RetryFew`: again after a backoff, at most twice: the vendor lists it as a catch-all
 * - `Reauthenticate`: at once with the token that the identity service gives then; if that is refused too, as `Retry`
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
  /**
   * What failed: `Response` is a code in `errors[]` of an answer with HTTP 200, `HTTP` a status, `Connection` how far the
   * request had come, `Client` a judgement of this client.
   */
  readonly level: "Response" | "HTTP" | "Connection" | "Client"
  readonly code: string
  readonly meaning: string
  readonly action: Action
  readonly execution: "NotExecuted" | "Unknown"
  /** Why `execution` is what it is. */
  readonly because: string
}

/** Repeats for a code that the vendor lists as a catch-all. */
const FEW = 2

const SIX = "Marketo: 6xx calls are not executed"
const SEVEN = "Marketo: 7xx calls are executed and fail"
const ONE = "the request as a whole was found invalid"
const LATE = "the text does not say that nothing was changed"
const REFUSED = "refused before the API"
const GATEWAY = "a gateway answers when what is behind it does not"
const ANSWER = "only an answer says what was done"
const NO_TLS = "before TLS is agreed on, nothing is sent"
const NO_CONNECTION = "before there is a connection, nothing is sent"

const rows =
  (level: Row["level"]) =>
  (...table: ReadonlyArray<readonly [string, string, Action, Row["execution"], string]>): ReadonlyArray<Row> =>
    table.map(([code, meaning, action, execution, because]) => ({ level, code, meaning, action, execution, because }))

/**
 * Every row. A code of Marketo that is not listed is not repeated, and its execution is unknown.
 *
 * @since 0.1.0
 * @category models
 */
export const table: ReadonlyArray<Row> = [
  ...rows("Response")(
    ["500", "unexpected condition in the server; a malformed address can cause it", "RetryFew", "Unknown", GATEWAY],
    ["502", "bad gateway, probably a time-out", "Retry", "Unknown", GATEWAY],
    ["600", "access token empty", "Reauthenticate", "NotExecuted", SIX],
    ["601", "access token invalid", "Reauthenticate", "NotExecuted", SIX],
    ["602", "access token expired", "Reauthenticate", "NotExecuted", SIX],
    [
      "603",
      "access denied: a permission is missing, or the address is not on the allow-list",
      "Fail",
      "NotExecuted",
      SIX,
    ],
    [
      "604",
      "the call took longer than the server allows",
      "Retry",
      "Unknown",
      "6xx, but the time-out can strike after the work began",
    ],
    ["605", "HTTP method not supported", "Fail", "NotExecuted", SIX],
    ["606", "rate limit of the instance exceeded", "WaitWindow", "NotExecuted", SIX],
    ["607", "daily quota of the instance used up", "WaitQuota", "NotExecuted", SIX],
    ["608", "API temporarily unavailable", "Retry", "NotExecuted", SIX],
    ["609", "body is not valid JSON", "Fail", "NotExecuted", SIX],
    ["610", "no such resource", "Fail", "NotExecuted", SIX],
    [
      "611",
      "system error, the catch-all",
      "RetryFew",
      "Unknown",
      "6xx, but the catch-all says nothing of what went before",
    ],
    ["612", "wrong content type", "Fail", "NotExecuted", SIX],
    ["613", "invalid multipart body", "Fail", "NotExecuted", SIX],
    ["614", "subscription not found or unreachable; usually passes", "Retry", "NotExecuted", SIX],
    ["615", "more calls in flight than the instance allows", "Retry", "NotExecuted", SIX],
    ["616", "the subscription lacks this API", "Fail", "NotExecuted", SIX],
    ["701", "a required field is blank", "Fail", "Unknown", SEVEN],
    ["702", "no data found", "Fail", "Unknown", SEVEN],
    ["703", "feature not enabled for this subscription", "Fail", "Unknown", SEVEN],
    ["704", "invalid date", "Fail", "Unknown", SEVEN],
    ["709", "against a business rule of the object", "Fail", "Unknown", SEVEN],
    ["710", "parent folder not found", "Fail", "Unknown", SEVEN],
    ["711", "wrong folder type", "Fail", "Unknown", SEVEN],
    ["712", "merge to person account invalid", "Fail", "Unknown", SEVEN],
    ["713", "a resource was unavailable for a moment", "Retry", "Unknown", SEVEN],
    ["714", "default record type not found", "Fail", "Unknown", SEVEN],
    ["718", "external sales person not found", "Fail", "Unknown", SEVEN],
    ["719", "waited too long for a lock", "Retry", "Unknown", SEVEN],
    ["1001", "a value has the wrong type", "Fail", "NotExecuted", ONE],
    ["1002", "a required parameter is missing", "Fail", "NotExecuted", ONE],
    ["1003", "a value is not valid for this endpoint", "Fail", "NotExecuted", ONE],
    ["1004", "lead not found", "Fail", "NotExecuted", ONE],
    ["1005", "lead already exists", "Fail", "NotExecuted", ONE],
    ["1006", "field not found", "Fail", "NotExecuted", ONE],
    ["1007", "several leads match", "Fail", "NotExecuted", ONE],
    ["1008", "no access to the lead's partition", "Fail", "NotExecuted", ONE],
    ["1009", "the partition's name is needed", "Fail", "NotExecuted", ONE],
    ["1010", "the lead's partition may not be changed", "Fail", "NotExecuted", ONE],
    ["1011", "field not supported as a filter", "Fail", "NotExecuted", ONE],
    ["1012", "cookie value not valid", "Fail", "NotExecuted", ONE],
    ["1013", "object not found", "Fail", "NotExecuted", ONE],
    ["1014", "object could not be created", "Fail", "Unknown", LATE],
    ["1015", "lead not in the list", "Fail", "NotExecuted", ONE],
    ["1016", "too many imports are queued", "Fail", "NotExecuted", ONE],
    ["1017", "object already exists", "Fail", "NotExecuted", ONE],
    ["1018", "not possible, because a CRM is connected", "Fail", "NotExecuted", ONE],
    ["1019", "an import is in progress", "Fail", "NotExecuted", ONE],
    ["1020", "too many clones of the program", "Fail", "NotExecuted", ONE],
    ["1021", "the company may not be changed", "Fail", "NotExecuted", ONE],
    ["1022", "object in use", "Fail", "NotExecuted", ONE],
    ["1025", "program status not found", "Fail", "NotExecuted", ONE],
    ["1026", "custom objects are not enabled", "Fail", "NotExecuted", ONE],
    ["1027", "maximum number of custom activity types reached", "Fail", "NotExecuted", ONE],
    ["1028", "maximum number of secondary attributes (20) reached", "Fail", "NotExecuted", ONE],
    ["1029", "too many bulk jobs queued, or the daily export quota used up", "Fail", "NotExecuted", ONE],
    ["1035", "filter not supported by this subscription", "Fail", "NotExecuted", ONE],
    ["1036", "the same object twice in one request", "Fail", "NotExecuted", ONE],
    ["1037", "lead skipped", "Fail", "Unknown", LATE],
    ["1042", "run time too far in the future", "Fail", "NotExecuted", ONE],
    ["1048", "draft of a custom object could not be discarded", "Fail", "Unknown", LATE],
    ["1049", "attributes of the activity over 65,536 bytes", "Fail", "NotExecuted", ONE],
    ["1076", "leads could not be merged", "Fail", "Unknown", LATE],
    ["1077", "leads could not be merged", "Fail", "Unknown", LATE],
    ["1078", "leads could not be merged", "Fail", "Unknown", LATE],
    ["1079", "leads could not be merged", "Fail", "Unknown", LATE],
  ),
  ...rows("HTTP")(
    [
      "3xx",
      "a redirect, which is not followed: the access token would go there",
      "RetryFew",
      "NotExecuted",
      "the address that was asked did not execute it",
    ],
    ["401", "client id or client secret refused by the identity service", "Fail", "NotExecuted", REFUSED],
    ["404", "no such address", "Fail", "NotExecuted", REFUSED],
    ["408", "the request did not arrive in time", "Retry", "Unknown", GATEWAY],
    ["413", "request body over 1 MB", "Fail", "NotExecuted", REFUSED],
    ["414", "address over 8 KB", "Fail", "NotExecuted", REFUSED],
    ["429", "too many requests; Marketo itself says 606", "Retry", "NotExecuted", REFUSED],
    ["5xx", "gateway or server trouble, often with an HTML page", "Retry", "Unknown", GATEWAY],
  ),
  ...rows("Connection")(
    [
      "not sent",
      "no connection, or no TLS, when the call failed",
      "Retry",
      "NotExecuted",
      "the request was not handed to a connected socket",
    ],
    [
      "sent",
      "the connection broke",
      "Retry",
      "Unknown",
      "the request was handed to a connected socket, one that was kept alive included",
    ],
  ),
  ...rows("Client")(
    [
      "Timeout",
      "no whole answer within the time limit",
      "Retry",
      "Unknown",
      "the server may have executed the call and still be busy",
    ],
    ["Malformed", "an empty, cut or broken body", "Retry", "Unknown", ANSWER],
    ["Encoding", "a body in a Content-Encoding that is not known here", "Fail", "Unknown", ANSWER],
    ["TooLarge", "a body over `maxResponseBytes`", "Fail", "Unknown", ANSWER],
    [
      "Redirected",
      "a redirect that the HTTP client followed by itself",
      "Fail",
      "Unknown",
      "the other host may have executed it",
    ],
    [
      "Result",
      "a result list that is missing or of another length",
      "Fail",
      "Unknown",
      "it does not say what became of each record",
    ],
  ),
]

/**
 * Signs of a connection error that prove that nothing was sent, for HTTP clients that do not tell how far a request came.
 * `NodeHttp` tells, and this list is not asked. A failed system call proves it whatever its code, because only making a
 * connection uses it; a code is listed only if it cannot come later. Node's errors carry `syscall`.
 *
 * @since 0.1.0
 * @category models
 */
export const unsent: ReadonlyArray<{
  readonly sign: "syscall" | "code"
  readonly value: string
  readonly because: string
}> = [
  ...["getaddrinfo", "connect"].map((value) => ({ sign: "syscall" as const, value, because: NO_CONNECTION })),
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"].map((value) => ({
    sign: "code" as const,
    value,
    because: NO_CONNECTION,
  })),
  ...[
    "CERT_HAS_EXPIRED",
    "CERT_NOT_YET_VALID",
    "CERT_REVOKED",
    "CERT_UNTRUSTED",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    "ERR_SSL_UNSUPPORTED_PROTOCOL",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ].map((value) => ({ sign: "code" as const, value, because: NO_TLS })),
]

const byCode = new Map(table.map((row) => [`${row.level} ${row.code}`, row]))

/**
 * The row of a code. An HTTP status without a row of its own has the row of its class, such as `5xx`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (level: Row["level"], code: string): Row | undefined =>
  byCode.get(`${level} ${code}`) ?? byCode.get(`${level} ${code.replace(/^([35])\d\d$/, "$1xx")}`)

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
      return retries
    case "WaitQuota":
      return Number.POSITIVE_INFINITY
    case "RetryFew":
      return Math.min(FEW, retries)
    case "Reauthenticate":
    case "Fail":
      return 0
  }
}
