/**
 * Looks up in Marketo's activities what became of records whose call ended without an answer.
 */
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Service as Activities } from "../Activities.js"
import type { Activity } from "../Activity.js"
import type { ActivityRecord } from "../ActivityRecord.js"
import type { ActivityType } from "../ActivityType.js"
import { type CustomActivity, formatDateTime } from "../CustomActivity.js"
import * as Feed from "../Feed.js"
import type { MarketoError } from "../MarketoError.js"
import * as instant from "./instant.js"

const LEADS_A_CALL = 30

export interface Found {
  /** The `marketoGUID` that each record was stored under, by position. */
  readonly guids: ReadonlyArray<Option.Option<string>>
  /** False when what was not found may be there all the same: the bound on calls ended the search, or a record has no identity. */
  readonly isComplete: boolean
}

/** What is known of an attribute by any of its names: one name for all of them, and its data type. */
interface Known {
  readonly name: string
  readonly dataType: string | undefined
}

interface Types {
  /** Marketo answers with display names where `apiName`s were sent. */
  readonly attribute: (activityTypeId: number, name: string) => Known
  readonly primary: (activityTypeId: number) => string | undefined
}

const typesOf = (types: ReadonlyArray<ActivityType>): Types => {
  const attributes = new Map<string, Known>()
  const primaries = new Map<number, string | undefined>()
  for (const type of types) {
    const primary = Option.flatMap(type.primaryAttribute, ({ dataType }) => dataType)
    primaries.set(type.id, Option.getOrUndefined(primary))
    for (const { apiName, name, ...declared } of type.attributes) {
      const dataType = Option.getOrUndefined(declared.dataType)
      for (const one of [name, Option.getOrElse(apiName, () => name)]) {
        attributes.set(`${type.id} ${one.toLowerCase()}`, { name: name.toLowerCase(), dataType })
      }
    }
  }
  return {
    attribute: (id, name) =>
      attributes.get(`${id} ${name.toLowerCase()}`) ?? { name: name.toLowerCase(), dataType: undefined },
    primary: (id) => primaries.get(id),
  }
}

const numeric: ReadonlySet<string> = new Set(["integer", "float", "currency", "percent", "score"])

/** `10`, `"10.0"` and `"1e1"` are one number; digits beyond what a double holds count too. */
const decimal = (text: string): string => {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/.exec(text)
  if (match === null) return text
  const [, sign, whole = "", fraction = "", exponent = "0"] = match
  const digits = `${whole}${fraction}`.replace(/^0+/, "")
  const significant = digits.replace(/0+$/, "")
  if (significant === "") return "0"
  const scale = Number(exponent) - fraction.length + (digits.length - significant.length)
  return `${sign === "-" ? "-" : ""}${significant}e${scale}`
}

/** We send scalars only, so a stored list or object equals nothing that was sent. */
const textOf = (value: unknown): string => (typeof value === "object" ? "(no scalar)" : String(value))

/** By what it is declared as: numbers and booleans come back now as such, now as text, and in other spellings. */
const exact = (value: unknown, dataType: string | undefined): string => {
  if (DateTime.isDateTime(value)) return canonical(value, undefined)
  const text = textOf(value)
  if (dataType === undefined || text === "") return text
  if (numeric.has(dataType)) return decimal(text)
  if (dataType === "boolean") return text.toLowerCase()
  return dataType === "datetime" ? canonical(text, undefined) : text
}

/** Of content: what reads as a date is one, whatever it is declared as. */
const canonical = (value: unknown, dataType: string | undefined): string => {
  if (DateTime.isDateTime(value)) return canonical(formatDateTime(value), undefined)
  const text = exact(value, dataType === "datetime" ? undefined : dataType)
  const millis = instant.parse(text)
  return Number.isNaN(millis) ? text : `@${Math.floor(millis / 1000)}`
}

type Attributes = ReadonlyArray<readonly [Known, unknown]>

const contentKey = (
  type: number,
  leadId: string,
  date: DateTime.DateTime,
  primary: unknown,
  attributes: Attributes,
  types: Types,
): string => {
  // Marketo leaves attributes without a value out
  const pairs = attributes
    .map(([{ dataType, name }, value]) => [name, canonical(value, dataType)] as const)
    .filter(([, value]) => value !== "")
  return JSON.stringify([
    type,
    leadId,
    Math.floor(DateTime.toEpochMillis(date) / 1000),
    canonical(primary, types.primary(type)),
    pairs.sort(),
  ])
}

