/**
 * From records to custom activities.
 */
import * as CustomActivity from "@effect-marketo/core/CustomActivity"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import type { PartitionBatch } from "@effect-marketo/kafka/PartitionBatch"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type Cause, Entry, type Slice } from "./batch.js"

export type Decode<E, R> = (record: KafkaRecord.ConsumerRecord) => Effect.Effect<CustomActivity.CustomActivity, E, R>

/** Headers are for people; a longer text helps nobody. */
const MAX_MESSAGE = 1_000
const MAX_NAME = 200

type Decoded = Either.Either<CustomActivity.CustomActivity, unknown>

const tombstone = { name: "Tombstone", message: "the record has no value" }

const fromValue = (value: Uint8Array | null): Decoded =>
  value === null ? Either.left(tombstone) : CustomActivity.fromBytes(value)

/** What a decoder gives may have no JSON, whatever its type says. */
const checked = (activity: CustomActivity.CustomActivity): Decoded =>
  activity instanceof CustomActivity.Encoded
    ? Either.right(activity)
    : Either.map(CustomActivity.toJson(activity), () => activity)

const causeOf = (error: unknown): Pick<Cause, "exception" | "message"> => {
  try {
    const { _tag, message, name } = Object(error) as MarketoError.MarketoInvalidRequest
    return {
      exception: String(_tag ?? name ?? "Error").slice(0, MAX_NAME),
      message: String(message ?? error).slice(0, MAX_MESSAGE),
    }
  } catch {
    return { exception: "Error", message: "it cannot be shown" }
  }
}

/** Whatever one record makes throw is that record's dead letter. */
const caught = (decode: () => Decoded): Decoded => {
  try {
    return decode()
  } catch (error) {
    return Either.left(error)
  }
}

const entryOf = (batch: PartitionBatch, index: number, decode: () => Decoded): Entry => {
  const decoded = caught(decode)
  return Either.isRight(decoded)
    ? new Entry(batch, index, decoded.right, undefined)
    : new Entry(batch, index, undefined, {
        _tag: "Dead",
        cause: { stage: "VALUE_CONVERTER", code: "undecodable", mayBeStored: false, ...causeOf(decoded.left) },
      })
}

/** Nothing is known of the records of a batch that could not be read: they have one dead letter, at the offset of the last. */
const unreadable = (batch: PartitionBatch, index: number): Entry | undefined => {
  const found = batch.unreadableAt(index)
  if (found === undefined) return undefined
  const { description, reason } = found
  return new Entry(batch, index, undefined, {
    _tag: "Dead",
    cause: {
      stage: "VALUE_CONVERTER",
      code: "unreadable",
      exception: reason,
      message: description,
      mayBeStored: false,
    },
  })
}

/** JSON without an Effect for each record; the user's own way for all records at once, so that look-ups can be batched. */
export const make =
  <E, R>(decode: Decode<E, R> | undefined) =>
  ({ batch, from, until }: Slice): Effect.Effect<ReadonlyArray<Entry>, never, R> =>
    decode === undefined
      ? Effect.sync(() =>
          Array.makeBy(
            until - from,
            (n) => unreadable(batch, from + n) ?? entryOf(batch, from + n, () => fromValue(batch.valueAt(from + n))),
          ),
        )
      : Effect.forEach(
          Array.range(from, until - 1),
          (index) => {
            const dead = unreadable(batch, index)
            if (dead !== undefined) return Effect.succeed(dead)
            return Effect.suspend(() => decode(batch.at(index))).pipe(
              // a bug that one record brings out would end every run
              Effect.catchAllDefect((defect): Effect.Effect<never, unknown> => Effect.fail(defect)),
              Effect.either,
              Effect.map((decoded) => entryOf(batch, index, () => Either.flatMap(decoded, checked))),
            )
          },
          { concurrency: "unbounded", batching: true },
        )
