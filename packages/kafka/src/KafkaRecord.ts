/**
 * What goes to a topic and what comes from one, and where. The names are Kafka's.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Option from "effect/Option"

/**
 * @since 0.1.0
 * @category models
 */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/**
 * Text is written as UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export type HeaderValue = string | Uint8Array

/**
 * A record to be written. It does not say where: `Producer.send` writes to one partition at a time.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProducerRecord {
  /** Text is written as UTF-8. */
  readonly key: string | Uint8Array | null
  /** `null` is a tombstone: it deletes the key from a compacted topic. */
  readonly value: string | Uint8Array | null
  /** A list repeats the header, in its order. */
  readonly headers?: Readonly<Record<string, HeaderValue | ReadonlyArray<HeaderValue>>> | undefined
  /** Default: the time of sending. */
  readonly timestamp?: DateTime.Utc | undefined
}

/**
 * A record as it was read.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConsumerRecord extends TopicPartition {
  readonly offset: bigint
  /** The last that a date can have, where the record's is past that. */
  readonly timestamp: DateTime.Utc
  readonly key: Option.Option<Uint8Array>
  /** None is a tombstone. */
  readonly value: Option.Option<Uint8Array>
  /** A header may be repeated, so each has a list, in the order of the record. One without a value is empty. */
  readonly headers: Readonly<Record<string, ReadonlyArray<Uint8Array>>>
}
