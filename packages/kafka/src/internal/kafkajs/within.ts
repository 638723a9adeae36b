import * as Effect from "effect/Effect"

/**
 * A time limit by a timer, and not by Effect's: where a caller must not be interrupted that one could not end what it waits for, and
 * it takes two fibers, which is much for the commit behind each call. Where no time is left nothing is called.
 */
export const within = <A>(limit: number, call: () => Promise<A>, late: () => unknown): Effect.Effect<A, unknown> =>
  Effect.async((resume) => {
    if (limit <= 0) return resume(Effect.fail(late()))
    const timer = setTimeout(() => resume(Effect.fail(late())), limit)
    const end = (result: Effect.Effect<A, unknown>) => {
      clearTimeout(timer)
      resume(result)
    }
    // what it throws is its failure too
    new Promise<A>((resolve) => resolve(call())).then(
      (answer) => end(Effect.succeed(answer)),
      (cause) => end(Effect.fail(cause)),
    )
    return Effect.sync(() => clearTimeout(timer))
  })
