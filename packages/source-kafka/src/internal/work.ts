/**
 * One lane's work on the records of one call: decode, look whether an earlier run has written them, write, settle, commit.
 *
 * Records are claimed only while they may be written or have been: from just before a call goes out until its records are
 * committed, its look-up when nobody answered and its dead letters included. During all other waits (limits, outages) nothing is
 * claimed, so a rebalance does not wait; what is lost to it is left alone.
 *
 * A record that is sent again keeps those that are stored behind it from being committed. Where the next owner looks what is
 * stored, they are given up during waits as well. Where it would write them again they stay claimed, and when the partition is
 * taken away meanwhile, the one before them becomes a dead letter.
 *
 * A wait that concerns single records, before one is sent again or while a dead letter cannot be written, takes place outside the
 * lane, and partitions that are committed leave the call. A wait that concerns every call, such as for limits, keeps the lane.
 */
import type * as CustomActivities from "@effect-marketo/core/CustomActivities"
import type * as CustomActivity from "@effect-marketo/core/CustomActivity"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import type * as KafkaError from "@effect-marketo/kafka/KafkaError"
import * as EffectCause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import type { Progress } from "../Progress.js"
import * as SkippedPolicy from "../SkippedPolicy.js"
import { SourceError } from "../SourceError.js"
import { type Cause, type Entry, MAX_COUNT, type Outcome, type Slice } from "./batch.js"
import type { Breaker } from "./breaker.js"
import * as causes from "./causes.js"
import type { Counters } from "./counters.js"
import type { DeadLetters } from "./deadLetters.js"
import type { Guard } from "./guard.js"
import type { Lane } from "./lanes.js"
import * as monotonic from "./monotonic.js"
import * as outage from "./outage.js"
import type { ReadBack } from "./readBack.js"

export interface Settings<R> {
  readonly topic: string
  readonly counters: Counters
  readonly activities: CustomActivities.Service
  readonly decode: (slice: Slice) => Effect.Effect<ReadonlyArray<Entry>, never, R>
  readonly readBack: ReadBack
  readonly deadLetters: DeadLetters
  readonly guard: Guard
  readonly breaker: Breaker
  readonly skipped: SkippedPolicy.SkippedPolicy
  readonly onAssign: "readBack" | "write"
  readonly notFound: NonNullable<CustomActivities.UnknownPolicy["notFound"]>
  readonly visibilityDelay: Duration.Duration
  readonly minCount: number
  readonly resends: number
  /** Milliseconds. */
  readonly retryFor: number
  readonly report: (progress: Progress) => Effect.Effect<void>
}

export type WorkError = MarketoError.MarketoError | KafkaError.KafkaError | SourceError

export interface Work<R> {
  readonly run: Effect.Effect<void, WorkError, R>
  /** Whether records are claimed: they may have been written, and are not committed. */
  readonly isHeld: () => boolean
  /** Gives them up. */
  readonly release: Effect.Effect<void>
}

/** A slice in hand. */
interface Part {
  readonly slice: Slice
  /** None before they are decoded. */
  entries: ReadonlyArray<Entry>
  /** Whether its records may still be sent. */
  isOpen: boolean
  isClaimed: boolean
  committed: number
}

/** What Marketo answered; none where nothing was sent. */
type Answer = Either.Either<
  Option.Option<ReadonlyArray<CustomActivities.Result>>,
  { readonly error: MarketoError.MarketoError; readonly mayBeStored: boolean }
>

/** An entry that can be sent. */
type Sendable = Entry & { readonly activity: CustomActivity.CustomActivity }

/** Before records that Marketo skipped are sent again, in milliseconds. */
const retryPause = (pauses: number) => Math.min(60_000, 1_000 * 2 ** (pauses - 1))

/** So many pauses are worth a word. */
const NOTICEABLE = 3

