/**
 * Finds out which records are in Marketo.
 */
import type * as CustomActivities from "@effect-marketo/core/CustomActivities"
import type * as CustomActivity from "@effect-marketo/core/CustomActivity"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as monotonic from "./monotonic.js"
import * as outage from "./outage.js"

/** Stored activities that are remembered, so that none is taken for another record that is equal to it. */
const MAX_KNOWN = 12_000

export interface Found {
  /** By position. */
  readonly isStored: ReadonlyArray<boolean>
  /** False when what was not found may be there all the same. */
  readonly isComplete: boolean
}

export interface ReadBack {
  /** An answer of Marketo said that this activity is stored. */
  readonly note: (marketoGUID: string) => void
  /** Looks until all are found, or until a look that began at `until` or later. An outage is waited for. */
  readonly find: (
    sent: ReadonlyArray<CustomActivity.CustomActivity>,
    until: number,
  ) => Effect.Effect<Found, MarketoError.MarketoError>
}

export const make = (
  activities: CustomActivities.Service,
  { identity, maxCalls }: CustomActivities.UnknownPolicy,
): ReadBack => {
  const known = new Set<string>()

  const note = (marketoGUID: string) => {
    // an identity is exact: nothing can be taken for anything else
    if (identity !== undefined) return
    known.add(marketoGUID)
    if (known.size > MAX_KNOWN) for (const oldest of known) return void known.delete(oldest)
  }

  const look = (
    sent: ReadonlyArray<CustomActivity.CustomActivity>,
  ): Effect.Effect<CustomActivities.Found, MarketoError.MarketoError> =>
    activities
      .readBack(Chunk.unsafeFromArray(sent), { identity, maxCalls, isKnown: (guid) => known.has(guid) })
      .pipe(
        Effect.catchIf(outage.passes, (error) =>
          Effect.zipRight(outage.wait("custom activities cannot be read back, waiting", error), look(sent)),
        ),
      )

  return {
    note,
    find: (sent, until) =>
      Effect.gen(function* () {
        const isStored = sent.map(() => false)
        for (let wait = 1_000; ; wait = Math.min(2 * wait, 15_000)) {
          const began = yield* monotonic.now
          const missing = [...isStored.keys()].filter((i) => isStored[i] === false)
          const { guids, isComplete } = yield* look(missing.flatMap((i) => sent[i] ?? []))
          for (const [n, i] of missing.entries()) {
            const guid = guids[n] ?? Option.none()
            if (Option.isNone(guid)) continue
            note(guid.value)
            isStored[i] = true
          }
          if (began >= until || !isStored.includes(false)) return { isStored, isComplete }
          yield* Effect.sleep(Duration.millis(Math.max(0, Math.min(wait, until - (yield* monotonic.now)))))
        }
      }),
  }
}
