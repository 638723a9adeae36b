/**
 * The three kinds of record that the Activities API returns: what every element must have, as a schema, and the typed view
 * that programs read.
 *
 * The check is strict only where identity, key or position depend on it. Everything else is read as it comes: a member of an
 * unusual type is shown as Marketo sent it, and one that the view has no place for stays in `ActivityRecord.text`.
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
import * as Predicate from "effect/Predicate"
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
 * What an element of `activities.json`, `leadchanges.json` or `deletedleads.json` must have. It accepts what is documented and
 * what was recorded: `id` or `marketoGUID` missing, ids as numbers or digits, `null` for absent, every spelling of a date.
 * All other members may be of any type.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityJson = Schema.Struct({
  marketoGUID: orAbsent(Schema.Union(Schema.String, Schema.Number)),
  id: orAbsent(int64),
  leadId: int64,
  activityDate: Schema.String.pipe(
    Schema.filter((s) => !Number.isNaN(instant.parse(s)), { identifier: "instant with a zone" }),
  ),
  activityTypeId: Schema.Number.pipe(Schema.filter((n) => Number.isSafeInteger(n), { identifier: "int32" })),
}).annotations({ identifier: "ActivityJson" })

/**
 * A name and a value of any JSON type. Marketo sends integers as numbers or as text; `value` is what it sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attribute {
  /** The display name. Its case may differ from that in the type's definition. */
  readonly name: string
  readonly apiName: Option.Option<string>
  readonly value: unknown
}

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
  /** Marketo leaves out an attribute without a value. An element without a name is not listed here. */
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
  /** A string by Marketo's documentation; a value of another type is shown as it came. */
  readonly primaryAttributeValue: Option.Option<unknown>
}

/**
 * A change of lead fields: type 12 (New Lead, `fields` empty) or 13 (Change Data Value).
 *
 * @since 0.1.0
 * @category models
 */
export interface LeadChange extends ActivityCommon {
  readonly _tag: "LeadChange"
  /** An element without a name is not listed here. */
  readonly fields: ReadonlyArray<LeadChangeField>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LeadChangeField {
  /** The field's id, not that of the change. */
  readonly id: Option.Option<number>
  /** The field's REST name. */
  readonly name: string
  /** A string by Marketo's documentation; a value of another type is shown as it came. None if the field is empty now. */
  readonly newValue: Option.Option<unknown>
  /** None if the field was empty. */
  readonly oldValue: Option.Option<unknown>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface DeletedLead extends ActivityCommon {
  readonly _tag: "DeletedLead"
  /**
   * The lead that is gone: `leadId`, to which an activity belongs. In one of Adobe's samples `primaryAttributeValueId` differs
   * from it; nothing documents what that would mean.
   */
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
  const found = self.attributes.find(
    (a) => a.name.toLowerCase() === wanted || Option.exists(a.apiName, (apiName) => apiName.toLowerCase() === wanted),
  )
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

/** @internal What an element has that passed the check; members that are not checked may be anything. */
export interface Received {
  readonly marketoGUID?: number | string | null | undefined
  readonly id?: number | string | null | undefined
  readonly leadId: number | string
  readonly activityDate: string
  readonly activityTypeId: number
  readonly campaignId?: unknown
  readonly attributes?: unknown
  readonly primaryAttributeValueId?: unknown
  readonly primaryAttributeValue?: unknown
  readonly fields?: unknown
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
    primaryAttributeValueId: toId(raw, "primaryAttributeValueId", text),
    primaryAttributeValue: Option.fromNullable(raw.primaryAttributeValue),
  }),
  LeadChange: (raw, text, identity) => ({
    _tag: "LeadChange",
    ...toCommon(raw, text, identity),
    fields: named(raw.fields).map(({ id, name, newValue, oldValue }) => ({
      id: Option.liftPredicate(id, Predicate.isNumber),
      name,
      newValue: Option.fromNullable(newValue),
      oldValue: Option.fromNullable(oldValue),
    })),
  }),
  DeletedLead: (raw, text, identity) => {
    const common = toCommon(raw, text, identity)
    return { _tag: "DeletedLead", ...common, deletedLeadId: common.leadId }
  },
}

const toCommon = (raw: Received, text: string, identity: string): ActivityCommon => ({
  marketoGUID: identity,
  id: toId(raw, "id", text),
  leadId: exactId(raw.leadId, "leadId", () => text) ?? "",
  activityDate: DateTime.unsafeMake(instant.parse(raw.activityDate)),
  activityTypeId: raw.activityTypeId,
  campaignId: toId(raw, "campaignId", text),
  attributes: named(raw.attributes).map(({ apiName, name, value }) => ({
    name,
    apiName: Option.liftPredicate(apiName, Predicate.isString),
    value,
  })),
})

/** A member that should be an id; one of another type is shown as its JSON. */
const toId = (raw: Received, name: "id" | "campaignId" | "primaryAttributeValueId", text: string) => {
  const value = raw[name]
  if (value === undefined || value === null) return Option.none()
  if (typeof value === "string" || Number.isSafeInteger(value)) return Option.some(String(value))
  return Option.fromNullable(jsonText.member(text, name))
}

interface Named extends Readonly<Record<string, unknown>> {
  readonly name: string
}

const isNamed = (element: unknown): element is Named =>
  Predicate.hasProperty(element, "name") && typeof element.name === "string"

/** The elements of a list that have a name. */
const named = (list: unknown): ReadonlyArray<Named> => (Array.isArray(list) ? list.filter(isNamed) : [])
