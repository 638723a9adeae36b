import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Start } from "../Activities.js"
import type { AnyFeed, Feed } from "../Feed.js"
import { MarketoInvalidRequest } from "../MarketoError.js"
import * as chains from "./chains.js"
import * as instant from "./instant.js"

const invalid = (field: string, limit: string) => new MarketoInvalidRequest({ field, limit })

/** A moment; text must carry a zone, because a guessed one loses or repeats hours of activities. */
const parse = (since: Start["since"]): Effect.Effect<DateTime.Utc, MarketoInvalidRequest> => {
  const millis = typeof since === "string" ? instant.parse(since) : DateTime.toEpochMillis(since)
  return Number.isNaN(millis)
    ? invalid("since", "must be a date and time with a zone, such as 2026-01-31T00:00:00Z or 2026-01-31T08:00:00+08:00")
    : Effect.succeed(DateTime.unsafeMake(millis))
}

/** A moment that has been. */
export const past = (since: Start["since"]): Effect.Effect<DateTime.Utc, MarketoInvalidRequest> =>
  Effect.gen(function* () {
    const moment = yield* parse(since)
    const now = yield* DateTime.now
    if (DateTime.greaterThan(moment, now)) {
      const what = `it is ${DateTime.formatIso(moment)}, and now is ${DateTime.formatIso(now)}`
      return yield* invalid("since", `must not be in the future: ${what}`)
    }
    return moment
  })

/** As Marketo takes it: whole seconds, rounded down, so that nothing is left out. */
export const format = (since: DateTime.Utc): string => `${DateTime.formatIso(since).slice(0, 19)}Z`

/** Everything about a read that can be wrong before a call is made. */
export const check = <A>(feed: Feed<A>, start: Omit<Start, "positions">): Effect.Effect<void, MarketoInvalidRequest> =>
  Effect.gen(function* () {
    const { batchSize, concurrency, every, since } = start
    if (batchSize !== undefined && !(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= 300)) {
      return yield* invalid("batchSize", `Marketo takes 1 to 300 records a page, not ${batchSize}`)
    }
    if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1)) {
      return yield* invalid("concurrency", `must be a whole number of at least 1, not ${concurrency}`)
    }
    if (every !== undefined && Duration.lessThan(every, "1 seconds")) {
      return yield* invalid("every", "must be at least 1 second: each poll is a call of the daily quota")
    }
    yield* parse(since)
    yield* chains.validate(feed as AnyFeed)
  })
