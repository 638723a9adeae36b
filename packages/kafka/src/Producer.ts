/**
 * Writing to topics. Every producer is idempotent and waits for all in-sync replicas.
 *
 * `sendByKey` finds the partition of each record. A `send` goes to one partition, by type: kafkajs loses and repeats records when a send spans several partitions of a
 * cluster and one of its brokers has to be asked again. Send to several partitions at once with one `send` for each.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { KafkaError } from "./KafkaError.js"
import type { ProducerRecord, TopicPartition } from "./KafkaRecord.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Producer {
  /**
   * Writes the records in their order and succeeds with the offset of the last one. Records that together are too large
   * for one request go out as several, one after the other; when one of these fails, those before it are written.
   *
   * Sends to one partition run one after the other, in the order in which they were started; sends to different
   * partitions run at the same time. An interruption waits for the send under way, which is bounded.
   *
   * `OutcomeUnknown` says that brokers were asked again and again for the client's `deliveryTimeout`, and none said that the
   * records are written: they may be. Outside a transaction the producer can be used on, and sending the same again may
   * write it twice.
   */
  readonly send: (
    to: TopicPartition,
    records: readonly [ProducerRecord, ...ReadonlyArray<ProducerRecord>],
  ) => Effect.Effect<bigint, KafkaError>
  /**
   * Writes each record to the partition of its key, as Java's default partitioner does: equal keys keep their order. The
   * records without a key go to one partition, another one at each call.
   *
   * Sends to all partitions at once, one `send` each, and waits for all of them. If some fail, fails as the first of them
   * did; the records of the other partitions are written. `index` is the place in this list.
   *
   * The number of partitions is asked of the cluster, and again after five minutes. If a topic gains partitions, keys move.
   */
  readonly sendByKey: (
    topic: string,
    records: readonly [ProducerRecord, ...ReadonlyArray<ProducerRecord>],
  ) => Effect.Effect<void, KafkaError>
}

/**
 * Writes in transactions. When it has been made, every older producer of its transactional id is fenced, and a
 * transaction that one of them left open is finished or aborted: what is read after that stays true.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionalProducer {
  readonly transactionalId: string
  /**
   * Runs `use` in one transaction, which is committed when `use` succeeds and aborted when it fails or is interrupted.
   * It is aborted too when one of its sends failed, whatever `use` made of that failure. One at a time. An interruption
   * during the commit waits for it, at most the client's `requestTimeout`.
   *
   * The time of a transaction begins with its first send; one without any costs nothing and cannot expire.
   *
   * `OutcomeUnknown` says that nobody answered the commit: it may have been made or not.
   *
   * After a failure of `use`, a record that was refused, or a topic that is missing, this producer can be used on. After any
   * other failure of a send, of the commit or of the abort it is spent: make another one and read what is there.
   */
  readonly transaction: <A, E, R>(
    use: (transaction: Producer) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | KafkaError, R>
}