/** `undefined` if the record lacks the identity: then nothing can be said of it. */
const identityKey = (
  type: number,
  identity: string,
  primary: unknown,
  attributes: Attributes,
  types: Types,
): string | undefined => {
  const isPrimary = identity === "primaryAttributeValue"
  const { dataType, name } = types.attribute(type, identity)
  const value = isPrimary ? primary : attributes.find(([known]) => known.name === name)?.[1]
  return value === undefined || value === null || value === ""
    ? undefined
    : `${type} ${exact(value, isPrimary ? types.primary(type) : dataType)}`
}

const keyOfSent = (sent: CustomActivity, identity: string | undefined, types: Types): string | undefined => {
  const type = sent.activityTypeId
  const primary = sent.primaryAttributeValue
  const attributes = sent.attributes.map(
    (a) => [types.attribute(type, "apiName" in a ? a.apiName : a.name), a.value] as const,
  )
  return identity === undefined
    ? contentKey(type, String(sent.leadId), sent.activityDate, primary, attributes, types)
    : identityKey(type, identity, primary, attributes, types)
}

const keyOfStored = (
  { value: stored }: ActivityRecord<Activity>,
  identity: string | undefined,
  types: Types,
): string | undefined => {
  const type = stored.activityTypeId
  const primary = Option.getOrElse(stored.primaryAttributeValue, () => "")
  const attributes = stored.attributes.map(
    ({ apiName, name, value }) =>
      [
        types.attribute(
          type,
          Option.getOrElse(apiName, () => name),
        ),
        value ?? "",
      ] as const,
  )
  return identity === undefined
    ? contentKey(type, stored.leadId, stored.activityDate, primary, attributes, types)
    : identityKey(type, identity, primary, attributes, types)
}

const split = <A>(values: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size))

/** One look: those types and leads, from just before the oldest date on. */
export const readBack = (
  activities: Activities,
  sent: ReadonlyArray<CustomActivity>,
  options: {
    /** The attribute that tells records apart; without it, content does. */
    readonly identity: string | undefined
    readonly maxCalls: number
    /** Stored activities that are known to be something else. */
    readonly isKnown: (marketoGUID: string) => boolean
  },
): Effect.Effect<Found, MarketoError> =>
  Effect.gen(function* () {
    const declared = typesOf(yield* activities.types)
    const waiting = new Map<string, Array<number>>()
    let left = 0
    for (const [index, activity] of sent.entries()) {
      const key = keyOfSent(activity, options.identity, declared)
      if (key === undefined) continue
      waiting.set(key, [...(waiting.get(key) ?? []), index])
      left++
    }
    const isComplete = left === sent.length
    const guids: Array<Option.Option<string>> = sent.map(() => Option.none())
    const types = [...new Set(sent.map((activity) => activity.activityTypeId))]
    const leads = [...new Set(sent.map((activity) => String(activity.leadId)))]
    const oldest = Math.min(...sent.map((activity) => DateTime.toEpochMillis(activity.activityDate)))
    const now = DateTime.toEpochMillis(yield* DateTime.now)
    const since = DateTime.unsafeMake(Math.min(oldest - 1_000, now))
    const find = (record: ActivityRecord<Activity>) => {
      const key = options.isKnown(record.identity) ? undefined : keyOfStored(record, options.identity, declared)
      const index = key === undefined ? undefined : waiting.get(key)?.shift()
      if (index === undefined) return
      guids[index] = Option.some(record.identity)
      left--
    }
    let calls = 0
    for (const leadIds of split(leads, LEADS_A_CALL)) {
      if (left === 0) break
      let moreResult = true
      const pages = activities.pages(Feed.leadActivities({ activityTypeIds: types, leadIds }), {
        since,
        undecodable: "keep",
        concurrency: 1,
      })
      yield* pages.pipe(
        Stream.take(Math.max(0, options.maxCalls - calls)),
        Stream.runForEachWhile((page) =>
          Effect.sync(() => {
            calls++
            moreResult = page.moreResult
            Chunk.forEach(page.records, find)
            return left > 0
          }),
        ),
      )
      if (moreResult && left > 0) return { guids, isComplete: false }
    }
    return { guids, isComplete }
  })
