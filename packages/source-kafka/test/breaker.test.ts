import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, TestClock } from "effect"
import * as Breaker from "../src/internal/breaker.js"

const HOUR = 3_600_000

/** Runs `effect` with a wall clock that was set, while the test's clock goes on. */
const withWallClock =
  (offset: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.clockWith((clock) => {
      const unsafeCurrentTimeMillis = () => clock.unsafeCurrentTimeMillis() + offset
      return Effect.withClock(effect, {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis),
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) => clock.sleep(duration),
      } as Clock.Clock)
    })

describe("breaker", () => {
  for (const [way, offset] of [
    ["back", -HOUR],
    ["forward", HOUR],
  ] as const) {
    it.effect(`tries again after 10 seconds, also when the wall clock was set ${way} an hour`, () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker.make
        breaker.unanswered()
        yield* breaker.run(() => Effect.void)
        let isTried = false
        const trial = breaker.run(() => Effect.sync(() => (isTried = true)))
        const fiber = yield* Effect.fork(withWallClock(offset)(trial))
        yield* TestClock.adjust("9999 millis")
        assert.isFalse(isTried)
        yield* TestClock.adjust("1 millis")
        assert.isTrue(isTried)
        yield* Fiber.join(fiber)
      }),
    )
  }
})
