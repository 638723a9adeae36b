import { Marketo } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { DateTime, Effect, Layer, Redacted, TestClock } from "effect"

/** After the simulator's data set has happened. */
export const now = DateTime.unsafeMake("2026-02-01T00:00:00Z")
export const since = "2026-01-01T00:00:00Z"

/** Types that every instance has: five chains of ten. */
export const many = [
  1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 36, 38, 39, 40, 41,
  42, 43, 44, 45, 46, 47, 48, 100, 101, 102, 104, 106, 108, 110, 111, 112,
]

/** The services of one simulated instance, in process, by the test's clock. Limits do not slow the test unless asked for. */
export const simulated = (options: Simulator.Options = {}, marketo: Partial<Marketo.Options> = {}) =>
  Layer.unwrapEffect(
    Effect.map(Simulator.Simulator, (simulator) =>
      Marketo.layer({
        baseUrl: simulator.url,
        clientId: Redacted.make(simulator.clientId),
        clientSecret: Redacted.make(simulator.clientSecret),
        limits: { calls: 10_000, concurrent: 100 },
        ...marketo,
      }),
    ),
  ).pipe(
    Layer.provideMerge(Simulator.layer({ limits: { calls: 10_000, concurrent: 100 }, ...options })),
    Layer.provideMerge(Layer.effectDiscard(TestClock.setTime(DateTime.toEpochMillis(now)))),
  )

/** Runs `effect` while the clock goes on by itself, so that waits end; sleepers wake at their own time, no real time passes. */
export const flowing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(effect, Effect.forever(Effect.zipRight(Effect.yieldNow(), TestClock.adjust("20 seconds"))))
