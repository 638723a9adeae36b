/**
 * Custom activity types: what Marketo answers, what it is asked for, and a Schema for the records of one type.
 *
 * Limits are those of Adobe's page "Activities" of the Marketo Engage REST API; each stands in the message of the check
 * that keeps it.
 *
 * @example
 * import { CustomActivities, CustomActivityType, CustomActivityTypes } from "@effect-marketo/core"
 * import { Chunk, DateTime, Effect, Schema } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const types = yield* CustomActivityTypes.CustomActivityTypes
 *   const rental = yield* CustomActivityType.recordSchema(yield* types.describe("acmeRentKayak"))
 *   const activity = yield* Schema.decode(rental)({
 *     leadId: 1001,
 *     activityDate: DateTime.unsafeMake("2026-02-20T09:00:00Z"),
 *     attributes: { kayakModel: "Sea 500", rentalHours: 2.5 }
 *   })
 *   const activities = yield* CustomActivities.CustomActivities
 *   yield* activities.add(Chunk.of(activity))
 * })
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import { type CustomActivity, formatDateTime } from "./CustomActivity.js"
import * as instant from "./internal/instant.js"
import * as lenient from "./internal/lenient.js"
import { MarketoInvalidRequest } from "./MarketoError.js"

const Instant = Schema.transformOrFail(Schema.String, Schema.DateTimeUtcFromSelf, {
  strict: true,
  decode: (text, _, ast) => {
    const millis = instant.parse(text)
    return Number.isNaN(millis)
      ? ParseResult.fail(new ParseResult.Type(ast, text, "must be a date and time with a zone"))
      : ParseResult.succeed(DateTime.unsafeMake(millis))
  },
  encode: (date) => ParseResult.succeed(DateTime.formatIso(date)),
})

/**
 * Name and type of an attribute. `dataType` is one of `DataType`, or another word: treat an unknown one as a string.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomActivityTypeAttribute = Schema.Struct({
  apiName: Schema.String,
  name: Schema.String,
  description: lenient.text,
  dataType: Schema.optionalWith(Schema.String, { default: () => "string", nullable: true }),
}).annotations({ identifier: "CustomActivityTypeAttribute" })

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomActivityTypeAttribute extends Schema.Schema.Type<typeof CustomActivityTypeAttribute> {}

/**
 * A type as Marketo describes it.
 *
 * - `id`, `createdAt` and `updatedAt` are missing in the answers to create and update; `describe` has them.
 * - `primaryAttribute` and `attributes` are missing in lists.
 * - A member of an unusual type is read as absent; `apiName`, `name` and `status` must be text.
 * - `status` is `draft`, `approved`, `approved with draft` or `deleted`. A word that is not among them is handed on: one
 *   type of a new kind must not make the others unreadable.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomActivityType = Schema.Struct({
  id: lenient.option(Schema.Int),
  apiName: Schema.String,
  name: Schema.String,
  description: lenient.text,
  triggerName: lenient.text,
  filterName: lenient.text,
  createdAt: lenient.option(Instant),
  updatedAt: lenient.option(Instant),
  status: Schema.String,
  primaryAttribute: lenient.option(CustomActivityTypeAttribute),
  attributes: lenient.list(CustomActivityTypeAttribute),
}).annotations({ identifier: "CustomActivityType" })

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomActivityType extends Schema.Schema.Type<typeof CustomActivityType> {}

/** `limit` replaces whatever a Schema would say, which quotes the value. */
const limited = <A, I>(schema: Schema.Schema<A, I>, limit: string): Schema.Schema<A, I> =>
  schema.annotations({ message: () => ({ message: limit, override: true }) })

/**
 * The data types of attributes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DataType = Schema.Literal(
  "string",
  "boolean",
  "integer",
  "float",
  "link",
  "email",
  "currency",
  "date",
  "datetime",
  "phone",
  "text",
)

/**
 * @since 0.1.0
 * @category models
 */
export type DataType = typeof DataType.Type

const dataType = limited(DataType, `must be one of ${DataType.literals.join(", ")}`)

