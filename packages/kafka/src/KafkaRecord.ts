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
 * Text is written as UTF-8. A header may have no value, which is another thing than an empty one.
 *
 * @since 0.1.0
 * @category models
 */
export type HeaderValue = string | Uint8Array | null

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
 * Why a batch of records could not be read. Nothing is known of its records, so they are one `ConsumerRecord`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unreadable {
  /** `TooLarge`: unpacked they would take more than the client's `maxDecompressedBytes`. `Damaged`: they cannot be unpacked. */
  readonly reason: "TooLarge" | "Damaged"
  /** Which batch it is, and what is wrong with it. No contents of records. */
  readonly description: string
  /** The offset of the batch's first record. The offset of the `ConsumerRecord` is that of its last one. */
  readonly firstOffset: bigint
  /** How many records the batch has. */
  readonly count: number
  /** Bytes of the records as they are stored, compressed. */
  readonly size: number
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
  /** None is a tombstone, unless the record is `unreadable`. */
  readonly value: Option.Option<Uint8Array>
  /**
   * A header may be repeated, so each name has a list, in the order of the record. The object has no prototype: a header may have
   * any name.
   */
  readonly headers: Readonly<Record<string, ReadonlyArray<Uint8Array | null>>>
  /**
   * Set only where the reader asked for it (`unreadable: "deliver"`): this stands for a batch of records that could not be
   * read, and has no key, value or headers.
   */
  readonly unreadable?: Unreadable | undefined
}
