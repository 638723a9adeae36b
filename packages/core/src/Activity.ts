/**
 * The three kinds of record that the Activities API returns: what Marketo sends, as schemas, and the typed view that
 * programs read.
 *
 * Schemas accept what is documented *and* what was recorded: `id` or `marketoGUID` missing, ids as numbers or digits,
 * `null` for absent, every spelling of a date. Members that are not listed are left alone: `ActivityRecord.text` holds
 * them.
 *
 * @example
 * import { Activity } from "@effect-marketo/core"
 * import { Option } from "effect"
 *
 * declare const activity: Activity.Activity
 * // Marketo changes the case of attribute names between its definitions and its records
 * const isBot = Option.contains(Activity.attribute(activity, "Is Bot Activity"), true)
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as instant from "./internal/instant.js"
import * as jsonText from "./internal/jsonText.js"

/**
 * The id of a lead: decimal digits. It is int64 on the wire, so text here: exact at any size, and what a Kafka key and
 * a query want.
 *
 * @since 0.1.0
 * @category models
 */
export type LeadId = string

const int64 = Schema.Union(
  Schema.Number.pipe(Schema.filter((n) => Number.isInteger(n), { identifier: "int64" })),
  Schema.String.pipe(Schema.filter((s) => /^-?\d{1,19}$/.test(s), { identifier: "int64 as text" })),
)

const orAbsent = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

/**
 * A name and a value of any JSON type. Marketo sends integers now as numbers, now as text; `value` is what it sent.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Attribute = Schema.Struct({
  name: Schema.String,
  apiName: orAbsent(Schema.String),
  value: Schema.optional(Schema.Unknown),
}).annotations({ identifier: "Attribute" })

/**
 * @since 0.1.0
 * @category models
 */
export interface Attribute {
  readonly name: string
  readonly apiName?: string | undefined
  readonly value: unknown
}

const common = {
  marketoGUID: orAbsent(Schema.String),
  id: orAbsent(int64),
  leadId: int64,
  activityDate: Schema.String.pipe(
    Schema.filter((s) => !Number.isNaN(instant.parse(s)), { identifier: "instant with a zone" }),
  ),
  activityTypeId: Schema.Number.pipe(Schema.filter((n) => Number.isSafeInteger(n), { identifier: "int32" })),
  campaignId: orAbsent(int64),
  attributes: orAbsent(Schema.Array(Attribute)),
}

/**
 * An element of `activities.json`, as Marketo sends it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityJson = Schema.Struct({
  ...common,
  primaryAttributeValueId: orAbsent(int64),
  primaryAttributeValue: orAbsent(Schema.String),
}).annotations({ identifier: "Activity" })

/**
 * An element of `leadchanges.json`, as Marketo sends it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LeadChangeJson = Schema.Struct({
  ...common,
  fields: orAbsent(
    Schema.Array(
      Schema.Struct({
        id: Schema.Number.pipe(Schema.filter((n) => Number.isSafeInteger(n), { identifier: "int32" })),
        name: Schema.String,
        newValue: orAbsent(Schema.String),
        oldValue: orAbsent(Schema.String),
      }),
    ),
  ),
}).annotations({ identifier: "LeadChange" })

/**
 * An element of `deletedleads.json`, as Marketo sends it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DeletedLeadJson = Schema.Struct({
  ...common,
  primaryAttributeValueId: orAbsent(int64),
  primaryAttributeValue: orAbsent(Schema.String),
}).annotations({ identifier: "DeletedLead" })

/**
 * What the three kinds share.
 *
 * @since 0.1.0
 * @category models
 */
