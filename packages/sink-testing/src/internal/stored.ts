/**
 * Compares what a reader of the destination finds with what was written.
 *
 * @since 0.1.0
 */
import type { Batch } from "@effect-marketo/core/ActivitySink"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type { Harness } from "../SinkSuite.js"
import { Violation } from "../Violation.js"

const shown = (text: string | undefined): string =>
  text === undefined ? "nothing" : text.length > 120 ? `${text.slice(0, 120)}… (${text.length} characters)` : text

/** The first difference, said so that it can be acted on; a diff of 30,000 texts cannot. */
const difference = (
  what: string,
  stored: ReadonlyArray<string>,
  expected: ReadonlyArray<string>,
): Violation | undefined => {
  const length = Math.max(stored.length, expected.length)
  for (let i = 0; i < length; i++) {
    if (stored[i] !== expected[i]) {
      return new Violation({
        description: `${stored.length} ${what} are stored, ${expected.length} expected; number ${i} is ${shown(stored[i])}, expected ${shown(expected[i])}`,
      })
    }
  }
  return undefined
}

/** Everything of `expected` at least once and in order of first appearance; beyond it only what was in doubt. */
const repeatedDifference = (
  what: string,
  stored: ReadonlyArray<string>,
  expected: ReadonlyArray<string>,
  doubtful: ReadonlyArray<string>,
): Violation | undefined => {
  const distinct = [...new Set(stored)]
  const maybe = new Set(doubtful)
  const beyond = distinct.slice(expected.length).find((text) => !maybe.has(text))
  return (
    difference(what, distinct.slice(0, expected.length), expected) ??
    (beyond === undefined
      ? undefined
      : new Violation({ description: `among the ${what} is ${shown(beyond)}, which nobody wrote` }))
  )
}

export interface Expected {
  /** Made durable, oldest first. */
  readonly batches: ReadonlyArray<Batch>
  /** Present once a write was cut off and the sink is at-least-once: repeats are fine, and so is any of `doubtful`. */
  readonly repeats?: { readonly doubtful: ReadonlyArray<Batch> } | undefined
}

const textsOf = (batches: ReadonlyArray<Batch>, part: "records" | "rejected"): ReadonlyArray<string> =>
  batches.flatMap((batch) => Chunk.toReadonlyArray(batch[part]).map(({ text }) => text))

const read = (texts: Effect.Effect<ReadonlyArray<string>, unknown>) =>
  Effect.mapError(texts, (cause) => new Violation({ description: "the harness cannot read the destination", cause }))

export const expectStored = (harness: Harness, { batches, repeats }: Expected): Effect.Effect<void, Violation> => {
  const check = (part: "records" | "rejected", what: string, texts: Harness["records"]) =>
    Effect.flatMap(read(texts), (stored) => {
      const expected = textsOf(batches, part)
      const violation =
        repeats === undefined
          ? difference(what, stored, expected)
          : repeatedDifference(what, stored, expected, textsOf(repeats.doubtful, part))
      return violation === undefined ? Effect.void : Effect.fail(violation)
    })
  return Effect.zipRight(
    check("records", "records", harness.records),
    harness.rejected === undefined ? Effect.void : check("rejected", "rejected elements", harness.rejected),
  )
}

export const readRecords = (harness: Harness): Effect.Effect<ReadonlyArray<string>, Violation> => read(harness.records)