/** How soon a partition that is taken away during a wait is noticed, in milliseconds: soon where a rebalance waits for it. */
const CLAIMED_STEP = 1_000
const STEP = 15_000

/** Dead letters that take longer than this to be written are waited for outside the lane, in milliseconds. */
const LETTERS = 10_000

const added: Outcome = { _tag: "Added", confirmedBy: "answer" }

const isPending = (entry: Entry): entry is Sendable => entry.outcome === undefined

/** Marketo does not take it for the moment. */
const isSkipped = (entry: Entry): entry is Entry & { readonly unsettled: Cause } =>
  isPending(entry) && entry.unsettled?.mayBeStored === false

/** Its dead letter is not safe yet. */
const isDead = (entry: Entry): entry is Entry & { readonly outcome: Extract<Outcome, { _tag: "Dead" }> } =>
  entry.outcome?._tag === "Dead" && !entry.isDone

const isStored = ({ outcome }: Entry) => outcome?._tag === "Added"

/** Not what is in doubt: that is nothing bad, and the next run would write it again without a dead letter that says so. */
const isBad = ({ outcome }: Entry) => outcome?._tag === "Dead" && !outcome.cause.mayBeStored

/** Whether nothing of it is left to be done. */
const isComplete = ({ committed, slice }: Part) => committed === slice.until - slice.from

const isUncounted = (entry: Entry): entry is Entry => entry.outcome !== undefined && !entry.isCounted

/** Whether something of it waits for its commit. */
const isOutstanding = ({ committed, entries }: Part) =>
  entries.some(({ outcome }, i) => i >= committed && outcome !== undefined)

/** Whether something of it would be written again by an owner that does not look. */
const hasStored = ({ committed, entries }: Part) => entries.findLastIndex(isStored) >= committed

const progressOf = (entries: ReadonlyArray<Entry>): Progress => {
  const counts = { added: 0, confirmed: 0, deadLettered: 0, inDoubt: 0, dropped: 0 }
  for (const { outcome } of entries) {
    if (outcome?._tag === "Added") counts[outcome.confirmedBy === "answer" ? "added" : "confirmed"]++
    else if (outcome?._tag === "Dead") counts[outcome.cause.mayBeStored ? "inDoubt" : "deadLettered"]++
    else counts.dropped++
  }
  return { records: entries.length, ...counts }
}

const entriesOf = <A extends Entry>(parts: ReadonlyArray<Part>, is: (entry: Entry) => entry is A): ReadonlyArray<A> => {
  const found: Array<A> = []
  for (const { entries } of parts) for (const entry of entries) if (is(entry)) found.push(entry)
  return found
}

