/**
 * Passes pages by what would keep them.
 *
 * A page is some thousand small objects, cheap as long as V8's fast collector takes them. It takes nothing that an old object
 * points to, though that be garbage itself; then the page is moved twice and waits for the slow collector, and reading costs a
 * seventh more. Such old objects are many here: `Effect.async` makes one at each use, and they reach the fiber that waited.
 * Fibers keep what they ended with, spans too, and the `Deferred`s inside of Effect's queues keep what was sent.
 */
import * as Effect from "effect/Effect"

/** An envelope: what keeps it when its content was taken keeps nothing. */
export class Handover<A> {
  #content: A | undefined

  constructor(content: A) {
    this.#content = content
  }

  /** Once. */
  take(): A {
    const content = this.#content as A
    this.#content = undefined
    return content
  }
}

/** Runs an effect inside `wrap`, which sees its result in an envelope. */
export const across =
  <A, E, R, E2, R2>(
    wrap: (self: Effect.Effect<Handover<A>, E, R>) => Effect.Effect<Handover<A>, E2, R2>,
  ): ((self: Effect.Effect<A, E, R>) => Effect.Effect<A, E2, R2>) =>
  (self) =>
    Effect.map(wrap(Effect.map(self, (result) => new Handover(result))), (handover) => handover.take())
