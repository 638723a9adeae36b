/**
 * Writes one batch of custom activities and finds out what became of every record of it.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Service as Activities } from "../Activities.js"
import type { Outcome, Result, UnknownPolicy } from "../CustomActivities.js"
import type { MarketoError } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import { count } from "./count.js"
import { type Found, readBack } from "./readBack.js"
import type { Item } from "./writeBatches.js"

/** A record without an outcome was not written, or is not known to be; `failure` says why. */
export interface Written {
  readonly outcomes: ReadonlyArray<Outcome | undefined>
  readonly failure: Option.Option<MarketoError>
}

type Items = ReadonlyArray<Item<unknown>>

/** Remembered, so that reading back does not take an earlier record for a later one that is equal to it. */
const MAX_KNOWN_CALLS = 40

const failed = (items: Items, error: MarketoError): Written => ({
  outcomes: items.map(() => undefined),
  failure: Option.some(error),
})

const added = (marketoGUID: string): Outcome => ({ _tag: "Added", marketoGUID, confirmedBy: "readBack" })

const isTimeout = (error: MarketoError) => error._tag === "Rejected" && error.codes.includes("604")

const isTooLarge = (error: MarketoError) => error._tag === "Rejected" && error.codes.includes("413")

const mayBeExecuted = (error: MarketoError) => "execution" in error && error.execution === "Unknown"

/** Each half in its turn; after a failure the second half is not begun. */
const halves = (items: Items, write: (half: Items) => Effect.Effect<Written>): Effect.Effect<Written> =>
  Effect.gen(function* () {
    const middle = Math.ceil(items.length / 2)
    const first = yield* write(items.slice(0, middle))
    const rest = items.slice(middle)
    const second = Option.match(first.failure, {
      onNone: () => write(rest),
      onSome: (e) => Effect.succeed(failed(rest, e)),
    })
    const { failure, outcomes } = yield* second
    return { outcomes: [...first.outcomes, ...outcomes], failure }
  })

export const make = (
  activities: Activities,
  call: (items: Items) => Effect.Effect<ReadonlyArray<Result>, MarketoError>,
  policy: UnknownPolicy & { readonly maxCalls: number },
): ((items: Items) => Effect.Effect<Written>) => {
  const { identity, maxCalls, minCount = 25, notFound = "park", resends = 3 } = policy
  const visibilityDelay = Duration.toMillis(policy.visibilityDelay ?? "2 minutes")
  let recent: ReadonlyArray<ReadonlyArray<string>> = []

  /** Keeps what the newest calls have stored; an identity is exact without that. */
  const remember = ({ outcomes }: Written) =>
    Effect.sync(() => {
      if (identity !== undefined) return
      const guids = outcomes.flatMap((outcome) => (outcome?._tag === "Added" ? [outcome.marketoGUID] : []))
      recent = [...recent.slice(1 - MAX_KNOWN_CALLS), guids]
    })

  const parked = (items: Items, error: MarketoError): Effect.Effect<Written> =>
    Effect.as(count(Metrics.customActivities, { outcome: "parked" }, items.length), {
      outcomes: items.map((): Outcome => ({ _tag: "Parked", error })),
      failure: Option.none(),
    })

  /** Looks until all are found or the time is over; a look that fails is followed by another. */
  const find = (items: Items): Effect.Effect<Found> =>
    Effect.gen(function* () {
      const sent = items.map((item) => item.activity)
      const ends = (yield* Clock.currentTimeMillis) + visibilityDelay
      const known = new Set(recent.flat())
      const look = readBack(activities, sent, { identity, maxCalls, isKnown: (guid) => known.has(guid) }).pipe(
        Effect.tapError((error) => Effect.logWarning("reading custom activities back failed", error.message)),
        Effect.orElseSucceed((): Found => ({ guids: sent.map(() => Option.none()), isComplete: false })),
      )
      for (let wait = 1_000; ; wait = Math.min(wait * 2, 15_000)) {
        const found = yield* look
        const left = ends - (yield* Clock.currentTimeMillis)
        if (left <= 0 || found.guids.every(Option.isSome)) return found
        yield* Effect.sleep(Math.min(wait, left))
      }
    })

  /** What becomes of records that were sent and not found. */
  const settleMissing = (missing: Items, error: MarketoError, isComplete: boolean, resent: number) => {
    if (missing.length === 0) return Effect.succeed<Written>({ outcomes: [], failure: Option.none() })
    if (notFound === "fail") return Effect.succeed(failed(missing, error))
    if (notFound === "park" || !isComplete || resent === resends) return parked(missing, error)
    if (!isTimeout(error)) return write(missing, resent + 1)
    return missing.length <= minCount ? parked(missing, error) : halves(missing, (half) => write(half, resent + 1))
  }

  const settle = (items: Items, error: MarketoError, resent: number): Effect.Effect<Written> =>
    Effect.gen(function* () {
      yield* Effect.logWarning("adding custom activities ended without an answer, reading back").pipe(
        Effect.annotateLogs({ records: items.length, error: error.message }),
      )
      const { guids, isComplete } = yield* find(items)
      const missing = items.filter((_, i) => Option.isNone(guids[i] ?? Option.none()))
      yield* count(Metrics.customActivities, { outcome: "added" }, items.length - missing.length)
      const { failure, outcomes } = yield* settleMissing(missing, error, isComplete, resent)
      const rest = outcomes.values()
      return {
        outcomes: guids.map((guid) => (Option.isSome(guid) ? added(guid.value) : rest.next().value)),
        failure,
      }
    })

  const write = (items: Items, resent: number): Effect.Effect<Written> =>
    call(items).pipe(
      Effect.map((outcomes): Written => ({ outcomes, failure: Option.none() })),
      Effect.catchAll((error) => {
        if (isTooLarge(error)) {
          return items.length === 1 ? parked(items, error) : halves(items, (half) => write(half, resent))
        }
        return mayBeExecuted(error) ? settle(items, error, resent) : Effect.succeed(failed(items, error))
      }),
      Effect.tap(remember),
    )

  return (items) => (items.length === 0 ? Effect.succeed({ outcomes: [], failure: Option.none() }) : write(items, 0))
}
