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

/** Marketo answers with display names where `apiName`s were sent: one name for both. */
type NameOf = (activityTypeId: number, name: string) => string

const namesOf = (types: ReadonlyArray<ActivityType>): NameOf => {
  const names = new Map<string, string>()
  for (const type of types) {
    for (const { apiName, name } of type.attributes) {
      for (const one of [name, Option.getOrElse(apiName, () => name)]) {
        names.set(`${type.id} ${one.toLowerCase()}`, name.toLowerCase())
      }
    }
  }
  return (activityTypeId, name) => names.get(`${activityTypeId} ${name.toLowerCase()}`) ?? name.toLowerCase()
}

/** We send scalars only, so a stored list or object equals nothing that was sent. */
const textOf = (value: unknown): string => (typeof value === "object" ? "(no scalar)" : String(value))

/** Numbers and booleans come back now as such, now as text; dates in another spelling. */
const canonical = (value: unknown): string => {
  if (DateTime.isDateTime(value)) return canonical(formatDateTime(value))
  const text = textOf(value)
  const millis = instant.parse(text)
  return Number.isNaN(millis) ? text : `@${Math.floor(millis / 1000)}`
}

/** Of an identity; text is compared as it is. */
const exact = (value: unknown): string => (DateTime.isDateTime(value) ? canonical(value) : textOf(value))

const contentKey = (
  type: number,
  leadId: string,
  date: DateTime.DateTime,
  primary: unknown,
  attributes: ReadonlyArray<readonly [string, unknown]>,
): string => {
  // Marketo leaves attributes without a value out
  const pairs = attributes.map(([name, value]) => [name, canonical(value)] as const).filter(([, value]) => value !== "")
  return JSON.stringify([
    type,
    leadId,
    Math.floor(DateTime.toEpochMillis(date) / 1000),
    canonical(primary),
    pairs.sort(),
  ])
}

/** None where the record does not carry the identity: then nothing can be said of it. */
const identityKey = (
  type: number,
  identity: string,
  primary: unknown,
  attributes: ReadonlyArray<readonly [string, unknown]>,
  nameOf: NameOf,
): string | undefined => {
  const name = nameOf(type, identity)
  const value = identity === "primaryAttributeValue" ? primary : attributes.find(([other]) => other === name)?.[1]
  return value === undefined || value === null || value === "" ? undefined : `${type} ${exact(value)}`
}

const keyOfSent = (sent: CustomActivity, identity: string | undefined, nameOf: NameOf): string | undefined => {
  const type = sent.activityTypeId
  const primary = sent.primaryAttributeValue
  const attributes = sent.attributes.map((a) => [nameOf(type, "apiName" in a ? a.apiName : a.name), a.value] as const)
  return identity === undefined
    ? contentKey(type, String(sent.leadId), sent.activityDate, primary, attributes)
    : identityKey(type, identity, primary, attributes, nameOf)
}

const keyOfStored = (
  { value: stored }: ActivityRecord<Activity>,
  identity: string | undefined,
  nameOf: NameOf,
): string | undefined => {
  const type = stored.activityTypeId
  const primary = Option.getOrElse(stored.primaryAttributeValue, () => "")
  const attributes = stored.attributes.map(
    ({ apiName, name, value }) =>
      [
        nameOf(
          type,
          Option.getOrElse(apiName, () => name),
        ),
        value ?? "",
      ] as const,
  )
  return identity === undefined
    ? contentKey(type, stored.leadId, stored.activityDate, primary, attributes)
    : identityKey(type, identity, primary, attributes, nameOf)
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
    const nameOf = namesOf(yield* activities.types)
    const waiting = new Map<string, Array<number>>()
    let left = 0
    for (const [index, activity] of sent.entries()) {
      const key = keyOfSent(activity, options.identity, nameOf)
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
      const key = options.isKnown(record.identity) ? undefined : keyOfStored(record, options.identity, nameOf)
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
