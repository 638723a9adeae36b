/**
 * What passes by itself, and how it is waited for.
 */
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** After core's own repeats, about one and a half minutes of them. */
const MIN_PAUSE = Duration.seconds(10)

/** A daily quota is asked for again before midnight too: it may have been raised, and clocks differ. */
const MAX_PAUSE = Duration.minutes(15)

export const passes = (error: MarketoError.MarketoError): boolean => error.isRetryable

/** Says what is waited for, and waits. */
export const wait = (what: string, error: MarketoError.MarketoError): Effect.Effect<void> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const retryAt = error._tag === "MarketoLimited" ? DateTime.toEpochMillis(error.retryAt) : now
    const pause = Duration.clamp(Duration.millis(retryAt - now), { minimum: MIN_PAUSE, maximum: MAX_PAUSE })
    yield* Effect.annotateLogs(Effect.logWarning(what), { error: error.message, wait: Duration.format(pause) })
    yield* Effect.sleep(pause)
  })
