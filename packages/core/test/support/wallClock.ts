import { Clock, Effect } from "effect"

/** Runs `effect` by the test's clock, but with a wall clock that differs from it by `offset.millis`, which the test changes. */
export const withWallClock =
  (offset: { readonly millis: number }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.clockWith((clock) => {
      const unsafeCurrentTimeMillis = () => clock.unsafeCurrentTimeMillis() + offset.millis
      return Effect.withClock(effect, {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis),
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) => clock.sleep(duration),
      } as Clock.Clock)
    })
