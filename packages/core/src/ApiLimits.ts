/**
 * The limits of one Marketo instance, shared by everything that calls it: calls in a moving window, calls in flight, and
 * a pause of all callers when Marketo asks for one.
 *
 * Marketo allows 100 calls in any 20 s and 10 at once, for all integrations of the instance together, and advises each
 * to plan for half of that (Adobe's page "Integration best practices"). Hence the defaults.
 *
 * Every call of `layer` builds limits of their own. Clients of one instance must share one: bind the Layer to a `const`
 * and provide it once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as monotonic from "./internal/monotonic.js"
import * as permits from "./internal/permits.js"
import { MarketoInvalidRequest } from "./MarketoError.js"
import * as Metrics from "./Metrics.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Calls that may start in any `window`. Default: 50. The instance's limit: 100, shared. */
  readonly calls?: number | undefined
  /** Default: 20 seconds, as Marketo counts. 250 ms are added, because arrivals differ from starts. */
  readonly window?: Duration.Duration | undefined
  /** Calls in flight. Default: 5. The instance's limit: 10, shared. */
  readonly concurrent?: number | undefined
  /**
   * When the daily quota is used up (607): `"fail"` ends with the instant of the reset, `"wait"` pauses every caller
   * until then. Default: `"fail"`.
   */
  readonly dailyQuota?: "fail" | "wait" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Runs a call when the limits allow it; callers are served in order. */
  readonly run: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** No call starts before `duration` has passed, or before an earlier pause ends. Calls in flight continue. */
  readonly pauseFor: (duration: Duration.Duration) => Effect.Effect<void>
  readonly window: Duration.Duration
  readonly dailyQuota: "fail" | "wait"
}

/**
 * @since 0.1.0
 * @category tags
 */
export class ApiLimits extends Context.Tag("@effect-marketo/core/ApiLimits")<ApiLimits, Service>() {}

/** Measured against a server that counts arrivals: 100 starts in 20.00 s were refused 19 times, in 20.25 s never. */
const MARGIN = Duration.millis(250)

const positive = (field: string, value: number) =>
  Number.isInteger(value) && value >= 1
    ? Effect.void
    : new MarketoInvalidRequest({ field, limit: `must be a whole number of at least 1, not ${value}` })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, MarketoInvalidRequest> =>
  Effect.gen(function* () {
    const calls = options.calls ?? 50
    const concurrent = options.concurrent ?? 5
    yield* positive("limits.calls", calls)
    yield* positive("limits.concurrent", concurrent)
    const window = Duration.sum(options.window ?? Duration.seconds(20), MARGIN)
    const span = Duration.toMillis(window)
    const inFlight = permits.make(concurrent)
    const turn = permits.make(1)
    const starts: Array<number> = []
    let pausedUntil = Number.NEGATIVE_INFINITY

    const start = turn(
      Effect.gen(function* () {
        const arrived = yield* monotonic.now
        let now = arrived
        for (;;) {
          const oldest = starts.length < calls ? undefined : starts[0]
          const free = Math.max(pausedUntil, oldest === undefined ? now : oldest + span)
          if (free <= now) break
          yield* Effect.sleep(free - now)
          now = yield* monotonic.now
        }
        if (starts.length === calls) starts.shift()
        starts.push(now)
        yield* Metric.update(Metrics.limiterWait, (now - arrived) / 1000)
      }),
    )
    return {
      run: (call) => inFlight(Effect.zipRight(start, call)),
      pauseFor: (duration) =>
        Effect.map(monotonic.now, (now) => {
          pausedUntil = Math.max(pausedUntil, now + Duration.toMillis(duration))
        }),
      window,
      dailyQuota: options.dailyQuota ?? "fail",
    }
  })

/**
 * @since 0.1.0
 * @category models
 */
export interface ShareOptions {
  /**
   * Calls that may be let go in any window of the whole. Those that then wait for the whole start later, so `concurrent`
   * more may start in one window.
   */
  readonly calls: number
  /** Calls in flight, those included that wait for the whole. Default: no limit of its own. */
  readonly concurrent?: number | undefined
}

/**
 * A part of the limits that are there, for one of several users of an instance: it takes no more than its share, so that the
 * others are not starved. A pause that Marketo asks for is one of the whole.
 *
 * @example
 * import { ApiLimits, Marketo } from "@effect-marketo/core"
 * import { Layer } from "effect"
 *
 * declare const options: Marketo.Options
 *
 * const limits = ApiLimits.layer({ calls: 50 })
 * const reader = Marketo.layerWithoutLimits(options).pipe(Layer.provide(limits))
 * const writer = Marketo.layerWithoutLimits(options).pipe(
 *   Layer.provide(ApiLimits.layerShare({ calls: 20 })),
 *   Layer.provide(limits)
 * )
 *
 * @since 0.1.0
 * @category layers
 */
export const layerShare = (options: ShareOptions): Layer.Layer<ApiLimits, MarketoInvalidRequest, ApiLimits> =>
  Layer.effect(
    ApiLimits,
    Effect.gen(function* () {
      const whole = yield* ApiLimits
      const part = yield* make({
        calls: options.calls,
        concurrent: options.concurrent ?? Number.MAX_SAFE_INTEGER,
        window: Duration.subtract(whole.window, MARGIN),
      })
      return { ...whole, run: (call) => part.run(whole.run(call)) }
    }),
  )

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<ApiLimits, MarketoInvalidRequest> =>
  Layer.effect(ApiLimits, make(options))

/**
 * When the daily quota starts anew: the next midnight in America/Chicago, daylight saving included. (Adobe's pages say
 * "CST" in one place and Central Time in another.)
 *
 * @since 0.1.0
 * @category accessors
 */
export const quotaReset = (now: DateTime.Utc): DateTime.Utc =>
  DateTime.unsafeMakeZoned(now, { timeZone: "America/Chicago" }).pipe(
    DateTime.startOf("day"),
    DateTime.add({ days: 1 }),
    DateTime.toUtc,
  )

/** @internal When to ask again after a 607, if that is to be waited for. */
export const quotaRetry = (now: DateTime.Utc): DateTime.Utc => {
  const reset = quotaReset(now)
  const sinceLast = DateTime.distanceDuration(quotaReset(DateTime.subtract(now, { days: 1 })), now)
  // clocks differ, and so do Marketo's pages on daylight saving: just after a reset the quota may not be there yet
  return Duration.lessThan(sinceLast, Duration.hours(2))
    ? DateTime.add(now, { minutes: 5 })
    : DateTime.add(reset, { minutes: 1 })
}
