/**
 * Writes one batch of custom activities and finds out what became of every record of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Service as Activities } from "../Activities.js"
import type { Outcome, Result, UnknownPolicy } from "../CustomActivities.js"
import type { CustomActivity } from "../CustomActivity.js"
import type { MarketoError, MarketoRejected } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import { count } from "./count.js"
import * as monotonic from "./monotonic.js"
import { type Found, readBack } from "./readBack.js"
import { bodyOf, type Item } from "./writeBatches.js"

/** A record without an outcome was not written, or is not known to be; `failure` says why. */
export interface Written {
  readonly outcomes: ReadonlyArray<Outcome | undefined>
  readonly failure: Option.Option<MarketoError>
}

type Items = ReadonlyArray<Item<unknown>>

/** How often records were sent, and the error of the newest call that may have stored them. */
interface Sent {
  readonly resent: number
  readonly doubt: Option.Option<MarketoError>
}

const unsent: Sent = { resent: 0, doubt: Option.none() }

/** Stored activities that are remembered, so that none is taken for another record that is equal to it. */
const MAX_CLAIMED = 12_000

/** One look may have to wait for limits and repeats, but not for a day. */
const LOOK_LIMIT = Duration.minutes(10)

const failed = (items: Items, error: MarketoError): Written => ({
  outcomes: items.map(() => undefined),
  failure: Option.some(error),
})

const settled = (items: Items, outcome: Outcome): Written => ({
  outcomes: items.map(() => outcome),
  failure: Option.none(),
})

const added = (marketoGUID: string): Outcome => ({ _tag: "Added", marketoGUID, confirmedBy: "readBack" })

const isTimeout = (error: MarketoError) => error._tag === "MarketoRejected" && error.codes.includes("604")

const isTooLarge = (error: MarketoError): error is MarketoRejected =>
  error._tag === "MarketoRejected" && error.codes.includes("413")

const mayBeExecuted = (error: MarketoError) => "execution" in error && error.execution === "Unknown"

