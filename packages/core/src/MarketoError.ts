/**
 * What can go wrong between a program and Marketo, one class for each thing a caller would handle apart.
 *
 * Every error carries what a policy needs (`isRetryable`, `retryAt`, `execution`, the vendor's codes) and no secret. Of
 * personal values it can hold only what Marketo's own `messages` quote; `Marketo.layer({ vendorMessages: "omit" })` leaves
 * these out.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ErrorCode from "./ErrorCode.js"

/**
 * Whether Marketo executed a call that failed: `NotExecuted` only where its answer, or the connection's own code, says
 * so; everything else is `Unknown`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Execution = Schema.Literal("NotExecuted", "Unknown")

/**
 * @since 0.1.0
 * @category models
 */
export type Execution = typeof Execution.Type

/** `None` unless the constructor is given one. */
const optionalText = Schema.optionalWith(Schema.String, { as: "Option" }).pipe(
  Schema.withConstructorDefault(() => Option.none()),
)

const common = {
  /** The endpoint's name in `RequestPolicy.endpoints`, or the path of an endpoint that is not modelled. */
  endpoint: Schema.String,
  /** Marketo's id of the call, for its support. Missing when no envelope arrived. */
  requestId: optionalText,
  /** Calls made before giving up. */
  attempts: Schema.Number,
}

const answered = {
  /**
   * Marketo's own words, in the order of its codes: at most 5, of at most 300 characters each, without control characters
   * and without this client's secrets. They may quote what was sent. Empty if it sent none, or with
   * `vendorMessages: "omit"`.
   */
  messages: Schema.Array(Schema.String).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => []),
  ),
}

const said = (messages: ReadonlyArray<string>) =>
  messages.length === 0 ? "" : `, Marketo says: ${messages.map((message) => `"${message}"`).join("; ")}`

const after = (attempts: number) => (attempts === 1 ? "after 1 attempt" : `after ${attempts} attempts`)

const request = Option.match({ onNone: () => "", onSome: (requestId: string) => ` (request ${requestId})` })

/**
 * An argument or a configuration is outside Marketo's limits; nothing was sent.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoInvalidRequest extends Schema.TaggedError<MarketoInvalidRequest>(
  "@effect-marketo/core/MarketoInvalidRequest",
)("MarketoInvalidRequest", {
  /** The argument at fault, by its name in the options. */
  field: Schema.String,
  /** The limit, and what was given where that is no secret. */
  limit: Schema.String,
}) {
  override get message(): string {
    return `${this.field}: ${this.limit}`
  }

  /** Always false: the same request is refused again. */
  get isRetryable(): boolean {
    return false
  }
}

const unavailable = {
  Connection: "no connection to Marketo, or it broke. Check the network, the base URL and TLS",
  Timeout: "no complete answer within the time limit of one attempt",
  Gateway: "a gateway or server in front of the API answered with an error page",
  Malformed: "the answer was empty, cut or not the JSON that Marketo documents",
  Redirected:
    "the address redirects elsewhere. It is not followed, because the access token would go there. Check `baseUrl`; or a maintenance page is up",
  Encoding: "the answer has a Content-Encoding that the HTTP client does not undo. Look for a proxy that sets it",
  TooLarge: "the answer is larger than `maxResponseBytes`. Read smaller pages (`batchSize`), or allow more",
  TokenRefused:
    "the API refuses an access token that the identity service still calls valid. If that lasts, check that base URL and credentials belong to the same instance",
  Stalled:
    "Marketo answered with the paging token it was given and moreResult: true; going on would read one page for ever",
} as const

/**
 * No usable answer came: a connection, a time limit, a gateway, or an empty or cut body.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoUnavailable extends Schema.TaggedError<MarketoUnavailable>(
  "@effect-marketo/core/MarketoUnavailable",
)("MarketoUnavailable", {
  ...common,
  reason: Schema.Literal(
    "Connection",
    "Timeout",
    "Gateway",
    "Malformed",
    "Redirected",
    "Encoding",
    "TooLarge",
    "TokenRefused",
    "Stalled",
  ),
  execution: Execution,
  /** The HTTP status or the connection's error code, e.g. `"502"` or `"ECONNREFUSED"`. */
  code: optionalText,
  /** The host that a redirect names. */
  redirectedTo: optionalText,
  /** The coding that is not known. */
  contentEncoding: optionalText,
  ...answered,
}) {
  override get message(): string {
    const details = Arr.getSomes([this.code, this.redirectedTo, this.contentEncoding])
    const code = details.length === 0 ? "" : ` [${details.join(", ")}]`
    return `${this.endpoint}: ${unavailable[this.reason]}${code}, ${after(this.attempts)}${request(this.requestId)}${said(this.messages)}`
  }

  /** False for `Encoding` and `TooLarge`. A write may be repeated only where `execution` is `NotExecuted`. */
  get isRetryable(): boolean {
    return this.reason !== "Encoding" && this.reason !== "TooLarge"
  }
}

const unauthorized = {
  Credentials:
    "Marketo's identity service refused the client id or the client secret. Check both in Admin > LaunchPoint",
  Permission:
    "access denied [603]. Give the API user's role the permission for this endpoint, or add this address to the instance's IP allow-list",
} as const

