/**
 * The checkpoints of one subscription, in a topic of their own with one partition. The newest committed record counts: its
 * value is core's text, or nothing before the first batch, and the header `writer` names who wrote it.
 *
 * @since 0.1.0
 */
import type { SinkError } from "@effect-marketo/core/SinkError"
import type * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import type { ConsumerRecord, ProducerRecord } from "@effect-marketo/kafka/KafkaRecord"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { cannot, failure } from "./failure.js"

export interface Stored {
  /** None before the first batch: then the record only says who may write. */
  readonly json: Option.Option<string>
  /** None when somebody else than a sink wrote the record. */
  readonly writer: Option.Option<string>
  readonly offset: bigint
}

const WRITER = "writer"

const decoder = new TextDecoder()

export const record = (key: string, json: Option.Option<string>, writer: string): ProducerRecord => ({
  key,
  value: Option.getOrNull(json),
  headers: { [WRITER]: writer },
})

const stored = ({ headers, offset, value }: ConsumerRecord): Stored => ({
  json: Option.map(value, (bytes) => decoder.decode(bytes)),
  writer: Option.map(Option.fromNullable(headers[WRITER]?.[0]), (bytes) => decoder.decode(bytes)),
  offset,
})

/**
 * The newest committed one of `key`. Another key in the topic is refused: each would hide the other's newest checkpoint. So is a
 * record without a value that no sink wrote: it would mean a start from the beginning.
 */
export const newest = (
  client: KafkaClient.Service,
  topic: string,
  key: string,
): Effect.Effect<Option.Option<Stored>, SinkError> =>
  client.read(topic, 0).pipe(
    // chunk by chunk: runFold calls itself for each element of a chunk, and a topic that is not trimmed has large ones
    Stream.chunks,
    Stream.runFold({ last: Option.none<ConsumerRecord>(), isOwn: true }, (before, chunk) =>
      Chunk.reduce(chunk, before, ({ isOwn }, next) => ({
        last: Option.some(next),
        isOwn: isOwn && Option.exists(next.key, (bytes) => decoder.decode(bytes) === key),
      })),
    ),
    cannot(`read the checkpoint of ${key} in the topic ${topic}`),
    Effect.flatMap(({ isOwn, last }) => {
      const found = Option.map(last, stored)
      if (!isOwn) {
        return failure(
          "CheckpointRefused",
          `the checkpoint topic ${topic} has records that are not of ${key}. Each subscription needs a checkpoint topic of its own: name another one`,
        )
      }
      return Option.exists(found, ({ json, writer }) => Option.isNone(json) && Option.isNone(writer))
        ? failure(
            "CheckpointRefused",
            `the newest record of the checkpoint topic ${topic} has no value, and no sink wrote it. Write the record before it again, or start under another name with the \`since\` you want`,
          )
        : Effect.succeed(found)
    }),
  )
