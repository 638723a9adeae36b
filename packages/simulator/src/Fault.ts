/**
 * Faults as plain data: when a call goes wrong, and how. A fault script is an array of them, in a test or in a JSON
 * file.
 *
 * Every call takes the first fault of the script that is due, and no other; one that has been used as often as `times`
 * allows is passed over.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { NewActivity } from "./Data.js"

/**
 * The endpoints that a fault can be tied to, by the names that `@effect-marketo/core` has for them.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Endpoint = Schema.Literal(
  "identity",
  "activityTypes",
  "pagingToken",
  "leadActivities",
  "leadChanges",
  "deletedLeads",
  "addCustomActivities",
  "customActivityTypes",
  "describeCustomActivityType",
  "createCustomActivityType",
  "updateCustomActivityType",
  "approveCustomActivityType",
  "discardCustomActivityTypeDraft",
  "deleteCustomActivityType",
  "createCustomActivityTypeAttributes",
  "updateCustomActivityTypeAttributes",
  "deleteCustomActivityTypeAttributes",
  "describeLead",
  "leads",
  "usage",
  "errors",
  "unknown",
)

/**
 * @since 0.1.0
 * @category schemas
 */
export type Endpoint = typeof Endpoint.Type

const Count = Schema.Int.pipe(Schema.positive())

/**
 * Milliseconds, or a text such as `"2 seconds"`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Delay = Schema.Union(
  Schema.NonNegative,
  Schema.TemplateLiteral(
    Schema.Number,
    " ",
    Schema.Literal("millis", "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days"),
  ),
).pipe(
  Schema.filter((delay) => typeof delay === "number" || Duration.toMillis(delay) >= 0),
  Schema.annotations({
    identifier: "Delay",
    message: () => ({ message: `Expected milliseconds, or a text such as "2 seconds"`, override: true }),
  }),
)

const when = {
  /**
   * The n-th call since the start, counted from 1 as calls arrive. Calls of identity are not counted; every other one
   * is, refused ones too.
   */
  call: Schema.optional(Count),
  /** Any call of this endpoint, this method, or both. */
  match: Schema.optional(
    Schema.Struct({ endpoint: Schema.optional(Endpoint), method: Schema.optional(Schema.Literal("GET", "POST")) }),
  ),
  /** Only each n-th of the calls that match: `every: 3` is the third, the sixth, and so on. */
  every: Schema.optional(Count),
  /** How often it is used. Default: once; without limit if `every` is given. */
  times: Schema.optional(Count),
  /**
   * How long the answer is held up on its way, on top of the latency. Marketo's own limits of time do not see it: a
   * caller waits for as long as it wants to.
   */
  delay: Schema.optional(Delay),
}

/** Whether Marketo carries the call out all the same. Default: false. */
const executed = Schema.optional(Schema.Boolean)

const fault = <Name extends string, Fields extends Schema.Struct.Fields>(name: Name, fields: Fields) =>
  Schema.Struct({ fault: Schema.Literal(name), ...when, ...fields })

const Code = Schema.Union(Schema.Int, Schema.NonEmptyString)

/**
 * One fault. `fault` says what goes wrong, the other members say when and in which way.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Fault = Schema.Union(
  /**
   * HTTP 200 with `success: false`. Codes go out as strings unless `numeric`; `message: null` leaves the message out.
   */
  fault("error", {
    code: Schema.Union(Code, Schema.NonEmptyArray(Code)),
    message: Schema.optional(Schema.NullOr(Schema.String)),
    numeric: Schema.optional(Schema.Boolean),
    executed,
  }),
  /** Another HTTP status, with the HTML page of a gateway unless `body` is given. */
  fault("http", { status: Schema.Int.pipe(Schema.between(400, 599)), body: Schema.optional(Schema.String), executed }),
  /** HTTP 200 without a body. */
  fault("empty", { executed }),
  /** HTTP 200 with a whole body that is not JSON: `body`, or the real one without its end. The call is carried out. */
  fault("malformed", { body: Schema.optional(Schema.String) }),
  /** The connection is closed before the first byte of the answer. */
  fault("cut", { executed }),
  /**
   * The connection is closed in the middle of the body, after `bytes`; default: half of it. The call is carried out.
   */
  fault("cutBody", { bytes: Schema.optional(Schema.NonNegativeInt) }),
  /** A page of at most `records`, with more to come. */
  fault("shortPage", { records: Schema.NonNegativeInt }),
  /** A page without records that does not get ahead: a new token for the same place, and `moreResult: true`. */
  fault("emptyPage", {}),
  /** The page, but with the token that was sent and `moreResult: true`. */
  fault("sameToken", {}),
  /**
   * A write is carried out, and answered with only so many of the elements of `result`; default: without a `result`.
   */
  fault("shortResult", { records: Schema.optional(Schema.NonNegativeInt) }),
  /** The paging token is refused, with the code that the simulator refuses foreign ones with. */
  fault("refusedToken", {}),
  /** Only the delay. */
  fault("delay", {}),
  /** The access token has just run out: 602 for this call, 601 for the next ones that use it. */
  fault("expiredToken", {}),
  /** The answer carries these warnings, of whatever shape. */
  fault("warnings", { warnings: Schema.Array(Schema.Unknown) }),
  /** These are stored just before the call is carried out, with whatever date they claim. */
  fault("lateActivities", { activities: Schema.Array(NewActivity) }),
  /** Identity: the token has this many seconds left. It is the same one until then. */
  fault("expiresIn", { seconds: Schema.NonNegativeInt }),
  /**
   * Identity: HTTP 401, as for a wrong secret (`invalid_client`, the default) or an unknown client (`unauthorized`).
   */
  fault("unauthorized", { error: Schema.optional(Schema.Literal("invalid_client", "unauthorized")) }),
).annotations({ identifier: "Fault" })

/**
 * @since 0.1.0
 * @category schemas
 */
export type Fault = typeof Fault.Type
