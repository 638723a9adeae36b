/**
 * One lane's work on the records of one call: decode, look whether an earlier run has written them, write, settle, commit.
 *
 * Records are claimed only while they may be written or have been: from just before a call goes out until its records are
 * committed, its look-up when nobody answered and its dead letters included. During all other waits (limits, outages, a lock of
 * Marketo's) nothing is claimed, so a rebalance does not wait; what is lost to it is left alone.
 */
import type * as CustomActivities from "@effect-marketo/core/CustomActivities"
import type * as CustomActivity from "@effect-marketo/core/CustomActivity"
import * as ErrorCode from "@effect-marketo/core/ErrorCode"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import * as EffectCause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import type { Progress } from "../Progress.js"
import * as SkippedPolicy from "../SkippedPolicy.js"
import { SourceError } from "../SourceError.js"
import { type Cause, type Entry, MAX_COUNT, type Outcome, type Slice } from "./batch.js"
import type { Counters } from "./counters.js"
import type { DeadLetters } from "./deadLetters.js"
import type { Guard } from "./guard.js"
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
  readonly skipped: SkippedPolicy.SkippedPolicy
  readonly onAssign: "readBack" | "write"
  readonly notFound: NonNullable<CustomActivities.UnknownPolicy["notFound"]>
  readonly visibilityDelay: Duration.Duration
  readonly minCount: number
  readonly resends: number
  readonly report: (progress: Progress) => Effect.Effect<void>
  /** Whether no further work may begin. */
  readonly isStopping: () => boolean
}

export type WorkError = MarketoError.MarketoError | SourceError

export interface Work<R> {
  readonly run: Effect.Effect<void, WorkError, R>
  /** Whether records are claimed: they may have been written, and are not committed. */
  readonly isHeld: () => boolean
}

/** A slice in hand. */
interface Part {
  readonly slice: Slice
  readonly entries: ReadonlyArray<Entry>
  /** Whether its records may still be sent. */
  isOpen: boolean
  isClaimed: boolean
  committed: number
}

/** None where nothing was sent. */
type Answer = Option.Option<ReadonlyArray<CustomActivities.Result>>

/** An entry that can be sent. */
type Sendable = Entry & { readonly activity: CustomActivity.CustomActivity }

const retryPause = (retries: number) => Duration.seconds(Math.min(60, 2 ** (retries - 1)))

/** Marketo refuses all records of a call for one of them, without saying which. */
const isAboutRecords = (error: MarketoError.MarketoError): boolean =>
  error._tag === "InvalidRequest" ||
  (error._tag === "Rejected" && error.codes.every((code) => code === "413" || /^1\d{3}$/.test(code)))

const isTimeout = (error: MarketoError.MarketoError) => error._tag === "Rejected" && error.codes.includes("604")

const codeOf = (error: MarketoError.MarketoError): string => {
  if ("codes" in error) return error.codes.join(",")
  if (error._tag === "InvalidRequest") return "undecodable"
  return ("code" in error ? error.code : undefined) ?? ("reason" in error ? error.reason : error._tag)
}

const dead = (error: MarketoError.MarketoError, mayBeStored: boolean): Outcome => ({
  _tag: "Dead",
  cause: {
    stage: "TASK_PUT",
    exception: error._tag,
    message: error.message,
    code: codeOf(error),
    requestId: "requestId" in error ? error.requestId : undefined,
    mayBeStored,
  },
})

const skippedCause = ({ codes, requestId }: CustomActivities.Skipped): Cause => ({
  stage: "TASK_PUT",
  exception: "Skipped",
  message: codes
    .map(({ code }) => `[${code}] ${ErrorCode.get("Response", code)?.meaning ?? "not in Marketo's list of codes"}`)
    .join("; "),
  code: codes.map(({ code }) => code).join(","),
  requestId: requestId === "" ? undefined : requestId,
  mayBeStored: false,
})

const codesOf = ({ codes }: CustomActivities.Skipped) => codes.map(({ code }) => code)

const refused = ({ record: { offset, partition, topic } }: Entry, { message }: Cause) =>
  new SourceError({
    reason: "Refused",
    description: `Marketo skipped the record at offset ${offset} of partition ${partition} of topic ${topic}: ${message}. The policy for such records is to fail`,
  })

const added: Outcome = { _tag: "Added", confirmedBy: "answer" }

const isPending = (entry: Entry): entry is Sendable => entry.outcome === undefined

