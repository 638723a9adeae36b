/**
 * Calls in flight over the partitions in hand: begins work when a lane is free, and ends it within a limit. A lane is free when what
 * its call has written is committed, so no more than one call's records of each lane can ever be written and not committed.
 */
import type { PartitionBatch } from "@effect-marketo/kafka/PartitionBatch"
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { Slice } from "./batch.js"
import type { Gatherer } from "./gatherer.js"
import * as monotonic from "./monotonic.js"
import type { Work, WorkError } from "./work.js"

export interface Lanes<R> {
  readonly offer: (batch: PartitionBatch) => Effect.Effect<void>
  /** Begins work, again and again. */
  readonly run: Effect.Effect<never, never, R>
  /** Begins nothing new, ends at once what has nothing claimed, and waits for the rest. */
  readonly drain: (limit: Duration.Duration) => Effect.Effect<void>
}

export const make = <R>(settings: {
  readonly count: number
  readonly gatherer: Gatherer
  readonly begin: (slices: ReadonlyArray<Slice>, isStopping: () => boolean) => Work<R>
  readonly onFailure: (cause: Cause.Cause<WorkError>) => Effect.Effect<unknown>
}): Effect.Effect<Lanes<R>> =>
  Effect.map(Effect.makeLatch(), (changed) => {
    const { gatherer } = settings
    const inFlight = new Map<Work<R>, Fiber.Fiber<void>>()
    /** Begun and not ended. */
    let works = 0
    let isStopping = false

    const begin = (slices: ReadonlyArray<Slice>) => {
      works++
      const work = settings.begin(slices, () => isStopping)
      return work.run.pipe(
        Effect.catchAllCause((cause) => {
          // what is behind the records of a failed call would be committed over them
          isStopping = true
          return settings.onFailure(cause)
        }),
        Effect.ensuring(
          Effect.map(monotonic.now, (now) => {
            inFlight.delete(work)
            works--
            gatherer.done(slices, now)
            changed.unsafeOpen()
          }),
        ),
        Effect.asVoid,
        Effect.interruptible,
        // it ends by `drain`, not with the fiber that began it
        Effect.forkDaemon,
        Effect.tap((fiber) => Effect.sync(() => inFlight.set(work, fiber))),
      )
    }

    const run = Effect.gen(function* () {
      for (;;) {
        changed.unsafeClose()
        const now = yield* monotonic.now
        const isFree = works < settings.count
        const taken = !isStopping && isFree ? gatherer.take(now) : Number.POSITIVE_INFINITY
        if (typeof taken !== "number") yield* begin(taken)
        else yield* Number.isFinite(taken) ? Effect.timeoutOption(changed.await, Duration.millis(taken)) : changed.await
      }
    })

    return {
      offer: (batch) =>
        Effect.map(monotonic.now, (now) => {
          gatherer.offer(batch, now)
          changed.unsafeOpen()
        }),
      run,
      drain: (limit) =>
        Effect.gen(function* () {
          isStopping = true
          const endIdle = Effect.suspend(() =>
            Fiber.interruptAll([...inFlight].filter(([work]) => !work.isHeld()).map(([, fiber]) => fiber)),
          )
          // some give up what they hold, because Marketo has refused the call
          const allEnd = Effect.repeat(endIdle, {
            schedule: Schedule.spaced("100 millis"),
            until: () => inFlight.size === 0,
          })
          const ended = yield* Effect.timeoutOption(Effect.interruptible(allEnd), limit)
          if (ended._tag === "Some") return
          yield* Effect.logWarning("calls did not end in time, and are left; their records will be delivered again")
          // a dead letter that is being sent cannot be interrupted, and is not waited for
          yield* Effect.forEach([...inFlight], ([work, fiber]) =>
            Effect.zipRight(Fiber.interruptFork(fiber), work.release),
          )
        }),
    }
  })
