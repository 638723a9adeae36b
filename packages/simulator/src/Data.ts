/**
 * What an instance holds: leads and their fields, custom activity types, activities. As schemas, because all of it also
 * comes from JSON: the file of `--config`, and the control addresses under `/_simulator/`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const optional = Schema.optional

/**
 * ISO 8601.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Instant = Schema.String.pipe(
  Schema.filter((text) => !Number.isNaN(Date.parse(text)), {
    message: () => "Expected an ISO 8601 instant, such as 2026-01-01T00:00:00Z",
  }),
)

/** Of any size: decimal digits, or a number. */
const Id = Schema.Union(Schema.NonNegativeInt, Schema.String.pipe(Schema.pattern(/^\d+$/))).annotations({
  message: () => ({ message: "Expected an id: decimal digits, or a whole number", override: true }),
})

/**
 * A field that every lead has.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LeadField = Schema.Struct({
  /** The name in the REST API, such as `firstName`. */
  name: Schema.NonEmptyString,
  /** The name in activities, such as `First Name`. Default: `name`. */
  displayName: optional(Schema.NonEmptyString),
  /** Default: `string`. */
  dataType: optional(Schema.NonEmptyString),
  /** Default: the next one above the standard ones. */
  id: optional(Schema.NonNegativeInt),
  /** Default: 255 for strings, none for others. */
  length: optional(Schema.NonNegativeInt),
  /** Default: false. */
  readOnly: optional(Schema.Boolean),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface LeadField extends Schema.Schema.Type<typeof LeadField> {}

/**
 * A lead: its id, and the values of its fields by their REST names. The names and the e-mail address that are left out
 * are made up, as those of generated leads are.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Lead = Schema.Struct(
  { id: Schema.Int.pipe(Schema.positive()) },
  { key: Schema.String, value: Schema.Unknown },
)

/**
 * @since 0.1.0
 * @category schemas
 */
export interface Lead extends Schema.Schema.Type<typeof Lead> {}

/**
 * An attribute of a custom activity type.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomTypeAttribute = Schema.Struct({
  apiName: Schema.String,
  name: Schema.String,
  dataType: Schema.Literal(
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
  ),
  description: optional(Schema.String),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface CustomTypeAttribute extends Schema.Schema.Type<typeof CustomTypeAttribute> {}

/**
 * A custom activity type that exists without having been created by a call.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CustomType = Schema.Struct({
  /** Default: the next one, from 100001 on. */
  id: optional(Schema.Int.pipe(Schema.positive())),
  /** Letters and digits. */
  apiName: Schema.String,
  name: Schema.String,
  description: optional(Schema.String),
  /** Default: `name`. */
  triggerName: optional(Schema.String),
  /** Default: `name`. */
  filterName: optional(Schema.String),
  primaryAttribute: CustomTypeAttribute,
  /** The secondary ones, at most 20. Default: none. */
  attributes: optional(Schema.Array(CustomTypeAttribute)),
  /** Default: `approved`. */
  status: optional(Schema.Literal("draft", "approved", "approved with draft", "deleted")),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface CustomType extends Schema.Schema.Type<typeof CustomType> {}

/**
 * One changed field of a lead. `id` is that of the field, `name` its REST name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LeadChangeField = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  newValue: Schema.NullOr(Schema.String),
  oldValue: Schema.NullOr(Schema.String),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface LeadChangeField extends Schema.Schema.Type<typeof LeadChangeField> {}

/**
 * An activity to store. What is left out is made up.
 *
 * @since 0.1.0
 * @category schemas
 */
export const NewActivity = Schema.Struct({
  /** Of any size; also the `marketoGUID`. Default: the next one. */
  id: optional(Id),
  /** Default: 1, Visit Webpage. */
  activityTypeId: optional(Schema.Int),
  /** Default: the first lead. */
  leadId: optional(Id),
  /** Default: now. An older date makes it a late arrival. */
  activityDate: optional(Instant),
  /**
   * More members of the JSON object, such as `attributes`, `primaryAttributeValue`, or any that Marketo does not have.
   */
  members: optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  /**
   * What changed, of an activity of type 13. `leadchanges.json` shows those that are asked for, `activities.json` the
   * first, unless `members` says otherwise. Default: the first name.
   */
  fields: optional(Schema.Array(LeadChangeField)),
  /** The JSON text to serve, whatever it holds; the members above then only say which filters it passes. */
  text: optional(Schema.String),
})

/**
 * @since 0.1.0
 * @category schemas
 */
export interface NewActivity extends Schema.Schema.Type<typeof NewActivity> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface StoredActivity {
  /** Decimal digits. */
  readonly id: string
  readonly activityTypeId: number
  /** Decimal digits. */
  readonly leadId: string
  /** As it stands in the text. */
  readonly activityDate: string
  /** The very JSON text that `activities.json` and `deletedleads.json` serve. */
  readonly text: string
  /** The very JSON text that `leadchanges.json` serves to a reader of all fields, if it serves this one. */
  readonly leadChange: string | undefined
}