export interface ActivityCommon {
  /** Marketo's `marketoGUID`; where Marketo sent none, the record's `identity`. Text of up to 128 characters. */
  readonly marketoGUID: string
  /** Missing on instances with the Activity Service, and no longer unique there. */
  readonly id: Option.Option<string>
  readonly leadId: LeadId
  /** When it happened; Marketo resolves seconds. An activity may be stored later than that. */
  readonly activityDate: DateTime.Utc
  readonly activityTypeId: number
  /** The smart campaign that caused it. */
  readonly campaignId: Option.Option<string>
  /** An attribute without a value is left out by Marketo. */
  readonly attributes: ReadonlyArray<Attribute>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Activity extends ActivityCommon {
  readonly _tag: "Activity"
  /** The asset, field or lead that it is about. */
  readonly primaryAttributeValueId: Option.Option<string>
  readonly primaryAttributeValue: Option.Option<string>
}

/**
 * A change of lead fields: type 12 (New Lead, `fields` empty) or 13 (Change Data Value).
 *
 * @since 0.1.0
 * @category models
 */
export interface LeadChange extends ActivityCommon {
  readonly _tag: "LeadChange"
  readonly fields: ReadonlyArray<LeadChangeField>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LeadChangeField {
  /** The field's id, not that of the change. */
  readonly id: number
  /** The field's REST name. */
  readonly name: string
  readonly newValue: string | null
  readonly oldValue: string | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface DeletedLead extends ActivityCommon {
  readonly _tag: "DeletedLead"
  /** The lead that is gone: the primary attribute, else `leadId`. */
  readonly deletedLeadId: LeadId
}

/**
 * @since 0.1.0
 * @category models
 */
export type AnyActivity = Activity | LeadChange | DeletedLead

/**
 * The value of the first attribute of that name (or `apiName`), case ignored.
 *
 * @since 0.1.0
 * @category accessors
 */
export const attribute: {
  (name: string): (self: ActivityCommon) => Option.Option<unknown>
  (self: ActivityCommon, name: string): Option.Option<unknown>
} = dual(2, (self: ActivityCommon, name: string): Option.Option<unknown> => {
  const wanted = name.toLowerCase()
  const found = self.attributes.find((a) => a.name.toLowerCase() === wanted || a.apiName?.toLowerCase() === wanted)
  return Option.fromNullable(found?.value)
})

/** @internal An id as text; `JSON.parse` rounds numbers past 2^53, so those are read from the text. */
export const exactId = (
  value: number | string | null | undefined,
  name: string,
  text: () => string,
): string | undefined => {
  if (value === undefined || value === null) return undefined
  return typeof value === "number" && !Number.isSafeInteger(value) ? jsonText.member(text(), name) : String(value)
}

/** @internal What an element has that passed the check of any of the three schemas. */
export interface Received {
  readonly marketoGUID?: string | null | undefined
  readonly id?: number | string | null | undefined
  readonly leadId: number | string
  readonly activityDate: string
  readonly activityTypeId: number
  readonly campaignId?: number | string | null | undefined
  readonly attributes?: ReadonlyArray<typeof Attribute.Type> | null | undefined
  readonly primaryAttributeValueId?: number | string | null | undefined
  readonly primaryAttributeValue?: string | null | undefined
  readonly fields?:
    | ReadonlyArray<{
        readonly id: number
        readonly name: string
        readonly newValue?: string | null | undefined
        readonly oldValue?: string | null | undefined
      }>
    | null
    | undefined
}

/** @internal */
export const toTyped: {
  readonly [K in AnyActivity["_tag"]]: (
    raw: Received,
    text: string,
    identity: string,
  ) => Extract<AnyActivity, { _tag: K }>
} = {
  Activity: (raw, text, identity) => ({
    _tag: "Activity",
    ...toCommon(raw, text, identity),
    primaryAttributeValueId: Option.fromNullable(
      exactId(raw.primaryAttributeValueId, "primaryAttributeValueId", () => text),
    ),
    primaryAttributeValue: Option.fromNullable(raw.primaryAttributeValue),
  }),
  LeadChange: (raw, text, identity) => ({
    _tag: "LeadChange",
    ...toCommon(raw, text, identity),
    fields: (raw.fields ?? []).map(({ id, name, newValue, oldValue }) => ({
      id,
      name,
      newValue: newValue ?? null,
      oldValue: oldValue ?? null,
    })),
  }),
  DeletedLead: (raw, text, identity) => ({
    _tag: "DeletedLead",
    ...toCommon(raw, text, identity),
    deletedLeadId:
      exactId(raw.primaryAttributeValueId, "primaryAttributeValueId", () => text) ??
      exactId(raw.leadId, "leadId", () => text) ??
      "",
  }),
}

const toCommon = (raw: Received, text: string, identity: string): ActivityCommon => ({
  marketoGUID: raw.marketoGUID ?? identity,
  id: Option.fromNullable(exactId(raw.id, "id", () => text)),
  leadId: exactId(raw.leadId, "leadId", () => text) ?? "",
  activityDate: DateTime.unsafeMake(instant.parse(raw.activityDate)),
  activityTypeId: raw.activityTypeId,
  campaignId: Option.fromNullable(exactId(raw.campaignId, "campaignId", () => text)),
  attributes: (raw.attributes ?? []).map(({ apiName, name, value }) => ({
    name,
    apiName: apiName ?? undefined,
    value,
  })),
})
