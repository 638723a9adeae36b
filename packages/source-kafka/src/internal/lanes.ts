/**
 * Calls in flight over the partitions in hand: begins work when a lane is free, and ends it within a limit. Work has a lane until what
 * its call has written is committed. While it waits for a single record it leaves its lane to others, and its other partitions too, so
 * that such a record holds up its own partition only.
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

/** A lane, as the work in it sees it. */
export interface Lane {
  /** Whether no further work may begin. */
  readonly isStopping: () => boolean
  /** Leaves the lane to others. */
  readonly leave: Effect.Effect<void>
  /** Waits until there is a free lane, if the work has left its own. */
  readonly enter: Effect.Effect<void>
  /** Nothing of this slice is left to be done: its partition may go into another call. */
  readonly done: (slice: Slice) => Effect.Effect<void>
}

/** Work that has begun and not ended. */
interface Job {
  /** Work that wants a lane back comes before work that has not begun. */
  state: "inLane" | "waiting" | "wantsLane"
  /** Undefined in the moment before it is forked. */
  fiber: Fiber.Fiber<void> | undefined
  /** Not done yet. */
  readonly slices: Set<Slice>
}

export const make = <R>(settings: {
  readonly count: number
  readonly gatherer: Gatherer
  readonly begin: (slices: ReadonlyArray<Slice>, lane: Lane) => Work<R>
  readonly onFailure: (cause: Cause.Cause<WorkError>) => Effect.Effect<unknown>
}): Effect.Effect<Lanes<R>> =>
  Effect.map(Effect.all([Effect.makeLatch(), Effect.makeLatch()]), ([changed, left]) => {
    const { gatherer } = settings
    const jobs = new Map<Work<R>, Job>()
    let isStopping = false

    const isFree = (...taken: ReadonlyArray<Job["state"]>): boolean =>
      [...jobs.values()].filter(({ state }) => taken.includes(state)).length < settings.count

    const move = (job: Job, state: Job["state"]): void => {
      job.state = state
      for (const { batch } of job.slices) gatherer.stall(batch.partition, state !== "inLane")
      changed.unsafeOpen()
      left.unsafeOpen()
    }

    const laneOf = (job: Job): Lane => {
      const enter: Effect.Effect<void> = Effect.suspend(() => {
        if (job.state === "inLane") return Effect.void
        if (isFree("inLane")) return Effect.sync(() => move(job, "inLane"))
        job.state = "wantsLane"
        left.unsafeClose()
        return Effect.zipRight(left.await, enter)
      })
      return {
        isStopping: () => isStopping,
        leave: Effect.sync(() => move(job, "waiting")),
        enter: Effect.onInterrupt(enter, () => Effect.sync(() => move(job, "waiting"))),
        done: (slice) =>
          Effect.map(monotonic.now, (now) => {
            if (!job.slices.delete(slice)) return
            gatherer.done(slice.batch.partition, now)
            changed.unsafeOpen()
          }),
      }
    }

    const begin = (slices: ReadonlyArray<Slice>) => {
      const job: Job = { state: "inLane", fiber: undefined, slices: new Set(slices) }
      const lane = laneOf(job)
      const work = settings.begin(slices, lane)
      // before it is forked: it may end before this goes on
      jobs.set(work, job)
      return work.run.pipe(
        Effect.catchAllCause((cause) => {
          // what is behind the records of a failed call would be committed over them
          isStopping = true
          return settings.onFailure(cause)
        }),
        Effect.ensuring(
          Effect.zipRight(
            Effect.forEach(slices, lane.done, { discard: true }),
            Effect.sync(() => {
              jobs.delete(work)
              move(job, "waiting")
            }),
          ),
        ),
        Effect.asVoid,
        Effect.interruptible,
        // it ends by `drain`, not with the fiber that began it
        Effect.forkDaemon,
        Effect.tap((fiber) => {
          job.fiber = fiber
        }),
      )
    }

    const run = Effect.gen(function* () {
      for (;;) {
        changed.unsafeClose()
        const now = yield* monotonic.now
        const mayBegin = !isStopping && isFree("inLane", "wantsLane")
        const taken = mayBegin ? gatherer.take(now) : Number.POSITIVE_INFINITY
        if (typeof taken !== "number") yield* begin(taken)
        else yield* Number.isFinite(taken) ? Effect.timeoutOption(changed.await, Duration.millis(taken)) : changed.await
      }
    })

    const interrupt = ({ fiber }: Job) => (fiber === undefined ? Effect.void : Fiber.interruptFork(fiber))

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
            Fiber.interruptAll(
              [...jobs].flatMap(([work, { fiber }]) => (work.isHeld() || fiber === undefined ? [] : [fiber])),
            ),
          )
          // some release what they have claimed, because Marketo has refused the call
          const allEnd = Effect.repeat(endIdle, {
            schedule: Schedule.spaced("100 millis"),
            until: () => jobs.size === 0,
          })
          const ended = yield* Effect.timeoutOption(Effect.interruptible(allEnd), limit)
          if (ended._tag === "Some") return
          yield* Effect.logWarning("calls did not end in time, and are left; their records will be delivered again")
          // a dead letter that is being sent cannot be interrupted, and is not waited for
          yield* Effect.forEach([...jobs], ([work, job]) => Effect.zipRight(interrupt(job), work.release))
        }),
    }
  })
