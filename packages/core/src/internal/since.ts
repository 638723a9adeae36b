import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { InvalidRequest } from "../MarketoError.js"
import * as instant from "./instant.js"

/** An instant that has been; text must carry a zone, because a guessed one loses or repeats hours of activities. */
export const check = (since: DateTime.Utc | string): Effect.Effect<DateTime.Utc, InvalidRequest> =>
  Effect.gen(function* () {
    const millis = typeof since === "string" ? instant.parse(since) : DateTime.toEpochMillis(since)
    if (Number.isNaN(millis)) {
      return yield* new InvalidRequest({
        field: "since",
        limit: "must be a date and time with a zone, such as 2026-01-31T00:00:00Z or 2026-01-31T08:00:00+08:00",
      })
    }
    const now = yield* DateTime.now
    if (millis > DateTime.toEpochMillis(now)) {
      return yield* new InvalidRequest({
        field: "since",
        limit: `must not be in the future: it is ${new Date(millis).toISOString()}, and now is ${DateTime.formatIso(now)}`,
      })
    }
    return DateTime.unsafeMake(millis)
  })

/** As Marketo takes it: whole seconds, rounded down, so that nothing is left out. */
export const format = (since: DateTime.Utc): string => `${DateTime.formatIso(since).slice(0, 19)}Z`
