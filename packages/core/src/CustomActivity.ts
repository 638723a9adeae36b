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
import * as Option from "effect/Option"
import type { LeadId } from "./Activity.js"
import * as instant from "./internal/instant.js"
import { JsonBytes } from "./internal/jsonBytes.js"
import * as jsonText from "./internal/jsonText.js"
import * as sentForm from "./internal/sentForm.js"
import { MarketoInvalidRequest } from "./MarketoError.js"

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

const LEAD_ID = "must be a positive whole number; past 2^53 it must be given as text"
const TYPE_ID = "must be a positive whole number"
const TEXT = "must be text"
const DATE = "must be a date and time with its zone, such as 2026-01-31T12:00:00Z"
const ATTRIBUTE_VALUE = "must be text, a finite number or a boolean; an attribute without a value is left out"

const UNSAFE = "past 2^53 it must be given as text"

const isExact = (value: unknown): boolean =>
  Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))

const isTypeId = (id: unknown): boolean => Number.isSafeInteger(id) && (id as number) > 0

const isLeadId = (id: unknown): boolean => (typeof id === "string" ? /^[1-9]\d{0,18}$/.test(id) : isTypeId(id))

const invalid = (field: string, limit: string) => new MarketoInvalidRequest({ field, limit })

/** Appends the value of an attribute; false where there is none. */
const writeValue = (json: JsonBytes, value: unknown): boolean => {
  switch (typeof value) {
    case "string":
      json.string(value)
      return true
    case "number":
      json.ascii(String(value))
      return Number.isFinite(value)
    case "bigint":
    case "boolean":
      json.ascii(String(value))
      return true
    default:
      if (!(DateTime.isDateTime(value) && Number.isFinite(value.epochMillis))) return false
      json.ascii(`"${formatDateTime(value)}"`)
      return true
  }
}

const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** @internal Appends the JSON of one record, or part of it when there is an error. */
export const writeJson = (json: JsonBytes, self: CustomActivity): MarketoInvalidRequest | undefined => {
  if (self instanceof Checked) {
    json.fragment(self.json)
    return undefined
  }
  const { activityDate, activityTypeId, attributes, leadId, primaryAttributeValue } = self
  if (!isLeadId(leadId)) return invalid("leadId", LEAD_ID)
  if (!DateTime.isDateTime(activityDate) || !Number.isFinite(activityDate.epochMillis)) {
    return invalid("activityDate", "must be a valid DateTime")
  }
  if (!isTypeId(activityTypeId)) return invalid("activityTypeId", TYPE_ID)
  if (typeof primaryAttributeValue !== "string") return invalid("primaryAttributeValue", TEXT)
  json.fragment(sentForm.fragments.leadId)
  json.ascii(String(leadId))
  json.fragment(sentForm.fragments.activityDate)
  json.ascii(formatDateTime(activityDate))
  json.fragment(sentForm.fragments.activityTypeId)
  json.ascii(String(activityTypeId))
  json.fragment(sentForm.fragments.primaryAttributeValue)
  json.string(primaryAttributeValue)
  json.fragment(sentForm.fragments.attributes)
  for (let i = 0; i < attributes.length; i++) {
    const attribute = attributes[i] as { readonly apiName?: unknown; readonly name?: unknown; readonly value: unknown }
    const key = attribute.apiName === undefined ? "name" : "apiName"
    const name = attribute[key]
    if (typeof name !== "string" || name === "") return invalid(`attributes.${i}.${key}`, TEXT)
    if (i > 0) json.byte(COMMA)
    json.fragment(sentForm.fragments[key])
    json.string(name)
    json.fragment(sentForm.fragments.value)
    if (!writeValue(json, attribute.value)) {
      return invalid(
        `attributes.${i}.value`,
        "must be text, a finite number, a bigint, a boolean or a valid DateTime; an attribute without a value is left out",
      )
    }
    json.byte(CLOSE_BRACE)
  }
  json.fragment(sentForm.fragments.end)
  return undefined
}

