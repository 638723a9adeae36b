/**
 * A circuit breaker: after a call that nobody answered, and of which nothing was found, the next ones have one record, one at a
 * time, until Marketo answers. Each of those may end in doubt too; so an outage costs a few records, and not the backlog. While
 * the record of one trial is looked up, another lane may try: a record that is never answered holds up nobody but itself.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as monotonic from "./monotonic.js"

const PAUSE = Duration.toMillis("10 seconds")

export interface Breaker {
  readonly isOpen: () => boolean
  /** Waits for its turn. A trial is a call of one record. */
  readonly run: <A, E, R>(call: (isTrial: boolean) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly answered: () => void
  readonly unanswered: () => void
}

export const make: Effect.Effect<Breaker> = Effect.map(Effect.makeLatch(true), (closed) => {
  let isOpen = false
  let isTrying = false
  let triedAt = Number.NEGATIVE_INFINITY

  const run: Breaker["run"] = (call) =>
    Effect.suspend(() => {
      // noted in the step that grants it, so that an interruption cannot keep the turn
      let isTrial = false
      const turn: Effect.Effect<void> = Effect.flatMap(monotonic.now, (now) => {
        const left = isTrying ? PAUSE : triedAt + PAUSE - now
        if (isOpen && left > 0) return Effect.zipRight(Effect.timeoutOption(closed.await, left), turn)
        isTrial = isOpen
        isTrying ||= isOpen
        return Effect.void
      })
      return Effect.ensuring(
        Effect.flatMap(turn, () => call(isTrial)),
        Effect.map(monotonic.now, (now) => {
          if (!isTrial) return
          isTrying = false
          triedAt = now
        }),
      )
    })

  return {
    isOpen: () => isOpen,
    run,
    answered: () => {
      isOpen = false
      closed.unsafeOpen()
    },
    unanswered: () => {
      isOpen = true
      closed.unsafeClose()
    },
  }
})
