/**
 * Reading a topic as a member of a consumer group, at least once.
 *
 * @since 0.1.0
 */
import type * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "./KafkaRecord.js"

/**
 * Times that have to fit together: `rebalanceTimeout` must exceed the longest time between `claim` and `commit`, or the
 * member is expelled in the middle of its work and somebody else does that work again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly topic: string
  readonly groupId: string
  /** Where a group without a committed offset begins. Default: `"earliest"`. */
  readonly from?: "earliest" | "latest" | undefined
  /** A member that is silent for this long is expelled. Default: 30 seconds. */
  readonly sessionTimeout?: Duration.DurationInput | undefined
  /** Default: 3 seconds. */
  readonly heartbeatInterval?: Duration.DurationInput | undefined
  /** How long a rebalance waits for work under way. Default: 150 seconds. */
  readonly rebalanceTimeout?: Duration.DurationInput | undefined
}

/**
 * Consecutive records of one partition. Work on them goes from the first to the last: `claim` before it begins, `commit`
 * when it is done. A partition's next batch comes when all of this one was committed; that is the back-pressure.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartitionBatch extends TopicPartition {
  readonly records: Chunk.NonEmptyChunk<ConsumerRecord>
  /**
   * Whether this is the first batch since the partition was assigned: another member, or this one before a crash, may have
   * worked on its records without having committed them.
   */
  readonly first: boolean
  /**
   * Whether the partition held more records behind these when they were read. They come after the commit of these, so to
   * wait for a fuller batch makes sense only where there were none.
   */
  readonly hasMore: boolean
  /**
   * Claims the records before index `until` for work that begins now; `commit(until)` or `release` has to follow. False
   * when the partition is being taken away or the stream is ending: leave the rest of the batch, it will be delivered
   * again. A rebalance waits for claimed records.
   */
  readonly claim: (until: number) => boolean
  /**
   * The work on the records before index `until` is done. Succeeds with true when their offset is committed, and with
   * false when the partition already belongs to somebody else, who is given the records again.
   */
  readonly commit: (until: number) => Effect.Effect<boolean, KafkaError>
  /**
   * Gives up the records that are claimed and not committed. They may be claimed again, as before a later attempt; when the
   * partition is taken away first, they will be delivered again.
   */
  readonly release: Effect.Effect<void>
}