/**
 * The name that the API knows a type by, and attributes when they are made: letters and digits, at least one letter, at
 * most 255 characters.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ApiName = limited(
  Schema.String.pipe(Schema.pattern(/^(?=.*[A-Za-z])[A-Za-z0-9]{1,255}$/)),
  "must be letters and digits, at least one letter, at most 255 characters",
)

// the page says "alphanumeric" and not in which alphabets: Marketo decides about those beyond ASCII
const displayName = limited(
  Schema.String.pipe(Schema.pattern(/^(?=.*\p{L})[\p{L}\p{M}\p{N} _]+$/u)),
  "must be letters, digits, spaces and underscores, at least one letter",
)

const text = limited(Schema.String.pipe(Schema.pattern(/\S/)), "must be text that is not blank")

const description = Schema.optional(limited(Schema.String, "must be text"))

const isPrimary = Schema.optional(limited(Schema.Boolean, "must be true or false"))

const primaryAttribute = Schema.Struct({
  apiName: ApiName,
  name: text,
  description,
  dataType: Schema.optional(dataType),
})

/**
 * A new type. By convention `name` is an infinitive ("Rent Kayak"), `triggerName` present tense ("Rents Kayak"),
 * `filterName` past tense ("Rented Kayak"); the last two are unique in the instance. Partners begin `apiName` with a
 * namespace of up to 16 characters. The primary attribute's `dataType` is `string` when left out.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomActivityTypeRequest = Schema.Struct({
  apiName: ApiName,
  name: displayName,
  description,
  triggerName: text,
  filterName: text,
  primaryAttribute,
})

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomActivityTypeRequest extends Schema.Schema.Type<typeof CustomActivityTypeRequest> {}

/**
 * What changes in the draft of a type; members that are left out stay. Once a type is approved and in use, Marketo
 * changes its attributes only.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomActivityTypeUpdate = Schema.Struct({
  name: Schema.optional(displayName),
  description,
  triggerName: Schema.optional(text),
  filterName: Schema.optional(text),
  primaryAttribute: Schema.optional(primaryAttribute),
})

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomActivityTypeUpdate extends Schema.Schema.Type<typeof CustomActivityTypeUpdate> {}

/**
 * A new attribute; secondary unless `isPrimary`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AttributeRequest = Schema.Struct({ apiName: ApiName, name: text, description, dataType, isPrimary })

/**
 * @since 0.1.0
 * @category models
 */
export interface AttributeRequest extends Schema.Schema.Type<typeof AttributeRequest> {}

/**
 * What changes in an attribute. Its `apiName` says which and never changes: delete it and create another.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AttributeUpdate = Schema.Struct({
  apiName: text,
  name: Schema.optional(text),
  description,
  dataType: Schema.optional(dataType),
  isPrimary,
})

/**
 * @since 0.1.0
 * @category models
 */
export interface AttributeUpdate extends Schema.Schema.Type<typeof AttributeUpdate> {}

/**
 * A record of a described type: every value, the primary one too, under its attribute's `apiName`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CustomActivityRecord {
  readonly leadId: CustomActivity["leadId"]
  readonly activityDate: DateTime.DateTime
  readonly attributes: Readonly<Record<string, unknown>>
}

const isDateTime = (value: unknown): value is DateTime.DateTime =>
  DateTime.isDateTime(value) && Number.isFinite(value.epochMillis)

const isText = (value: unknown): value is string => typeof value === "string"

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)

/** What an attribute's value may be; the limits are those of Adobe's page "Field types". */
const values: Readonly<Record<DataType, { readonly is: (value: unknown) => boolean; readonly limit: string }>> = {
  string: {
    is: (value) => isText(value) && (value.length <= 255 || Array.from(value).length <= 255),
    limit: "must be text of at most 255 characters",
  },
  text: {
    is: (value) => isText(value) && new TextEncoder().encode(value).length <= 30_000,
    limit: "must be text of at most 30,000 bytes",
  },
  link: { is: isText, limit: "must be text" },
  email: { is: isText, limit: "must be text" },
  phone: { is: isText, limit: "must be text" },
  boolean: { is: (value) => typeof value === "boolean", limit: "must be true or false" },
  integer: {
    is: (value) => typeof value === "bigint" || Number.isSafeInteger(value),
    limit: "must be a whole number; past 2^53 a bigint",
  },
  float: { is: isNumber, limit: "must be a finite number" },
  currency: { is: isNumber, limit: "must be a finite number" },
  date: {
    is: (value) =>
      isDateTime(value) ||
      (isText(value) && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(instant.parse(`${value}T00:00:00Z`))),
    limit: "must be a valid DateTime, or a day of the calendar as YYYY-MM-DD",
  },
  datetime: { is: isDateTime, limit: "must be a valid DateTime" },
}