export const make = <R>(settings: Settings<R>, slices: ReadonlyArray<Slice>, lane: Lane): Work<R> => {
  const { activities, breaker, counters, deadLetters, guard, readBack, report, retryFor, topic } = settings
  const visibilityDelay = Duration.toMillis(settings.visibilityDelay)
  const parts = slices.map((slice): Part => ({ slice, entries: [], isOpen: true, isClaimed: false, committed: 0 }))
  let committed: Array<Entry> = []
  /** Reports that a slow reader has not taken. */
  const reports: Array<Fiber.Fiber<void>> = []
  /** What this pass over the records has met. */
  let hasLost = false
  let hasSkipped = false
  /** Whether a call may be on the wire, or its outcome is looked up. */
  let isSent = false

  const claimed = () => parts.filter(({ isClaimed }) => isClaimed)

  const openParts = () => parts.filter(({ isOpen }) => isOpen)

  const hasPending = (): boolean => openParts().some(({ entries }) => entries.some(isPending))

  const end = (entry: Entry, outcome: Outcome): void => {
    entry.outcome = outcome
    entry.isDone = outcome._tag !== "Dead"
  }

  /** Whether these would be more dead letters than the guard allows. */
  const isTooMany = () => guard.forbids(entriesOf(openParts(), isUncounted).map(isBad))

  /** Whether it is still there; claims nothing more. */
  const look = (part: Part, until = part.isClaimed ? part.slice.until : 0): void => {
    if (!part.isOpen || isComplete(part)) return
    part.isOpen = !lane.isStopping() && part.slice.batch.claim(until)
    hasLost ||= !part.isOpen
  }

  const lookAround = () => {
    for (const part of parts) look(part)
  }

  const claim = (part: Part): void => {
    // it may be in another call by now
    if (isComplete(part)) return
    look(part, part.slice.until)
    part.isClaimed ||= part.isOpen
  }

  /** False when something was taken away in this pass. What was claimed before that may be committed all the same. */
  const claimAll = (): boolean => {
    parts.forEach(claim)
    return !hasLost
  }

  /** Commits what is done from the first record on. */
  const commit = (part: Part): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { entries, slice } = part
      const open = entries.findIndex(({ isDone }) => !isDone)
      const done = open < 0 ? entries.length : open
      if (done === part.committed) return Effect.void
      return Effect.flatMap(slice.batch.commit(slice.from + done), (isCommitted) => {
        if (isCommitted) {
          for (let i = part.committed; i < done; i++) committed.push(entries[i] as Entry)
          part.committed = done
          if (!isComplete(part)) return Effect.void
          part.isClaimed = false
          return lane.done(slice)
        }
        part.isOpen = false
        part.isClaimed = false
        return Effect.zipRight(slice.batch.release, Metric.incrementBy(counters.lost, entries.length - part.committed))
      })
    })

  const commitAll = Effect.suspend(() => {
    const held = claimed()
    return Effect.forEach(held, commit, { concurrency: held.length, discard: true })
  })

  const releaseWhere = (is: (part: Part) => boolean) =>
    Effect.suspend(() =>
      Effect.forEach(
        claimed().filter(is),
        (part) => {
          part.isClaimed = false
          return part.slice.batch.release
        },
        { discard: true },
      ),
    )

  const release = releaseWhere(() => true)

  /** Something is stored in it behind what is not done, and nobody else would look. */
  const staysClaimed = (part: Part) => settings.onAssign === "write" && part.isOpen && hasStored(part)

  /** Commits what can be; during a wait only what has to stays claimed. */
  const pauseClaims = Effect.ensuring(
    commitAll,
    releaseWhere((part) => !staysClaimed(part)),
  )

  const step = () => (claimed().length > 0 ? CLAIMED_STEP : STEP)

  /** Ends when something is taken away, or the source stops, while nothing is on the wire. */
  const untilLost = Effect.gen(function* () {
    while (!hasLost) {
      yield* Effect.sleep(step())
      if (!isSent) lookAround()
    }
  })

  /** Commits what can be, and gives up the rest. */
  const letGo = Effect.ensuring(commitAll, release)

  /** Runs again, for what is left, when something is taken away meanwhile. Nothing is claimed. */
  const whileOpen = <E, R2>(effect: Effect.Effect<void, E, R2>): Effect.Effect<void, E, R2> =>
    Effect.suspend(() => {
      hasLost = false
      return Effect.raceFirst(effect, untilLost)
    }).pipe(Effect.repeat({ while: () => hasLost }))

  const tell = Effect.suspend(() => {
    if (committed.length === 0) return Effect.void
    const { records, ...outcomes } = progressOf(committed)
    committed = []
    return Effect.zipRight(
      Effect.forEach(
        Struct.entries(outcomes).filter(([, records]) => records > 0),
        ([outcome, records]) => Metric.incrementBy(counters.records[outcome], records),
        { discard: true },
      ),
      report({ records, ...outcomes }),
    )
  })

  /** One call. None when it was not sent, because a part was lost before; then the others may be sent without it. */
  const attempt = (entries: ReadonlyArray<Sendable>) => {
    isSent = false
    const hold = {
      acquire: Effect.suspend(() => {
        isSent = claimAll()
        return isSent ? Metric.increment(counters.calls) : Effect.interrupt
      }),
      release: Effect.suspend(() => {
        isSent = false
        return pauseClaims
      }),
    }
    const batch = Chunk.unsafeFromArray(entries.map(({ activity }) => activity))
    return activities.add(batch as Chunk.NonEmptyChunk<CustomActivity.CustomActivity>, { hold }).pipe(
      Effect.map((results) => Option.some(Chunk.toReadonlyArray(results))),
      Effect.mapError((error) => ({ error, mayBeStored: isSent })),
      Effect.catchAllCause((cause) =>
        hasLost && EffectCause.isInterruptedOnly(cause) ? Effect.succeedNone : Effect.failCause(cause),
      ),
      Effect.either,
    )
  }

  /** Gives outcomes to the entries of a call, as far as they are known by now. */
  const conclude = (entries: ReadonlyArray<Sendable>, answer: Answer): Effect.Effect<void, WorkError> =>
    Either.match(answer, {
      onLeft: ({ error, mayBeStored }) => (mayBeStored ? settleUnknown(entries, error) : notExecuted(entries, error)),
      onRight: Option.match({
        onNone: () => Effect.void,
        onSome: (results) => settle(entries, results),
      }),
    })

  const write = (entries: ReadonlyArray<Sendable>): Effect.Effect<void, WorkError> =>
    Effect.flatMap(attempt(entries), (answer) => conclude(entries, answer))

  /** `write` as the breaker allows it. */
  const writeInTurn = (entries: ReadonlyArray<Sendable>): Effect.Effect<void, WorkError> =>
    Effect.gen(function* () {
      yield* lane.enter
      const [sent, answer] = yield* breaker.run((isTrial) => {
        const some = isTrial ? entries.slice(0, 1) : entries
        return Effect.map(attempt(some), (answer) => [some, answer] as const)
      })
      yield* conclude(sent, answer)
    })

  /** The second half not before all of the first has an outcome: records of one key are stored in their order. */
  const writeHalves = (entries: ReadonlyArray<Sendable>): Effect.Effect<void, WorkError> => {
    const middle = Math.ceil(entries.length / 2)
    const first = entries.slice(0, middle)
    return Effect.flatMap(write(first), () =>
      first.some(isPending) || isTooMany() ? Effect.void : write(entries.slice(middle)),
    )
  }

  const settle = (entries: ReadonlyArray<Sendable>, results: ReadonlyArray<CustomActivities.Result>) =>
    Effect.flatMap(monotonic.now, (now) => {
      breaker.answered()
      let refused: SourceError | undefined
      for (let i = 0; i < results.length; i++) {
        const entry = entries[i] as Sendable
        const result = results[i] as CustomActivities.Result
        if (result._tag === "Added") {
          readBack.note(result.marketoGUID)
          end(entry, added)
          continue
        }
        const cause = causes.ofSkipped(result)
        switch (
          SkippedPolicy.actionOf(
            settings.skipped,
            result.codes.map(({ code }) => code),
          )
        ) {
          case "deadLetter":
            end(entry, { _tag: "Dead", cause })
            break
          case "drop":
            end(entry, { _tag: "Dropped" })
            break
          case "retry":
            entry.skippedAt ??= now
            if (now - entry.skippedAt >= retryFor) {
              end(entry, { _tag: "Dead", cause })
            } else {
              entry.unsettled = cause
              hasSkipped = true
            }
            break
          case "fail":
            refused ??= causes.refused(entry, cause)
        }
      }
      return refused ?? Effect.void
    })

  /** Nothing was executed. */
  const notExecuted = (entries: ReadonlyArray<Sendable>, error: MarketoError.MarketoError) => {
    const [only, ...others] = entries
    if (causes.isAboutRecords(error)) {
      breaker.answered()
      if (others.length > 0) return writeHalves(entries)
      // an earlier call may have stored one that was sent again
      if (only !== undefined) end(only, { _tag: "Dead", cause: causes.ofError(error, only.resent > 0) })
      return Effect.void
    }
    return outage.passes(error)
      ? outage.wait("custom activities cannot be written, waiting; offsets stand still until then", error)
      : Effect.fail(error)
  }

  /** Nobody said what became of them: they are looked up, and what is not found is the policy's. */
  const settleUnknown = (
    entries: ReadonlyArray<Sendable>,
    error: MarketoError.MarketoError,
  ): Effect.Effect<void, WorkError> =>
    Effect.gen(function* () {
      yield* Effect.annotateLogs(Effect.logWarning("writing custom activities ended without an answer, reading back"), {
        topic,
        records: entries.length,
        error: error.message,
      })
      const until = (yield* monotonic.now) + visibilityDelay
      const { isComplete, missing } = yield* confirm(entries, until)
      if (missing.length < entries.length) breaker.answered()
      if (missing.length === 0) return
      if (settings.notFound === "fail") return yield* Effect.fail(error)
      const mayResend =
        settings.notFound === "resend" &&
        isComplete &&
        !(causes.isTimeout(error) && missing.length <= settings.minCount)
      const again = missing.filter(({ resent }) => mayResend && resent < settings.resends)
      for (const entry of missing) {
        if (!again.includes(entry)) end(entry, { _tag: "Dead", cause: causes.ofError(error, true) })
      }
      for (const entry of again) {
        entry.resent++
        entry.unsettled = causes.ofError(error, true)
      }
      if (causes.isTimeout(error) && again.length > 0) yield* writeHalves(again)
      else if (missing.length === entries.length) breaker.unanswered()
    })

  /** What is stored gets its outcome. */
  const confirm = (entries: ReadonlyArray<Sendable>, until: number) =>
    Effect.map(
      readBack.find(
        entries.map(({ activity }) => activity),
        until,
      ),
      ({ isComplete, isStored }) => {
        for (const [i, entry] of entries.entries()) {
          if (isStored[i] === true) end(entry, { _tag: "Added", confirmedBy: "readBack" })
        }
        return { isComplete, missing: entries.filter(isPending) }
      },
    )

  /** Records that somebody may have written without having committed them. Their time to become visible is over. */
  const confirmEarlier = Effect.gen(function* () {
    // more than one call's a run cannot have had on its way
    const first = parts.filter(({ slice }) => slice.batch.first && slice.from < MAX_COUNT)
    const entries = entriesOf(first, isPending)
    if (settings.onAssign === "write" || entries.length === 0) return
    const { isComplete, missing } = yield* confirm(entries, 0)
    if (isComplete || missing.length === 0) return
    yield* Effect.annotateLogs(
      Effect.logWarning(
        "not all records could be looked up that an earlier run may have written; they are written now",
      ),
      { topic, records: missing.length },
    )
  })

  /** Nobody will look what is stored behind records that are sent again: in a part that is taken away they become dead letters. */
  const giveUp = () => {
    for (const { entries, isOpen } of claimed()) {
      if (isOpen) continue
      for (const entry of entries.slice(0, Math.max(0, entries.findLastIndex(isStored)))) {
        if (entry.outcome !== undefined || entry.unsettled === undefined) continue
        end(entry, { _tag: "Dead", cause: entry.unsettled })
        // it would have passed, and is no matter of the guard
        entry.isCounted = true
      }
    }
  }

  const writeLetters = (is: (part: Part) => boolean) =>
    Effect.gen(function* () {
      if (entriesOf(claimed(), isDead).length === 0) return
      // what is done does not wait for them
      yield* commitAll
      const letters = entriesOf(claimed().filter(is), isDead)
      if (letters.length > 0) {
        yield* Effect.raceFirst(
          deadLetters.write(letters.map((entry) => [entry, entry.outcome.cause])),
          Effect.zipRight(Effect.delay(lane.leave, LETTERS), Effect.never),
        )
      }
    })

  /** Those that keep something stored from being committed. */
  const secure = writeLetters(hasStored)

  /** Makes dead letters safe, and commits. */
  const finish = Effect.gen(function* () {
    if (openParts().some(isOutstanding)) claimAll()
    if (settings.onAssign === "write") giveUp()
    const uncounted = entriesOf(
      parts.filter((part) => part.isClaimed || isComplete(part)),
      isUncounted,
    )
    guard.count(uncounted.map(isBad))
    for (const entry of uncounted) entry.isCounted = true
    // of too many only those that keep something stored from being committed
    yield* guard.isExceeded ? secure : writeLetters(() => true)
    yield* pauseClaims
    yield* Effect.forEach(
      parts.filter(({ isClaimed, isOpen }) => !isOpen && !isClaimed),
      ({ slice }) => lane.done(slice),
      { discard: true },
    )
    if (guard.isExceeded) return yield* tooMany()
    // a reader that is slow does not keep anything claimed
    if (claimed().length === 0) yield* tell
  })

  const tooMany = () =>
    new SourceError({
      reason: "TooManyDeadLetters",
      description: `more than ${guard.policy.max} of the last ${guard.policy.of} records of topic ${topic} would be dead letters. Look at those in the dead-letter topic, then start again or change the guard`,
    })

  /** Before skipped records are sent again; what is taken away meanwhile is let go. */
  const pause = (pauses: number) =>
    Effect.gen(function* () {
      yield* lane.leave
      if (committed.length > 0) reports.push(yield* Effect.fork(tell))
      const skipped = entriesOf(openParts(), isSkipped)
      yield* Metric.incrementBy(counters.retries, skipped.length)
      if (pauses >= NOTICEABLE) {
        yield* Effect.annotateLogs(
          Effect.logWarning("Marketo does not take some records for now; they hold up what is behind them"),
          {
            topic,
            records: skipped.length,
            codes: [...new Set(skipped.map(({ unsettled }) => unsettled.code))].join(" "),
          },
        )
      }
      const until = Math.min(
        (yield* monotonic.now) + retryPause(pauses),
        ...skipped.map(({ skippedAt }) => (skippedAt ?? Number.POSITIVE_INFINITY) + retryFor),
      )
      for (let now = yield* monotonic.now; now < until && hasPending(); now = yield* monotonic.now) {
        yield* Effect.sleep(Math.min(step(), until - now))
        hasLost = false
        lookAround()
        if (hasLost) yield* finish
      }
    })

  const decode = Effect.suspend(() =>
    Effect.forEach(
      openParts().filter(({ entries }) => entries.length === 0),
      (part) =>
        Effect.map(settings.decode(part.slice), (entries) => {
          part.entries = entries
        }),
      { concurrency: "unbounded", discard: true },
    ),
  )

  const run = Effect.gen(function* () {
    yield* whileOpen(decode)
    yield* whileOpen(confirmEarlier)
    for (let pauses = 0; ; ) {
      hasLost = false
      hasSkipped = false
      const entries = entriesOf(openParts(), isPending)
      if (entries.length > 0 && !isTooMany()) {
        isSent = false
        if (breaker.isOpen()) yield* pauseClaims
        yield* Effect.raceFirst(writeInTurn(entries), untilLost)
      }
      yield* finish
      if (!hasPending()) break
      if (hasSkipped) yield* pause(++pauses)
    }
    yield* Fiber.joinAll(reports)
  }).pipe(
    Effect.tapError(() => Effect.zipRight(Effect.ignore(secure), Effect.zipRight(letGo, tell))),
    Effect.ensuring(release),
    Effect.withSpan("CustomActivitySource.batch", {
      captureStackTrace: false,
      attributes: { "messaging.system": "kafka", "messaging.destination.name": topic },
    }),
  )

  return { run, isHeld: () => claimed().length > 0, release }
}