/** Its dead letter is not safe yet. */
const isDead = (entry: Entry): entry is Entry & { readonly outcome: Extract<Outcome, { _tag: "Dead" }> } =>
  entry.outcome?._tag === "Dead" && !entry.isDone

const progressOf = (entries: ReadonlyArray<Entry>): Progress => {
  const counts = { added: 0, confirmed: 0, deadLettered: 0, parked: 0, dropped: 0 }
  for (const { outcome } of entries) {
    if (outcome?._tag === "Added") counts[outcome.confirmedBy === "answer" ? "added" : "confirmed"]++
    else if (outcome?._tag === "Dead") counts[outcome.cause.mayBeStored ? "parked" : "deadLettered"]++
    else counts.dropped++
  }
  return { records: entries.length, ...counts }
}

const entriesOf = <A extends Entry>(parts: ReadonlyArray<Part>, is: (entry: Entry) => entry is A): ReadonlyArray<A> => {
  const found: Array<A> = []
  for (const { entries } of parts) for (const entry of entries) if (is(entry)) found.push(entry)
  return found
}

const halves = <A>(entries: ReadonlyArray<A>): readonly [ReadonlyArray<A>, ReadonlyArray<A>] => {
  const middle = Math.ceil(entries.length / 2)
  return [entries.slice(0, middle), entries.slice(middle)]
}

