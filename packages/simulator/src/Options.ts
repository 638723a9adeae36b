/**
 * What a simulator can be started with, as schemas: the same options in TypeScript and in the JSON file of `--config`.
 * All of them may be left out. An option that does not exist, or is out of its range, is refused with its name.
 *
 * Lengths of time are milliseconds or texts such as `"2 seconds"`; in TypeScript a `Duration` too.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { CustomType, Instant, Lead, LeadField } from "./Data.js"
import { Delay, Fault } from "./Fault.js"

const Count = Schema.NonNegativeInt
const AtLeastOne = Schema.Int.pipe(Schema.positive())
const Share = Schema.Number.pipe(Schema.between(0, 1))
const Span = Schema.Union(Schema.DurationFromSelf, Delay)

const optional = Schema.optional

/**
 * What a client may do: `Read-Only Activity` all that reads activities, `Read-Write Activity` adding custom ones too,
 * `Read-Only Activity Metadata` looking at custom activity types, `Read-Write Activity Metadata` changing them too,
 * `Read-Only Lead` looking at leads and their fields. Usage needs none.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Permission = Schema.Literal(
  "Read-Only Activity",
  "Read-Write Activity",
  "Read-Only Activity Metadata",
  "Read-Write Activity Metadata",
  "Read-Only Lead",
)

/**
 * @since 0.1.0
 * @category schemas
 */
export type Permission = typeof Permission.Type

/**
 * A custom service of the instance, with access tokens of its own.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Client = Schema.Struct({
  clientId: Schema.NonEmptyString,
  /** Default: made from the seed. */
  clientSecret: optional(Schema.NonEmptyString),
  /**
   * The e-mail address of its API-only user, in answers of identity and in the usage. Default: `simulator@example.com`.
   */
  user: optional(Schema.NonEmptyString),
  /** What is not among them is refused with 603. Default: all. */
  permissions: optional(Schema.Array(Permission)),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Client extends Schema.Schema.Type<typeof Client> {}

/**
 * What the instance holds when it starts.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Data = Schema.Struct({
  /** How many activities are generated. Default: 1,000. */
  activities: optional(Count),
  /** When the generated activities happened, ISO 8601. Default: 2026-01-01T00:00:00Z. */
  from: optional(Instant),
  /** Default: 2026-01-31T00:00:00Z. */
  to: optional(Instant),
  /**
   * The leads that the activities are spread over, unevenly, and no others exist: so many with ids from 100000 on, or
   * these. Default: a twentieth of `activities`, at least 50.
   */
  leads: optional(Schema.Union(AtLeastOne, Schema.NonEmptyArray(Lead))),
  /** Default: Marketo's standard ones. */
  leadFields: optional(Schema.NonEmptyArray(LeadField)),
  /**
   * Default: one approved type `acmeRentKayak`, with the primary attribute
   * `kayakModel` and, secondary, `bookingNumber`, `rentalHours` (float) and `pickedUpAt` (datetime).
   */
  customTypes: optional(Schema.Array(CustomType)),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Data extends Schema.Schema.Type<typeof Data> {}

