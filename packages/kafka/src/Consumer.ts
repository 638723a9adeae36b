/**
 * Reading a topic as a member of a consumer group, at least once.
 *
 * @since 0.1.0
 */
import type * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "./KafkaRecord.js"

/**
 * Times that have to fit together: `rebalanceTimeout` must exceed the longest time between `claim` and `commit`, or the
 * member is expelled in the middle of its work and somebody else does that work again. `sessionTimeout` is at least three
 * heartbeats, and `rebalanceTimeout` at least `sessionTimeout`; what does not fit is refused as `Misconfigured`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly topic: string
  /** Members of one group share the partitions. Needs the ACL Read on the group and on the topic. */
  readonly groupId: string
  /**
   * Where a group without a committed offset begins, and one whose offset the topic no longer keeps. With `"latest"`, what
   * is written before the first commit may be passed over. Default: `"earliest"`.
   */
  readonly from?: "earliest" | "latest" | undefined
  /**
   * A member that is silent for this long is expelled. Brokers accept 6 seconds to 30 minutes, unless they are set up
   * otherwise. Default: 30 seconds.
   */
  readonly sessionTimeout?: Duration.DurationInput | undefined
  /** How soon a rebalance is noticed. Default: 3 seconds. */
  readonly heartbeatInterval?: Duration.DurationInput | undefined
  /** How long a rebalance, and the end of the stream, waits for work under way. Default: 150 seconds. */
  readonly rebalanceTimeout?: Duration.DurationInput | undefined
  /**
   * When a member is lost by an error that is retryable, another one takes its place after the delays of this schedule,
   * and the stream goes on. Before the first member has joined, the client's `startTimeout` is a limit as well.
   * `Schedule.stop` lets the stream fail at the first loss. Default: 100 milliseconds, doubled up to 10 seconds, for ever,
   * and from the beginning again when a minute has gone by.
   */
  readonly restart?: Schedule.Schedule<unknown, KafkaError> | undefined
}

/**
 * Consecutive records of one partition. Work on them goes from the first to the last: `claim` before it begins, `commit`
 * when it is done. A partition's next batch comes when all of this one was committed; that is the back-pressure. As long as
 * a batch is held, the member sends heartbeats.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartitionBatch extends TopicPartition {
  /** How many records there are, one at least. */
  readonly length: number
  /** The record at an index below `length`. It is made when it is asked for, so work on a few at a time is spread out. */
  readonly at: (index: number) => ConsumerRecord
  /** The value of that record, without making it; `null` is a tombstone. */
  readonly valueAt: (index: number) => Uint8Array | null
  /** All of them. */
  readonly records: Chunk.NonEmptyChunk<ConsumerRecord>
  /**
   * Whether somebody may have worked on these records without having committed them: the partition comes from another
   * member, or from one that was lost, or this member claimed records and did not commit them. It stays true until a batch
   * of the partition was committed whole. A partition that the member keeps over a rebalance, with all that it claimed
   * committed, is not first.
   *
   * Such work ends where a batch of that other member ended: with members of equal settings, not after this batch.
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
   * false when it is not known to be, because the partition belongs to somebody else by now or no broker answered for
   * `sessionTimeout`: these records are delivered again, with `first`. Not interrupted half-way; it ends within `rebalanceTimeout`.
   */
  readonly commit: (until: number) => Effect.Effect<boolean>
  /**
   * Gives up the records that are claimed and not committed. They may be claimed again, as before a later attempt; when the
   * partition is taken away first, they are delivered again, with `first`.
   */
  readonly release: Effect.Effect<void>
}