const valueOf = (attribute: CustomActivityTypeAttribute) => {
  const { is, limit } = values[attribute.dataType as DataType] ?? values.link
  return limited(Schema.Unknown.pipe(Schema.filter(is)), limit)
}

const leadId = limited(
  Schema.Union(Schema.String, Schema.Number).pipe(
    Schema.filter((id) => (typeof id === "number" ? Number.isSafeInteger(id) && id > 0 : /^[1-9]\d{0,18}$/.test(id))),
  ),
  "must be a positive whole number; past 2^53 its digits as text",
)

const activityDate = limited(Schema.declare(isDateTime), "must be a valid DateTime")

const value = { value: Schema.Unknown }

const activity = Schema.Struct({
  leadId,
  activityDate,
  activityTypeId: Schema.Number,
  primaryAttributeValue: Schema.String,
  attributes: Schema.Array(
    Schema.Union(Schema.Struct({ apiName: Schema.String, ...value }), Schema.Struct({ name: Schema.String, ...value })),
  ),
})

const toDay = (value: unknown) => (DateTime.isDateTime(value) ? DateTime.formatIsoDate(value) : value)

const toText = (value: unknown) => (DateTime.isDateTime(value) ? formatDateTime(value) : String(value))

/**
 * A Schema that makes activities of records of `type`, as `describe` gave it. A wrong `apiName` or a value that the data
 * type does not take fails with its path, before any call; messages name limits and never quote values.
 *
 * - `string` takes up to 255 characters, `text` up to 30,000 bytes; `link`, `email`, `phone` and unknown types take text
 * - `boolean`; `integer` (number or bigint), `float` and `currency` (finite numbers)
 * - `datetime` takes a `DateTime`, sent as whole seconds with its offset; `date` that, as the day in its zone, or
 *   `YYYY-MM-DD`
 *
 * The primary attribute is required, the others may be left out. It decodes only: an activity is not made a record again.
 *
 * Fails with `MarketoInvalidRequest` for a type whose records Marketo would refuse, or that was not described.
 *
 * @since 0.1.0
 * @category constructors
 */
export const recordSchema = (
  type: CustomActivityType,
): Either.Either<Schema.Schema<CustomActivity, CustomActivityRecord>, MarketoInvalidRequest> =>
  Either.gen(function* () {
    const invalid = (limit: string) => new MarketoInvalidRequest({ field: "type", limit: `${type.apiName} ${limit}` })
    if (type.status === "draft" || type.status === "deleted") {
      return yield* Either.left(invalid(`is ${type.status}: only an approved type takes records`))
    }
    const undescribed = () => invalid("lacks its id or its primary attribute: use the type that `describe` gives")
    const id = yield* Either.fromOption(type.id, undescribed)
    const primary = yield* Either.fromOption(type.primaryAttribute, undescribed)
    const dates = new Set([primary, ...type.attributes].flatMap((a) => (a.dataType === "date" ? [a.apiName] : [])))
    const record = Schema.Struct({
      leadId,
      activityDate,
      attributes: Schema.Struct({
        ...Object.fromEntries(
          type.attributes.map((attribute) => [
            attribute.apiName,
            Schema.optionalWith(valueOf(attribute), { exact: true }),
          ]),
        ),
        [primary.apiName]: valueOf(primary),
      }).annotations({ message: () => "must be an object: the values by the apiName of their attribute" }),
    }).annotations({
      identifier: `record of ${type.apiName}`,
      message: () => "must be an object with leadId, activityDate and attributes",
      parseOptions: { onExcessProperty: "error", errors: "all" },
    })
    return Schema.transformOrFail(record, activity, {
      strict: true,
      decode: ({ activityDate, attributes, leadId }) => {
        const { [primary.apiName]: primaryValue, ...secondary } = Record.map(attributes, (value, apiName) =>
          dates.has(apiName) ? toDay(value) : value,
        )
        return ParseResult.succeed({
          leadId,
          activityDate,
          activityTypeId: id,
          primaryAttributeValue: toText(primaryValue),
          attributes: Object.entries(secondary).map(([apiName, value]) => ({ apiName, value })),
        })
      },
      encode: (activity, _, ast) =>
        ParseResult.fail(new ParseResult.Forbidden(ast, activity, "an activity is not made a record again")),
    })
  })