/**
 * What Marketo refuses calls for, by their number or their age.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Limits = Schema.Struct({
  /** Calls in a moving `window`, by arrival; one more is refused with 606. Default: 100. */
  calls: optional(Count),
  /** Default: 20 seconds. */
  window: optional(Span),
  /** Calls in flight; one more is refused with 615. Default: 10. */
  concurrent: optional(Count),
  /** Calls a day of US Central Time; one more is refused with 607. Default: 50,000. */
  dailyQuota: optional(Count),
  /** Custom activity types; one more is refused with 1027. Default: 10. */
  customTypes: optional(Count),
  /** How long an access token lives. Default: 3600 seconds. */
  tokenLifetime: optional(Span),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * Codes of refusals that Marketo does not document.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Codes = Schema.Struct({
  /** A paging token that is malformed or of another instance. Default: 1003. */
  pagingToken: optional(Schema.String),
  /** A `sinceDatetime` or `activityDate` that is no date. Default: 1001. */
  date: optional(Schema.String),
  /** More than 10 type ids, 30 lead ids, 300 records. Default: 1003. */
  tooMany: optional(Schema.String),
  /** An unknown list or activity type; a custom type without the version that is asked for. Default: 1013. */
  notFound: optional(Schema.String),
  /** An unknown lead field, or attribute of a custom type. Default: 1006. */
  field: optional(Schema.String),
  /** A record of a custom type that is a draft, or deleted. Default: 1003. */
  notApproved: optional(Schema.String),
  /** A value of another type than the member or attribute has. Default: 1001. */
  value: optional(Schema.String),
  /**
   * A member that is missing, of a record, a type or an attribute; an `input` that is missing or empty. Default: 1002.
   */
  missing: optional(Schema.String),
  /** A name or data type that a custom type cannot have. Default: 1003. */
  invalid: optional(Schema.String),
  /** An `apiName`, `triggerName` or `filterName` that is taken. Default: 1017. */
  exists: optional(Schema.String),
  /** A change that the state of a custom type forbids, such as approving it without a draft. Default: 709. */
  rule: optional(Schema.String),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Codes extends Schema.Schema.Type<typeof Codes> {}

/**
 * What Marketo does not say, what its pages disagree about, and what was seen in records and is written nowhere.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Quirks = Schema.Struct({
  /** What a page without records has for its `result`. Default: `absent`. */
  emptyResult: optional(Schema.Literal("absent", "null", "array")),
  /**
   * How many entries of its log the server looks at for one page. A narrow filter over much other traffic gives runs of
   * empty pages with `moreResult: true`. Default: 3,000.
   */
  blockSize: optional(AtLeastOne),
  /**
   * Whether a reader that pages on sees an activity that is stored later with an older date. `seen`: pages follow the
   * order of storing; `missed`: they follow the activities' dates. Default: `seen`.
   */
  lateArrivals: optional(Schema.Literal("seen", "missed")),
  /** How long a written activity is stored before readers see it. Default: no time. */
  visibilityDelay: optional(Span),
  /** Whether activities vanish after 14 days, 90 days or 25 months, by their type and the clock. Default: false. */
  retention: optional(Schema.Boolean),
  /** Share of the generated activities that have no `id`, 0 to 1. Default: 0. */
  missingIds: optional(Share),
  /** Whether attributes declared as integers come as strings. Default: false. */
  integersAsStrings: optional(Schema.Boolean),
  /** Whether `API Method Name`, `Modifying User` and `Request Id` come in lower case, as recorded. Default: true. */
  lowerCaseNames: optional(Schema.Boolean),
  /** Whether activities hold an attribute that `types.json` does not declare. Default: false. */
  extraAttributes: optional(Schema.Boolean),
  /**
   * Whether the attributes of custom activities are served with their `apiName` beside their `name`. Default: false.
   */
  customApiNames: optional(Schema.Boolean),
  /** Where a refused record has its errors. Default: `errors`. */
  recordErrors: optional(Schema.Literal("errors", "reasons")),
  /**
   * How a change of a custom activity type is refused: with `success: false`, or as a skipped record. Default:
   * `response`.
   */
  customTypeErrors: optional(Schema.Literal("response", "record")),
  /**
   * Whether a call that ends in an error counts against window and quota. Marketo's documentation says no. Default:
   * false.
   */
  countErrors: optional(Schema.Boolean),
  /**
   * Until then an access token may be a query parameter, ISO 8601. Adobe has put it off five times. Default:
   * 2026-08-31T00:00:00Z.
   */
  queryTokenUntil: optional(Instant),
  /**
   * From then on a `listId` of a list with 10,000 or more members is refused, ISO 8601. Default: 2026-09-30T00:00:00Z,
   * by Adobe's newest texts; older ones say 2026-12-30.
   */
  listLimitFrom: optional(Instant),
  /**
   * Whether the values of custom activities come back in another spelling: `10` as `"10.0"` where the data type is
   * float or currency, other numbers and booleans as text, datetimes in UTC. What Marketo does is written nowhere.
   * Default: false.
   */
  reformattedValues: optional(Schema.Boolean),
  codes: optional(Codes),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Quirks extends Schema.Schema.Type<typeof Quirks> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Options = Schema.Struct({
  /** Everything generated follows from it. Default: 7. */
  seed: optional(Count),
  /** Paging tokens of one instance are refused by another. Default: `123-ABC-456`. */
  munchkinId: optional(Schema.NonEmptyString),
  /** Default: one, `simulated-client`, with every permission. */
  clients: optional(Schema.NonEmptyArray(Client)),
  /**
   * How long Marketo takes for each call. Default: no time. A call that takes longer than Marketo's own limit is not
   * executed, and answered with 604 at that limit: 300 s for paging tokens, 90 s for adding custom activities, 30 s for
   * all others.
   */
  latency: optional(Span),
  /**
   * Whether bodies of 1,024 bytes and more are compressed when the caller asks for gzip. Default: true over a socket,
   * false in process and for the command.
   */
  gzip: optional(Schema.Boolean),
  data: optional(Data),
  limits: optional(Limits),
  quirks: optional(Quirks),
  /** What goes wrong, and when. Default: nothing. */
  faults: optional(Schema.Array(Fault)),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Options extends Schema.Schema.Type<typeof Options> {}
