/**
 * The records that a member of a consumer group works on.
 *
 * @example
 * import { KafkaClient } from "@effect-marketo/kafka"
 * import { Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function* () {
 *   const client = yield* KafkaClient.KafkaClient
 *   yield* client.consume({ topic: "orders", groupId: "invoices" }).pipe(
 *     Stream.runForEach((batch) =>
 *       batch.use(batch.length, (records) => Effect.log(`${records.length} of partition ${batch.partition}`))
 *     )
 *   )
 * })
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as lock from "./internal/lock.js"
import type { ConsumerRecord, TopicPartition, Unreadable } from "./KafkaRecord.js"

/**
 * Consecutive records of one partition. Work on them goes from the first to the last. `use` does what it takes: it claims
 * records before the work begins, and commits them after. `claim`, `commit` and `release` are the single steps, for work
 * that spans several batches. A partition's next batch comes when all of this one was committed; that is the back-pressure. As long as
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
  /** The value of that record, without making it; `null` is a tombstone, unless the record is unreadable. */
  readonly valueAt: (index: number) => Uint8Array | null
  /** Set if that record stands for a batch of records that could not be read; see `unreadable` of the options. */
  readonly unreadableAt: (index: number) => Unreadable | undefined
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
  /**
   * Works on the next `count` records, or on as many as are left: claims them, runs `work`, and commits them if it
   * succeeds. If `work` fails or is interrupted, releases them instead; the next `use` begins with the same records.
   *
   * Succeeds with true if the records are committed. False means that this batch is over: every record was committed
   * before, the partition is being revoked, the stream is ending, or the commit was not acknowledged. Records that are not
   * committed are delivered again. Calls on one batch run one after the other. It does not see what the single steps did, so
   * use it for all of a batch or for none of it.
   */
  readonly use: <A, E, R>(
    count: number,
    work: (records: Chunk.NonEmptyChunk<ConsumerRecord>) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<boolean, E, R>
}

/**
 * Adds `use` to a batch, for those who implement `KafkaClient.consume`. Returns the same object.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (batch: Omit<PartitionBatch, "use">): PartitionBatch => {
  const inTurn = lock.make()
  let used = 0

  const use: PartitionBatch["use"] = (count, work) =>
    inTurn(
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const from = used
          const until = Math.min(from + Math.max(1, Math.floor(count)), batch.length)
          if (from === batch.length || !batch.claim(until)) return Effect.succeed(false)
          const records = Chunk.makeBy(until - from, (index) => batch.at(from + index))
          return restore(work(records)).pipe(
            Effect.zipRight(batch.commit(until)),
            Effect.tap((isCommitted) => {
              if (isCommitted) used = until
            }),
            Effect.ensuring(batch.release),
          )
        }),
      ),
    )
  return Object.assign(batch, { use })
}