/**
 * Marketo does not let this client in. Not retried.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoUnauthorized extends Schema.TaggedError<MarketoUnauthorized>(
  "@effect-marketo/core/MarketoUnauthorized",
)("MarketoUnauthorized", { ...common, ...answered, reason: Schema.Literal("Credentials", "Permission") }) {
  override get message(): string {
    return `${this.endpoint}: ${unauthorized[this.reason]}${request(this.requestId)}${said(this.messages)}`
  }

  /** Always false: a person has to act. */
  get isRetryable(): boolean {
    return false
  }
}

const limited = {
  Rate: "more calls than the instance's rate limit allows [606]. Other integrations share it: lower `limits.calls`",
  Concurrency:
    "more calls in flight than the instance allows [615]. Other integrations share it: lower `limits.concurrent`",
  DailyQuota: "the instance's daily quota of calls is used up [607]",
} as const

/**
 * A limit of the Marketo instance is reached; the call was not executed.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoLimited extends Schema.TaggedError<MarketoLimited>("@effect-marketo/core/MarketoLimited")(
  "MarketoLimited",
  {
    ...common,
    ...answered,
    reason: Schema.Literal("Rate", "Concurrency", "DailyQuota"),
    /** When the same call may succeed; for `DailyQuota` the next midnight in America/Chicago. */
    retryAt: Schema.DateTimeUtcFromSelf,
  },
) {
  override get message(): string {
    return `${this.endpoint}: ${limited[this.reason]}; try again at ${DateTime.formatIso(this.retryAt)}, ${after(this.attempts)}${said(this.messages)}`
  }

  /** Always true, at `retryAt`. */
  get isRetryable(): boolean {
    return true
  }
}

/**
 * Marketo answered and refused, for a reason of its own.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoRejected extends Schema.TaggedError<MarketoRejected>("@effect-marketo/core/MarketoRejected")(
  "MarketoRejected",
  {
    ...common,
    ...answered,
    /** Marketo's codes, as text; an HTTP status where the gateway refused (413, 414, 404 …). See `ErrorCode.table`. */
    codes: Schema.NonEmptyArray(Schema.String),
    execution: Execution,
    isRetryable: Schema.Boolean,
    /** What to look at first, where more is known than the code says. */
    advice: optionalText,
  },
) {
  override get message(): string {
    const meaning = (code: string) => (ErrorCode.get("Response", code) ?? ErrorCode.get("HTTP", code))?.meaning
    const reasons = this.codes.map((code) => `[${code}] ${meaning(code) ?? "not in Marketo's list of codes"}`)
    const advice = Option.match(this.advice, { onNone: () => "", onSome: (text) => `${text}. ` })
    return `${this.endpoint}: ${advice}Marketo refused the call: ${reasons.join("; ")}, ${after(this.attempts)}${request(this.requestId)}${said(this.messages)}`
  }
}

/**
 * An element of a page is not what its schema says, or the whole answer is not JSON however often it is asked for. Paths
 * and byte positions only, never values.
 *
 * @since 0.1.0
 * @category errors
 */
export class MarketoUndecodable extends Schema.TaggedError<MarketoUndecodable>(
  "@effect-marketo/core/MarketoUndecodable",
)("MarketoUndecodable", {
  ...common,
  /** Zero-based position of the element in its page. None if the answer as a whole is not readable. */
  index: Schema.OptionFromSelf(Schema.Number),
  /** Where inside the element, e.g. `"attributes.0.name"`, or at which byte it stops being JSON. */
  paths: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const paths = this.paths.join(", ")
    const where = Option.match(this.index, {
      onNone: () => `the answer is not readable: ${paths}, ${after(this.attempts)}`,
      onSome: (index) => `element ${index} of the page is not readable at ${paths}`,
    })
    const advice = Option.match(this.index, {
      onNone: () => "Report it to Marketo's support with the request id or the time",
      onSome: () => 'Read with `undecodable: "keep"` to keep such elements aside and go on',
    })
    return `${this.endpoint}: ${where}${request(this.requestId)}. ${advice}`
  }

  /** Always false: the element stays what it is. */
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A stored position is not used, because using it would lose or repeat activities. It was not overwritten.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointRefused extends Schema.TaggedError<CheckpointRefused>("@effect-marketo/core/CheckpointRefused")(
  "CheckpointRefused",
  {
    reason: Schema.Literal("OtherInstance", "OtherFeed", "NewerVersion", "Unreadable", "TokenRefused"),
    /** What to do. */
    advice: Schema.String,
    /** Of `TokenRefused`: Marketo's answer. */
    cause: Schema.optional(MarketoRejected),
  },
) {
  override get message(): string {
    return `checkpoint refused (${this.reason}): ${this.advice}`
  }

  /** Always false: a person has to decide. */
  get isRetryable(): boolean {
    return false
  }
}

/**
 * What a call to Marketo can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type CallError =
  | MarketoInvalidRequest
  | MarketoUnavailable
  | MarketoUnauthorized
  | MarketoLimited
  | MarketoRejected
  | MarketoUndecodable

/**
 * All errors of this module.
 *
 * @since 0.1.0
 * @category errors
 */
export type MarketoError = CallError | CheckpointRefused