/**
 * The JSON text of one record, its members in the order of Marketo's documentation. Ids past 2^53, given as text, stay
 * exact.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toJson = (self: CustomActivity): Either.Either<string, MarketoInvalidRequest> => {
  const json = new JsonBytes(1_024)
  const error = writeJson(json, self)
  return error === undefined ? Either.right(json.toString()) : Either.left(error)
}

/** Bytes of a record: Marketo takes 65,536 of attributes, and JSON's longest spelling of a byte has six. */
const MAX_BYTES = 500_000

/** A record has four: itself, `attributes`, an attribute, and its value. */
const MAX_LEVELS = 10

const tooLong = invalid("record", `must have at most ${MAX_BYTES} bytes`)
const tooDeep = invalid("record", `must not be nested deeper than ${MAX_LEVELS} levels`)

/** A record whose members have passed their checks. */
type Json = Omit<CustomActivity, "activityDate" | "attributes"> & {
  readonly activityDate: string
  readonly attributes?: CustomActivity["attributes"]
}

type Members = Readonly<Record<string, unknown>>

const isObject = (input: unknown): input is Members =>
  typeof input === "object" && input !== null && !Array.isArray(input)

const isDate = (date: unknown): boolean => typeof date === "string" && !Number.isNaN(instant.parse(date))

const isText = (text: unknown): boolean => typeof text === "string"

/** The members that a record must have, in the order in which they are checked. */
const required = [
  ["leadId", isLeadId, LEAD_ID],
  ["activityDate", isDate, DATE],
  ["activityTypeId", isTypeId, TYPE_ID],
  ["primaryAttributeValue", isText, TEXT],
] as const

const MEMBERS: ReadonlySet<string> = new Set([...required.map(([name]) => name), "attributes"])
const ATTRIBUTE_MEMBERS: ReadonlySet<string> = new Set(["apiName", "name", "value"])

/** A misspelt member would be left out without a word, and what is written cannot be taken back. */
const strange = (members: Members, known: ReadonlySet<string>): string | undefined =>
  Object.keys(members).find((name) => !known.has(name))

/** JSON can write numbers past the largest, and whole ones that are rounded when they are read. */
const valueFault = (value: unknown): string | undefined => {
  if (typeof value === "string" || typeof value === "boolean" || isExact(value)) return undefined
  return typeof value === "number" && Number.isFinite(value) ? UNSAFE : ATTRIBUTE_VALUE
}

/** The path within the attribute, and what must be there. */
const attributeFault = (attribute: unknown): readonly [path: string, limit: string] | undefined => {
  if (!isObject(attribute)) return ["", "must be an object with an apiName or a name, and a value"]
  const key = "name" in attribute && !("apiName" in attribute) ? "name" : "apiName"
  const { [key]: name, value } = attribute
  for (const member of [key, "value"]) if (!(member in attribute)) return [`.${member}`, "is missing"]
  if (typeof name !== "string" || name === "") return [`.${key}`, TEXT]
  const fault = valueFault(value)
  if (fault !== undefined) return [".value", fault]
  const member = strange(attribute, ATTRIBUTE_MEMBERS)
  return member === undefined ? undefined : [`.${member}`, "is no member of an attribute"]
}

/** The first path at fault, and what must be there. Never the value: it may be personal. */
const faultOf = (input: Members): MarketoInvalidRequest | undefined => {
  for (const [name, isValid, limit] of required) {
    if (!isValid(input[name])) return invalid(name, name in input ? limit : "is missing")
  }
  const { attributes = [] } = input
  if (!Array.isArray(attributes)) return invalid("attributes", "must be a list")
  for (let i = 0; i < attributes.length; i++) {
    const fault = attributeFault(attributes[i])
    if (fault !== undefined) return invalid(`attributes.${i}${fault[0]}`, fault[1])
  }
  const member = strange(input, MEMBERS)
  return member === undefined ? undefined : invalid(member, "is no member of a custom activity")
}

