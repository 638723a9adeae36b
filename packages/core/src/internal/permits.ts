import * as Effect from "effect/Effect"

interface Waiter {
  isHolding: boolean
  enter: () => void
}

/**
 * At most `count` effects at a time; the others wait in order.
 *
 * Not `Effect.makeSemaphore`, on which `SynchronizedRef` stands too: an interruption that lands between its taking of a
 * permit and the start of the guarded effect loses the permit, and a limiter that lives for months loses all of them. Here
 * a permit is noted on its waiter in the step that grants it, and whatever ends the waiter gives it back.
 */
export const make = (count: number): (<A, E, R>(guarded: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  let free = count
  const waiting = new Set<Waiter>()

  const grant = () => {
    for (const waiter of waiting) {
      if (free === 0) return
      waiting.delete(waiter)
      free--
      waiter.isHolding = true
      waiter.enter()
    }
  }

  return (guarded) =>
    Effect.suspend(() => {
      const waiter: Waiter = { isHolding: false, enter: () => {} }
      const enter = Effect.async<void>((resume) => {
        waiter.enter = () => resume(Effect.void)
        waiting.add(waiter)
        grant()
      })
      const begin = Effect.suspend(() => {
        if (free === 0 || waiting.size > 0) return Effect.zipRight(enter, guarded)
        free--
        waiter.isHolding = true
        return guarded
      })
      const leave = Effect.sync(() => {
        waiting.delete(waiter)
        if (waiter.isHolding) free++
        grant()
      })
      return Effect.ensuring(begin, leave)
    })
}
