import { assert, describe, it } from "@effect/vitest"
import { ApiLimits } from "@effect-marketo/core"
import { Clock, DateTime, Duration, Effect, FastCheck, Fiber, Layer, TestClock } from "effect"
import { flowing } from "./support/simulated.js"

describe("ApiLimits", () => {
  it.effect.prop(
    "never more starts than allowed in any window, never more in flight, in order, whatever arrives when",
    [
      FastCheck.integer({ min: 1, max: 8 }),
      FastCheck.integer({ min: 1, max: 5 }),
      FastCheck.array(FastCheck.tuple(FastCheck.nat({ max: 3_000 }), FastCheck.nat({ max: 4_000 })), {
        minLength: 1,
        maxLength: 40,
      }),
    ],
    ([calls, concurrent, arrivals]) =>
      Effect.gen(function* () {
        const limits = yield* ApiLimits.make({ calls, concurrent, window: Duration.seconds(2) })
        const starts: Array<number> = []
        const order: Array<number> = []
        let inFlight = 0
        let peak = 0
        const fibers: Array<Fiber.Fiber<void, unknown>> = []
        for (const [i, [gap, duration]] of arrivals.entries()) {
          yield* TestClock.adjust(gap)
          fibers.push(
            yield* Effect.fork(
              limits.run(
                Effect.gen(function* () {
                  starts.push(yield* Clock.currentTimeMillis)
                  order.push(i)
                  peak = Math.max(peak, ++inFlight)
                  yield* Effect.sleep(duration)
                  inFlight--
                }),
              ),
            ),
          )
          yield* Effect.yieldNow()
        }
        yield* TestClock.adjust("1 hours")
        yield* Fiber.joinAll(fibers)
        assert.strictEqual(starts.length, arrivals.length)
        assert.isAtMost(peak, concurrent)
        assert.deepStrictEqual(
          order,
          arrivals.map((_, i) => i),
        )
        for (let i = calls; i < starts.length; i++) assert.isAtLeast((starts[i] ?? 0) - (starts[i - calls] ?? 0), 2_250)
      }),
    { fastCheck: { numRuns: 60 } },
  )

  it.effect("the whole allowance at once, then as many in each window: no time is wasted", () =>
    Effect.gen(function* () {
      const limits = yield* ApiLimits.make({ calls: 100, concurrent: 10 })
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(
        Effect.all(
          Array.from({ length: 300 }, () => limits.run(Effect.sleep("100 millis"))),
          { concurrency: "unbounded" },
        ),
      )
      assert.closeTo((yield* Clock.currentTimeMillis) - begun, 2 * 20_250 + 1_000, 3_000)
    }),
  )

  it.effect("an interrupted waiter takes nothing", () =>
    Effect.gen(function* () {
      const limits = yield* ApiLimits.make({ calls: 1, concurrent: 1 })
      yield* limits.run(Effect.void)
      const waiter = yield* Effect.fork(limits.run(Effect.void))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(waiter)
      const next = yield* Effect.fork(limits.run(Clock.currentTimeMillis))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* Fiber.join(next), 20_250)
    }),
  )

  it.effect("a pause is not shortened by a later, shorter one", () =>
    Effect.gen(function* () {
      const limits = yield* ApiLimits.make()
      yield* limits.pauseFor(Duration.seconds(60))
      yield* limits.pauseFor(Duration.seconds(10))
      assert.strictEqual(yield* flowing(limits.run(Clock.currentTimeMillis)), 60_000)
    }),
  )

  it.effect("a pause also holds those who wait for the window already", () =>
    Effect.gen(function* () {
      const limits = yield* ApiLimits.make({ calls: 1 })
      yield* limits.run(Effect.void)
      const waiting = yield* Effect.fork(limits.run(Clock.currentTimeMillis))
      yield* TestClock.adjust("10 seconds")
      yield* limits.pauseFor(Duration.hours(1))
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* Fiber.join(waiting), 3_610_000)
    }),
  )

  it.effect(
    "a share takes at most its part of every window and of the calls in flight, and leaves the rest to others",
    () =>
      Effect.gen(function* () {
        const whole = yield* ApiLimits.make({ calls: 10, concurrent: 10 })
        const part = yield* Effect.provide(
          ApiLimits.ApiLimits,
          Layer.provide(
            ApiLimits.layerShare({ calls: 4, concurrent: 2 }),
            Layer.succeed(ApiLimits.ApiLimits, ApiLimits.ApiLimits.of(whole)),
          ),
        )
        let inFlight = 0
        let peak = 0
        const starts: Record<"source" | "reader", Array<number>> = { source: [], reader: [] }
        const call = (name: "source" | "reader") =>
          Effect.gen(function* () {
            starts[name].push(yield* Clock.currentTimeMillis)
            if (name === "source") peak = Math.max(peak, ++inFlight)
            yield* Effect.sleep("100 millis")
            if (name === "source") inFlight--
          })
        const source = Effect.forEach(Array.from({ length: 12 }), () => part.run(call("source")), {
          concurrency: "unbounded",
        })
        const reader = Effect.forEach(Array.from({ length: 12 }), () => whole.run(call("reader")), {
          concurrency: "unbounded",
        })
        yield* flowing(Effect.all([source, reader], { concurrency: "unbounded" }))
        for (const window of [0, 1]) {
          const within = (ms: number) => ms >= window * 20_250 && ms < (window + 1) * 20_250
          // two of the share may have waited for the whole
          assert.isAtMost(starts.source.filter(within).length, 4 + 2)
          assert.isAtLeast(starts.reader.filter(within).length, 4)
        }
        assert.deepStrictEqual([starts.source.length, starts.reader.length, peak], [12, 12, 2])
      }),
  )

  it.effect("a pause is one of the whole, whoever was asked for it", () =>
    Effect.gen(function* () {
      const whole = yield* ApiLimits.make()
      const part = yield* Effect.provide(
        ApiLimits.ApiLimits,
        Layer.provide(
          ApiLimits.layerShare({ calls: 4 }),
          Layer.succeed(ApiLimits.ApiLimits, ApiLimits.ApiLimits.of(whole)),
        ),
      )
      yield* part.pauseFor(Duration.seconds(60))
      assert.strictEqual(yield* flowing(whole.run(Clock.currentTimeMillis)), 60_000)
    }),
  )

  for (const [options, field] of [
    [{ calls: 0 }, "limits.calls"],
    [{ calls: 1.5 }, "limits.calls"],
    [{ concurrent: 0 }, "limits.concurrent"],
    [{ concurrent: Number.NaN }, "limits.concurrent"],
  ] as const) {
    it.effect(`${JSON.stringify(options)} is refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(ApiLimits.make(options))
        assert.strictEqual(error.field, field)
      }),
    )
  }

  it("the quota resets at midnight in Chicago, daylight saving included", () => {
    const reset = (now: string) => DateTime.formatIso(ApiLimits.quotaReset(DateTime.unsafeMake(now)))
    assert.strictEqual(reset("2026-01-15T12:00:00Z"), "2026-01-16T06:00:00.000Z")
    assert.strictEqual(reset("2026-07-15T12:00:00Z"), "2026-07-16T05:00:00.000Z")
    // the days on which the clocks change have 23 and 25 hours
    assert.strictEqual(reset("2026-03-08T07:00:00Z"), "2026-03-09T05:00:00.000Z")
    assert.strictEqual(reset("2026-03-08T05:59:59Z"), "2026-03-08T06:00:00.000Z")
    assert.strictEqual(reset("2026-11-01T12:00:00Z"), "2026-11-02T06:00:00.000Z")
    assert.strictEqual(reset("2026-11-01T04:59:59Z"), "2026-11-01T05:00:00.000Z")
  })
})
