import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * Milliseconds of the clock that only goes forward, for every wait: an administrator, NTP or a resumed machine may set the
 * wall clock back by an hour. Readings can only be compared with each other.
 */
export const now: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) =>
  Math.round(Number(nanos) / 1_000_000),
)
