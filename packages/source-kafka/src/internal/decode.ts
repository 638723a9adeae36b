/**
 * From records to custom activities.
 */
import * as CustomActivity from "@effect-marketo/core/CustomActivity"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Cause, Entry, Slice } from "./batch.js"

export type Decode<E, R> = (record: KafkaRecord.ConsumerRecord) => Effect.Effect<CustomActivity.CustomActivity, E, R>

/** Headers are for people; a longer text helps nobody. */
const MAX_MESSAGE = 1_000

const decoder = new TextDecoder("utf-8", { fatal: true })

/** Bytes that are not UTF-8 are not JSON either. */
const textOf = (value: Uint8Array): string => {
  try {
    return decoder.decode(value)
  } catch {
    return ""
  }
}

const fromJson = ({
  value,
}: KafkaRecord.ConsumerRecord): Either.Either<CustomActivity.CustomActivity, Pick<Cause, "exception" | "message">> =>
  Option.match(value, {
    onNone: () => Either.left({ exception: "Tombstone", message: "the record has no value" }),
    onSome: (bytes) => Either.mapLeft(CustomActivity.fromJson(textOf(bytes)), causeOf),
  })

const causeOf = (error: unknown): Pick<Cause, "exception" | "message"> => {
  const { _tag, message, name } = Object(error) as MarketoError.InvalidRequest
  return {
    exception: String(_tag ?? name ?? "Error"),
    message: String(message ?? error).slice(0, MAX_MESSAGE),
  }
}

const toEntry = (
  record: KafkaRecord.ConsumerRecord,
  decoded: Either.Either<CustomActivity.CustomActivity, Pick<Cause, "exception" | "message">>,
): Entry => ({
  record,
  activity: Option.getOrUndefined(Either.getRight(decoded)),
  outcome: Either.match(decoded, {
    onLeft: (cause) => ({
      _tag: "Dead",
      cause: { stage: "VALUE_CONVERTER", code: "undecodable", mayBeStored: false, ...cause },
    }),
    onRight: () => undefined,
  }),
  isDone: false,
  resent: 0,
})

export const recordsOf = ({ batch, from, until }: Slice): ReadonlyArray<KafkaRecord.ConsumerRecord> =>
  Array.from({ length: until - from }, (_, n) => batch.at(from + n))

/** JSON without an Effect for each record; the user's own way for all records at once, so that look-ups can be batched. */
export const make =
  <E, R>(decode: Decode<E, R> | undefined) =>
  (slice: Slice): Effect.Effect<ReadonlyArray<Entry>, never, R> =>
    decode === undefined
      ? Effect.sync(() => recordsOf(slice).map((record) => toEntry(record, fromJson(record))))
      : Effect.forEach(
          recordsOf(slice),
          (record) =>
            Effect.map(Effect.either(decode(record)), (decoded) => toEntry(record, Either.mapLeft(decoded, causeOf))),
          { concurrency: "unbounded", batching: true },
        )
