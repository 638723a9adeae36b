import * as Effect from "effect/Effect"

/**
 * One effect at a time; the others wait in order.
 *
 * Not `Effect.makeSemaphore`: an interruption that lands between its taking of a permit and the start of the guarded effect
 * loses the permit, and everybody after that waits for ever. Here the lock is noted on its waiter in the step that grants it,
 * and whatever ends the waiter gives it back.
 */
export const make = (): (<A, E, R>(guarded: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const waiting = new Map<object, () => void>()
  let holder: object | undefined

  const grant = () => {
    for (const [waiter, enter] of waiting) {
      if (holder !== undefined) return
      waiting.delete(waiter)
      holder = waiter
      enter()
    }
  }

  return (guarded) =>
    Effect.suspend(() => {
      const self = {}
      const enter = Effect.async<void>((resume) => {
        waiting.set(self, () => resume(Effect.void))
        grant()
      })
      const begin = Effect.suspend(() => {
        if (holder !== undefined || waiting.size > 0) return Effect.zipRight(enter, guarded)
        holder = self
        return guarded
      })
      const leave = Effect.sync(() => {
        waiting.delete(self)
        if (holder === self) holder = undefined
        grant()
      })
      return Effect.ensuring(begin, leave)
    })
}
