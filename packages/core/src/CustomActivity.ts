/**
 * A custom activity on its way to Marketo, and the JSON text that it is sent as.
 *
 * Everything is checked before a call: a value that JSON would change without a word (`NaN`, `undefined`, an invalid date)
 * is an error with the path at fault.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import type { LeadId } from "./Activity.js"
import { InvalidRequest } from "./MarketoError.js"

/**
 * A value by the attribute's `apiName`, or by its display name. Values are text, finite numbers, bigints, booleans and
 * `DateTime`s; an attribute without a value is left out.
 *
 * @since 0.1.0
 * @category models
 */
export type CustomActivityAttribute =
  | { readonly apiName: string; readonly value: unknown }
  | { readonly name: string; readonly value: unknown }

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomActivity {
  /** An existing lead. */
  readonly leadId: LeadId | number
  /** When it happened, which may be in the past. Marketo resolves seconds; a zone is kept. */
  readonly activityDate: DateTime.DateTime
  /** An approved custom type: 100000 and up. */
  readonly activityTypeId: number
  readonly primaryAttributeValue: string
  /** The secondary attributes; 65,536 bytes at most, else Marketo skips the record (1049). */
  readonly attributes: ReadonlyArray<CustomActivityAttribute>
}

const DAY = 86_400_000

/** The day that was written last, and its text: records of a batch are often of one day. */
let day = Number.NaN
let dayText = ""

const two = (value: number) => (value < 10 ? `0${value}` : `${value}`)

const formatUtc = (millis: number): string => {
  const days = Math.floor(millis / DAY)
  if (days !== day) {
    day = days
    dayText = new Date(days * DAY).toISOString().slice(0, -"00:00:00.000Z".length)
  }
  const seconds = Math.floor((millis - days * DAY) / 1_000)
  return `${dayText}${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}Z`
}

/**
 * A date and time as Marketo takes it: ISO 8601 with offset, whole seconds.
 *
 * @since 0.1.0
 * @category conversions
 */
export const formatDateTime = (date: DateTime.DateTime): string =>
  DateTime.isZoned(date) ? DateTime.formatIsoOffset(date).replace(/\.\d+/, "") : formatUtc(date.epochMillis)

const invalid = (field: string, limit: string) => Either.left(new InvalidRequest({ field, limit }))

/** The JSON text of an attribute's value; `undefined` where there is none. */
const valueText = (value: unknown): string | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value)
    case "number":
      return Number.isFinite(value) ? String(value) : undefined
    case "bigint":
      return String(value)
    default:
      return DateTime.isDateTime(value) && Number.isFinite(value.epochMillis) ? `"${formatDateTime(value)}"` : undefined
  }
}

/**
 * The JSON text of one record, its members in the order of Marketo's documentation. Ids past 2^53, given as text, stay
 * exact.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toJson = (self: CustomActivity): Either.Either<string, InvalidRequest> => {
  const { activityDate, activityTypeId, attributes, leadId, primaryAttributeValue } = self
  if (!(typeof leadId === "number" ? Number.isSafeInteger(leadId) && leadId > 0 : /^[1-9]\d{0,18}$/.test(leadId))) {
    return invalid("leadId", "must be a positive whole number; past 2^53 it must be given as text")
  }
  if (!DateTime.isDateTime(activityDate) || !Number.isFinite(activityDate.epochMillis)) {
    return invalid("activityDate", "must be a valid DateTime")
  }
  if (!Number.isSafeInteger(activityTypeId) || activityTypeId < 1) {
    return invalid("activityTypeId", "must be a positive whole number")
  }
  if (typeof primaryAttributeValue !== "string") return invalid("primaryAttributeValue", "must be text")
  // joined once: strings that are added up piece by piece are trees, and 300 of them cost more than all the rest of a call
  const pieces = [
    `{"leadId":`,
    leadId,
    `,"activityDate":"`,
    formatDateTime(activityDate),
    `","activityTypeId":`,
    activityTypeId,
    `,"primaryAttributeValue":`,
    JSON.stringify(primaryAttributeValue),
    `,"attributes":[`,
  ]
  for (let i = 0; i < attributes.length; i++) {
    const attribute = attributes[i] as { readonly apiName?: unknown; readonly name?: unknown; readonly value: unknown }
    const key = attribute.apiName === undefined ? "name" : "apiName"
    const name = attribute[key]
    if (typeof name !== "string" || name === "") return invalid(`attributes.${i}.${key}`, "must be text")
    const value = valueText(attribute.value)
    if (value === undefined) {
      return invalid(
        `attributes.${i}.value`,
        "must be text, a finite number, a bigint, a boolean or a valid DateTime; an attribute without a value is left out",
      )
    }
    pieces.push(i === 0 ? `{"` : `,{"`, key, `":`, JSON.stringify(name), `,"value":`, value, "}")
  }
  pieces.push("]}")
  return Either.right(pieces.join(""))
}
