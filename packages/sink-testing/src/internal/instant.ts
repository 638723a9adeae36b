/**
 * Instants inside a write: before any of its operations, which reaches each step of a sink, or at any moment of the time
 * it takes, which reaches the waits in between.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

export interface Instant {
  readonly by: "operation" | "time"
  /** From 0, the start of the write, to 1, its end. */
  readonly part: number
}

/** What a whole write takes. */
export interface Cost {
  readonly operations: number
  readonly millis: number
}

/** A sink's operations are those of its fibers, so a scheduler can count them without the sink's knowing. */
const counting = (onOperation: (count: number) => boolean): Scheduler.Scheduler => {
  let count = 0
  return {
    scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber),
    shouldYield: (fiber) => (onOperation(count++) ? 0 : Scheduler.defaultScheduler.shouldYield(fiber)),
  }
}

export const measure = <E>(write: Effect.Effect<void, E>): Effect.Effect<Cost, E> =>
  Effect.suspend(() => {
    let operations = 0
    const started = performance.now()
    const scheduler = counting((count) => {
      operations = count
      return false
    })
    return Effect.map(Effect.withScheduler(write, scheduler), () => ({
      operations,
      millis: performance.now() - started,
    }))
  })

/** Timers are no finer than a millisecond, which can be all that a write takes. */
const after = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const end = performance.now() + millis
    let immediate: NodeJS.Immediate
    const turn = () => {
      if (performance.now() >= end) resume(Effect.void)
      else immediate = setImmediate(turn)
    }
    turn()
    return Effect.sync(() => clearImmediate(immediate))
  })

/** Forks `write` and resumes when it has come to the instant, or to its end. */
export const forkUntil = <A, E>(
  write: Effect.Effect<A, E>,
  { by, part }: Instant,
  cost: Cost,
): Effect.Effect<Fiber.RuntimeFiber<A, E>> =>
  by === "time"
    ? Effect.zipLeft(Effect.fork(write), after(part * cost.millis))
    : Effect.gen(function* () {
        const operation = Math.floor(part * cost.operations)
        const reached = yield* Effect.makeLatch()
        const scheduler = counting((count) => {
          if (count !== operation) return false
          reached.unsafeOpen()
          return true
        })
        const fiber = yield* Effect.fork(Effect.withScheduler(Effect.ensuring(write, reached.open), scheduler))
        yield* reached.await
        return fiber
      })