export const make = (
  activities: Activities,
  call: (items: Items, body: Uint8Array) => Effect.Effect<ReadonlyArray<Result>, MarketoError>,
  policy: UnknownPolicy & { readonly maxCalls: number; readonly concurrency: number },
): ((items: Items, body: Uint8Array) => Effect.Effect<Written>) => {
  const { concurrency, identity, maxCalls, minCount = 25, notFound = "inDoubt", resends = 3 } = policy
  const visibilityDelay = Duration.toMillis(policy.visibilityDelay ?? "2 minutes")
  /**
   * Reading back takes all permits: an answer that is on its way could be for a record that is equal to a missing one. It
   * lives no longer than its `addAll`, which an interruption ends, so the permits that Effect may lose then are not missed.
   */
  const gate = Effect.unsafeMakeSemaphore(concurrency)
  const claimed = new Set<string>()

  const claim = (marketoGUID: string) => {
    claimed.add(marketoGUID)
    if (claimed.size > MAX_CLAIMED) for (const oldest of claimed) return claimed.delete(oldest)
  }

  /** What ended the writing: after it nothing is sent. */
  let ended = Option.none<MarketoError>()

  /** None where it was not sent, because the writing has ended meanwhile. */
  const send = (items: Items, body: Uint8Array): Effect.Effect<Option.Option<ReadonlyArray<Result>>, MarketoError> =>
    Effect.suspend(() =>
      Option.isSome(ended)
        ? Effect.succeedNone
        : Effect.map(call(items, body), (results) => {
            for (const result of results) if (result._tag === "Added") claim(result.marketoGUID)
            return Option.some(results)
          }),
    ).pipe(gate.withPermits(1))

  const inDoubt = (items: Items, error: MarketoError): Effect.Effect<Written> =>
    Effect.as(
      count(Metrics.customActivities, { outcome: "inDoubt" }, items.length),
      settled(items, { _tag: "InDoubt", error }),
    )

  /** What Marketo refuses for good. If an earlier call may have stored the records, that stays so. */
  const refused = (items: Items, error: MarketoError, sent: Sent): Effect.Effect<Written> =>
    Option.match(sent.doubt, {
      onNone: () => Effect.succeed(failed(items, error)),
      onSome: (doubt) =>
        Effect.map(inDoubt(items, doubt), ({ outcomes }) => ({ outcomes, failure: Option.some(error) })),
    })

  /** Each half in its turn; after a failure the second half is not begun. */
  const halves = (items: Items, whole: Uint8Array, sent: Sent): Effect.Effect<Written> =>
    Effect.gen(function* () {
      const middle = Math.ceil(items.length / 2)
      const first = yield* write(items.slice(0, middle), whole, sent)
      const rest = items.slice(middle)
      const second = Option.match(first.failure, {
        onNone: () => write(rest, whole, sent),
        onSome: (error) => refused(rest, error, sent),
      })
      const { failure, outcomes } = yield* second
      return { outcomes: [...first.outcomes, ...outcomes], failure }
    })

  /** One look for what is still missing; what went wrong with it may go right at the next. */
  const look = (sent: ReadonlyArray<CustomActivity>): Effect.Effect<Found & { readonly isFinal: boolean }> =>
    readBack(activities, sent, { identity, maxCalls, isKnown: (guid) => claimed.has(guid) }).pipe(
      Effect.timeout(LOOK_LIMIT),
      Effect.map((found) => ({ ...found, isFinal: false })),
      Effect.catchAll((error) =>
        Effect.as(Effect.logWarning("reading custom activities back failed", error.message), {
          guids: [],
          isComplete: false,
          isFinal: "isRetryable" in error && !error.isRetryable,
        }),
      ),
    )

  /** Looks until all are found, or until a look that began when the time was over. */
  const find = (items: Items): Effect.Effect<Found> =>
    Effect.gen(function* () {
      const guids: Array<Option.Option<string>> = items.map(() => Option.none())
      const ends = (yield* monotonic.now) + visibilityDelay
      for (let wait = 1_000; ; wait = Math.min(wait * 2, 15_000)) {
        const began = yield* monotonic.now
        const missing = [...items.keys()].filter((i) => Option.isNone(guids[i] ?? Option.none()))
        const found = yield* look(missing.flatMap((i) => items[i]?.activity ?? []))
        for (const [n, i] of missing.entries()) {
          const guid = found.guids[n] ?? Option.none()
          if (Option.isNone(guid)) continue
          claim(guid.value)
          guids[i] = guid
        }
        if (began >= ends || found.isFinal || guids.every(Option.isSome)) {
          return { guids, isComplete: found.isComplete }
        }
        yield* Effect.sleep(Math.max(0, Math.min(wait, ends - (yield* monotonic.now))))
      }
    })

  /** What becomes of records that were sent and not found. */
  const settleMissing = (
    missing: Items,
    whole: Uint8Array,
    error: MarketoError,
    isComplete: boolean,
    resent: number,
  ): Effect.Effect<Written> => {
    if (missing.length === 0) return Effect.succeed({ outcomes: [], failure: Option.none() })
    if (notFound === "fail") return Effect.succeed(failed(missing, error))
    if (notFound === "inDoubt" || !isComplete || resent === resends) return inDoubt(missing, error)
    const sent = { resent: resent + 1, doubt: Option.some(error) }
    if (!isTimeout(error)) return write(missing, whole, sent)
    return missing.length <= minCount ? inDoubt(missing, error) : halves(missing, whole, sent)
  }

  const settle = (items: Items, whole: Uint8Array, error: MarketoError, resent: number): Effect.Effect<Written> =>
    Effect.gen(function* () {
      yield* Effect.logWarning("adding custom activities ended without an answer, reading back").pipe(
        Effect.annotateLogs({ records: items.length, error: error.message }),
      )
      const { guids, isComplete } = yield* find(items).pipe(
        Effect.tap(({ guids }) =>
          Effect.sync(() => {
            // while nothing is in flight, so that no call that waits goes out after it
            if (notFound === "fail" && !guids.every(Option.isSome)) ended = Option.some(error)
          }),
        ),
        gate.withPermits(concurrency),
      )
      const missing = items.filter((_, i) => Option.isNone(guids[i] ?? Option.none()))
      yield* count(Metrics.customActivities, { outcome: "added" }, items.length - missing.length)
      const { failure, outcomes } = yield* settleMissing(missing, whole, error, isComplete, resent)
      const rest = outcomes.values()
      return {
        outcomes: guids.map((guid) => (Option.isSome(guid) ? added(guid.value) : rest.next().value)),
        failure,
      }
    })

  /** The answer to 413. */
  const tooLarge = (items: Items, whole: Uint8Array, error: MarketoRejected, sent: Sent): Effect.Effect<Written> => {
    if (items.length > 1) return halves(items, whole, sent)
    return Option.match(sent.doubt, {
      onNone: () => Effect.succeed(settled(items, { _tag: "Invalid", error })),
      onSome: (doubt) => inDoubt(items, doubt),
    })
  }

  /** `whole` is the body of the call that they were in at first. */
  const write = (items: Items, whole: Uint8Array, sent: Sent): Effect.Effect<Written> =>
    send(items, bodyOf(items, whole)).pipe(
      Effect.flatMap(
        Option.match({
          onNone: () => refused(items, Option.getOrThrow(ended), sent),
          onSome: (outcomes) => Effect.succeed<Written>({ outcomes, failure: Option.none() }),
        }),
      ),
      Effect.catchAll((error) => {
        if (isTooLarge(error)) return tooLarge(items, whole, error, sent)
        return mayBeExecuted(error) ? settle(items, whole, error, sent.resent) : refused(items, error, sent)
      }),
    )

  return (items, body) =>
    items.length === 0 ? Effect.succeed({ outcomes: [], failure: Option.none() }) : write(items, body, unsent)
}
