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
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { LeadId } from "./Activity.js"
import { compile } from "./internal/guard.js"
import * as instant from "./internal/instant.js"
import { JsonBytes } from "./internal/jsonBytes.js"
import * as sentForm from "./internal/sentForm.js"
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

const LEAD_ID = "must be a positive whole number; past 2^53 it must be given as text"
const TYPE_ID = "must be a positive whole number"
const TEXT = "must be text"
const DATE = "must be a date and time with its zone, such as 2026-01-31T12:00:00Z"
const ATTRIBUTE_VALUE = "must be text, a finite number or a boolean; an attribute without a value is left out"

const UNSAFE = "past 2^53 it must be given as text"

const isExact = (value: number): boolean =>
  Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))

const isTypeId = (id: number): boolean => Number.isSafeInteger(id) && id > 0

const isLeadId = (id: LeadId | number): boolean => (typeof id === "number" ? isTypeId(id) : /^[1-9]\d{0,18}$/.test(id))

const invalid = (field: string, limit: string) => new InvalidRequest({ field, limit })

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
export const writeJson = (json: JsonBytes, self: CustomActivity): InvalidRequest | undefined => {
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
export const toJson = (self: CustomActivity): Either.Either<string, InvalidRequest> => {
  const json = new JsonBytes(1_024)
  const error = writeJson(json, self)
  return error === undefined ? Either.right(json.toString()) : Either.left(error)
}

/** In words of our own: those of a schema quote the value. */
const says = (message: string) => ({ message: () => ({ message, override: true }) })

const value = Schema.Union(Schema.String, Schema.Number, Schema.Literal(true, false)).annotations(says(ATTRIBUTE_VALUE))
const name = Schema.String.annotations(says(TEXT))

const attribute = {
  message: () => "must be an object with an apiName or a name, and a value",
}

/** Of what kind the members are; which values they may have is checked after that. */
const Json = Schema.Struct({
  leadId: Schema.Union(Schema.Number, Schema.String).annotations(says(LEAD_ID)),
  activityDate: Schema.String.annotations(says(DATE)),
  activityTypeId: Schema.Number.annotations(says(TYPE_ID)),
  primaryAttributeValue: Schema.String.annotations(says(TEXT)),
  attributes: Schema.optional(
    Schema.Array(
      Schema.Union(
        Schema.Struct({ apiName: name, value }).annotations(attribute),
        Schema.Struct({ name, value }).annotations(attribute),
      ),
    ).annotations({ message: () => "must be a list" }),
  ),
})

const isJson = compile(Json)

/** The path and what must be there. */
const explain = (input: unknown): InvalidRequest => {
  const decoded = Schema.decodeUnknownEither(Json)(input)
  const [issue] = Either.isLeft(decoded) ? ParseResult.ArrayFormatter.formatErrorSync(decoded.left) : []
  const path = issue?.path.join(".") ?? ""
  return path === "" || issue === undefined ? invalid("record", "must be a JSON object") : invalid(path, issue.message)
}

/** A misspelt member would be left out without a word, and what is written cannot be taken back. */
const strange = (members: object, known: ReadonlySet<string>): string | undefined =>
  Object.keys(members).find((name) => !known.has(name))

const MEMBERS: ReadonlySet<string> = new Set(Object.keys(Json.fields))
const ATTRIBUTE_MEMBERS: ReadonlySet<string> = new Set(["apiName", "name", "value"])

/**
 * The record that JSON such as that of `toJson` describes, a missing `attributes` being none; of an attribute with both `apiName` and
 * `name` the first counts. Fails with the path at fault, also of a member that is none of a custom activity, and without a value of the
 * record. Numbers past 2^53 must be text.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromJson = (json: string): Either.Either<CustomActivity, InvalidRequest> => {
  let input: unknown
  try {
    input = JSON.parse(json)
  } catch {
    return Either.left(invalid("record", "must be JSON"))
  }
  if (!isJson(input)) return Either.left(explain(input))
  const member = strange(input, MEMBERS)
  if (member !== undefined) return Either.left(invalid(member, "is no member of a custom activity"))
  const { activityTypeId, attributes = [], leadId, primaryAttributeValue } = input
  if (!isLeadId(leadId)) return Either.left(invalid("leadId", LEAD_ID))
  const millis = instant.parse(input.activityDate)
  if (Number.isNaN(millis)) return Either.left(invalid("activityDate", DATE))
  if (!isTypeId(activityTypeId)) return Either.left(invalid("activityTypeId", TYPE_ID))
  for (let i = 0; i < attributes.length; i++) {
    const attribute = attributes[i] as (typeof attributes)[number]
    const member = strange(attribute, ATTRIBUTE_MEMBERS)
    if (member !== undefined) return Either.left(invalid(`attributes.${i}.${member}`, "is no member of an attribute"))
    const key = "apiName" in attribute ? "apiName" : "name"
    const name = (attribute as Readonly<Record<string, unknown>>)[key]
    if (typeof name !== "string" || name === "") return Either.left(invalid(`attributes.${i}.${key}`, TEXT))
    // JSON can write numbers past the largest, and whole ones that are rounded when they are read
    if (typeof attribute.value === "number" && !isExact(attribute.value)) {
      return Either.left(invalid(`attributes.${i}.value`, Number.isFinite(attribute.value) ? UNSAFE : ATTRIBUTE_VALUE))
    }
  }
  const activityDate = DateTime.unsafeMake(millis)
  return Either.right({ leadId, activityDate, activityTypeId, primaryAttributeValue, attributes })
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
export const fromBytes = (json: Uint8Array): Either.Either<Encoded, InvalidRequest> => {
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