/**
 * The record that JSON such as that of `toJson` describes, a missing `attributes` being none; of an attribute with both `apiName` and
 * `name` the first counts. Fails with the path at fault, also of a member that is none of a custom activity, and without a value of the
 * record. Numbers past 2^53 must be text. At most 500,000 bytes, and ten levels of nesting: any text has its answer within
 * milliseconds.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromJson = (json: string): Either.Either<CustomActivity, MarketoInvalidRequest> => {
  if (json.length > MAX_BYTES) return Either.left(tooLong)
  if (jsonText.isDeeper(json, MAX_LEVELS)) return Either.left(tooDeep)
  let input: unknown
  try {
    input = JSON.parse(json)
  } catch {
    return Either.left(invalid("record", "must be JSON"))
  }
  if (!isObject(input)) return Either.left(invalid("record", "must be a JSON object"))
  const fault = faultOf(input)
  if (fault !== undefined) return Either.left(fault)
  const { activityDate, attributes = [], ...others } = input as unknown as Json
  return Either.right({ ...others, activityDate: DateTime.unsafeMake(instant.parse(activityDate)), attributes })
}

/**
 * A custom activity that is known to be valid, kept as the JSON that is sent. Made by `fromBytes` only: its members are read from
 * the JSON when they are asked for, and a copy by spreading would lose them, so it does not compile. To change a member, take
 * `fromJson`.
 *
 * @since 0.1.0
 * @category models
 */
export abstract class Encoded implements CustomActivity {
  /**
   * UTF-8, as `toJson` writes it.
   *
   * @since 0.1.0
   */
  abstract readonly json: Uint8Array
  /**
   * @since 0.1.0
   */
  abstract get leadId(): CustomActivity["leadId"]
  /**
   * @since 0.1.0
   */
  abstract get activityDate(): CustomActivity["activityDate"]
  /**
   * @since 0.1.0
   */
  abstract get activityTypeId(): CustomActivity["activityTypeId"]
  /**
   * @since 0.1.0
   */
  abstract get primaryAttributeValue(): CustomActivity["primaryAttributeValue"]
  /**
   * @since 0.1.0
   */
  abstract get attributes(): CustomActivity["attributes"]
}

class Checked extends Encoded {
  /** What `json` was made of, which says more: whether an id was text. */
  readonly #source: Uint8Array
  #members: CustomActivity | undefined

  constructor(
    readonly json: Uint8Array,
    source: Uint8Array,
  ) {
    super()
    this.#source = source
  }

  #read(): CustomActivity {
    this.#members ??= Either.getOrThrow(fromJson(decoder.decode(this.#source)))
    return this.#members
  }

  get leadId() {
    return this.#read().leadId
  }

  get activityDate() {
    return this.#read().activityDate
  }

  get activityTypeId() {
    return this.#read().activityTypeId
  }

  get primaryAttributeValue() {
    return this.#read().primaryAttributeValue
  }

  get attributes() {
    return this.#read().attributes
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true })

const textOf = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes)
  } catch {
    return "" // bytes that are not UTF-8 are not JSON either
  }
}

/**
 * `fromJson` of UTF-8, for records that are only passed on. Where the bytes are as `toJson` writes them (members in that order, no
 * blanks, `activityDate` in UTC, with a fraction of a second or without), they are checked in one pass and sent as they are, in place
 * of being read and written again. The bytes must not change afterwards.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromBytes = (json: Uint8Array): Either.Either<Encoded, MarketoInvalidRequest> => {
  if (json.length > MAX_BYTES) return Either.left(tooLong)
  const text = textOf(json)
  // decoding drops a byte order mark
  const sent = json[0] === OPEN_BRACE ? sentForm.ofRecord(json, text) : Option.none()
  if (Option.isSome(sent)) return Either.right(new Checked(sent.value, json))
  return Either.flatMap(fromJson(text), (members) => {
    const encoded = new JsonBytes(json.length)
    const error = writeJson(encoded, members)
    return error === undefined ? Either.right(new Checked(encoded.toBytes(), json)) : Either.left(error)
  })
}