export const make = <R>(settings: Settings<R>, slices: ReadonlyArray<Slice>): Work<R> => {
  const { activities, counters, deadLetters, guard, readBack, report, topic } = settings
  const visibilityDelay = Duration.toMillis(settings.visibilityDelay)
  let parts: ReadonlyArray<Part> = []
  /** What got its outcome and is not in the guard's count yet. */
  let fresh: Array<Entry> = []
  let committed: Array<Entry> = []
  /** What this pass over the records has met. */
  let hasLost = false
  let isRefused = false

  const claimed = () => parts.filter(({ isClaimed }) => isClaimed)

  const openParts = () => parts.filter(({ isOpen }) => isOpen)

  const hasPending = (): boolean => openParts().some(({ entries }) => entries.some(isPending))

  const conclude = (entry: Entry, outcome: Outcome): void => {
    entry.outcome = outcome
    entry.isDone = outcome._tag !== "Dead"
    fresh.push(entry)
  }

  /** False when something was taken away in this pass. What was claimed before that may be committed all the same. */
  const claim = (): boolean => {
    for (const part of parts) {
      if (!part.isOpen) continue
      part.isOpen = !settings.isStopping() && part.slice.batch.claim(part.slice.until)
      part.isClaimed ||= part.isOpen
      hasLost ||= !part.isOpen
    }
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
          return Effect.void
        }
        part.isOpen = false
        return Metric.incrementBy(counters.lost, entries.length - part.committed)
      })
    })

  const release = Effect.suspend(() =>
    Effect.forEach(
      claimed(),
      (part) => {
        part.isClaimed = false
        return part.slice.batch.release
      },
      { discard: true },
    ),
  )

  /** Commits what can be, and gives up the rest. */
  const letGo = Effect.suspend(() => {
    const held = claimed()
    return Effect.forEach(held, commit, { concurrency: held.length, discard: true })
  }).pipe(Effect.ensuring(release))

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
    let isSent = false
    const hold = {
      acquire: Effect.suspend(() => {
        isSent = claim()
        return isSent ? Effect.void : Effect.interrupt
      }),
      release: Effect.suspend(() => {
        isSent = false
        return letGo
      }),
    }
    const batch = Chunk.unsafeFromArray(entries.map(({ activity }) => activity))
    return activities.add(batch as Chunk.NonEmptyChunk<CustomActivity.CustomActivity>, { hold }).pipe(
      Effect.map((results): Answer => Option.some(Chunk.toReadonlyArray(results))),
      Effect.mapError((error) => ({ error, mayBeStored: isSent })),
      Effect.catchAllCause((cause) =>
        hasLost && EffectCause.isInterruptedOnly(cause)
          ? Effect.succeed<Answer>(Option.none())
          : Effect.failCause(cause),
      ),
    )
  }

  /** Gives outcomes to the entries, as far as they are known by now. */
  const write = (entries: ReadonlyArray<Sendable>): Effect.Effect<void, WorkError> =>
    Effect.matchEffect(attempt(entries), {
      onFailure: ({ error, mayBeStored }) =>
        mayBeStored ? settleUnknown(entries, error) : notExecuted(entries, error),
      onSuccess: Option.match({
        onNone: () => Effect.void,
        onSome: (results) => settle(entries, results),
      }),
    })

  const writeHalves = (entries: ReadonlyArray<Sendable>) => Effect.forEach(halves(entries), write, { discard: true })

  const settle = (entries: ReadonlyArray<Sendable>, results: ReadonlyArray<CustomActivities.Result>) =>
    Effect.suspend(() => {
      for (let i = 0; i < results.length; i++) {
        const entry = entries[i] as Sendable
        const result = results[i] as CustomActivities.Result
        if (result._tag === "Added") {
          readBack.note(result.marketoGUID)
          conclude(entry, added)
          continue
        }
        const cause = skippedCause(result)
        switch (SkippedPolicy.actionOf(settings.skipped, codesOf(result))) {
          case "deadLetter":
            conclude(entry, { _tag: "Dead", cause })
            break
          case "drop":
            conclude(entry, { _tag: "Dropped" })
            break
          case "retry":
            isRefused = true
            break
          case "fail":
            return Effect.fail(refused(entry, cause))
        }
      }
      return Effect.void
    })

  /** Nothing was executed. */
  const notExecuted = (entries: ReadonlyArray<Sendable>, error: MarketoError.MarketoError) => {
    const [only, ...others] = entries
    if (isAboutRecords(error)) {
      if (others.length > 0) return writeHalves(entries)
      if (only !== undefined) conclude(only, dead(error, false))
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
      const until = (yield* Clock.currentTimeMillis) + visibilityDelay
      const { isComplete, missing } = yield* confirm(entries, until)
      if (missing.length === 0) return
      if (settings.notFound === "fail") return yield* Effect.fail(error)
      const mayResend =
        settings.notFound === "resend" && isComplete && !(isTimeout(error) && missing.length <= settings.minCount)
      const again = missing.filter(({ resent }) => mayResend && resent < settings.resends)
      for (const entry of missing) if (!again.includes(entry)) conclude(entry, dead(error, true))
      for (const entry of again) entry.resent++
      if (isTimeout(error) && again.length > 0) yield* writeHalves(again)
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
          if (isStored[i] === true) conclude(entry, { _tag: "Added", confirmedBy: "readBack" })
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

  /** Makes dead letters safe, and commits. */
  const finish = Effect.gen(function* () {
    if (fresh.length > 0) claim()
    // not what is in doubt: it is not bad, and the next run would write it again without having parked it
    const areDead = fresh.map(({ outcome }) => outcome?._tag === "Dead" && !outcome.cause.mayBeStored)
    fresh = []
    if (!guard.allows(areDead)) return yield* tooMany()
    const letters = entriesOf(claimed(), isDead)
    if (letters.length > 0) yield* deadLetters.write(letters.map((entry) => [entry, entry.outcome.cause]))
    for (const entry of letters) entry.isDone = true
    yield* letGo
    yield* tell
  })

  const tooMany = () =>
    new SourceError({
      reason: "TooManyDeadLetters",
      description: `more than ${guard.policy.max} of the last ${guard.policy.of} records of topic ${topic} would be dead letters. Look at those in the dead-letter topic, then start again or change the guard`,
    })

  const run = Effect.gen(function* () {
    parts = yield* Effect.forEach(slices, (slice) =>
      Effect.map(
        settings.decode(slice),
        (entries): Part => ({ slice, entries, isOpen: true, isClaimed: false, committed: 0 }),
      ),
    )
    for (const { entries } of parts) fresh.push(...entries.filter(({ outcome }) => outcome !== undefined))
    yield* Metric.increment(counters.calls)
    yield* confirmEarlier
    for (let pauses = 0; ; ) {
      hasLost = false
      isRefused = false
      const entries = entriesOf(openParts(), isPending)
      if (entries.length > 0) yield* write(entries)
      yield* finish
      if (!hasPending()) return
      if (isRefused) yield* Effect.sleep(retryPause(++pauses))
    }
  }).pipe(
    Effect.tapError(() => Effect.zipRight(letGo, tell)),
    Effect.ensuring(release),
    Effect.withSpan("CustomActivitySource.batch", {
      captureStackTrace: false,
      attributes: { "messaging.system": "kafka", "messaging.destination.name": topic },
    }),
  )

  return { run, isHeld: () => claimed().length > 0 }
}
