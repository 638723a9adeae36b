/**
 * A Kafka cluster as an Effect service: producers, transactions, reading, committable consumption, topics. This is the
 * port alone: `KafkajsClient` is a real cluster behind it, `MemoryClient` one for tests.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Compression } from "./Compression.js"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "./KafkaRecord.js"
import type { PartitionBatch } from "./PartitionBatch.js"
import type { Producer, TransactionalProducer } from "./Producer.js"
import type { NewTopic, Topic, TopicConfig } from "./Topic.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface ProducerOptions {
  /** One that this process can write: `Compression.writable`. Default: `"none"`. */
  readonly compression?: Compression | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TransactionalProducerOptions extends ProducerOptions {
  /** One producer at a time has it; the newest wins. */
  readonly transactionalId: string
  /** The broker aborts a transaction that is open for longer. Default: 60 seconds; at most the broker's 15 minutes. */
  readonly transactionTimeout?: Duration.DurationInput | undefined
}

/**
 * Times that have to fit together: `rebalanceTimeout` must exceed the longest time between `claim` and `commit`, or the
 * member is expelled in the middle of its work and somebody else does that work again. `sessionTimeout` is at least three
 * heartbeats, and `rebalanceTimeout` at least `sessionTimeout`; what does not fit is refused as `Misconfigured`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConsumerOptions {
  readonly topic: string
  /** Members of one group share the partitions. Needs the ACL Read on the group and on the topic. */
  readonly groupId: string
  /**
   * Where a group without a committed offset begins, and a partition that ends before the committed offset. With `"latest"`,
   * records that are written before the first commit may be skipped. Default: `"earliest"`.
   */
  readonly from?: "earliest" | "latest" | undefined
  /**
   * What to do when a partition does not have the next offset to read. Retention, or a request, has removed records before they
   * were read; then reading can go on at the first record that is left. Or the topic was made anew, or has lost its end; then it
   * can go on where `from` says. (A topic that was made anew and is longer than the committed offset looks like the old one.)
   *
   * `"continue"` logs an error with topic, partition and the number of missing offsets, counts them in the metric
   * `kafka_consumer_gap_offsets_total`, and reads on. `"fail"` does the same, but ends the stream with `OffsetOutOfRange` and
   * leaves the committed offset alone. Default: `"continue"`, because the records are gone either way, and a reader that has
   * stopped may lose more to retention.
   */
  readonly onGap?: "continue" | "fail" | undefined
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
   * Batches of records that cannot be read: damaged, or larger unpacked than the client's `maxDecompressedBytes`. `"fail"` ends
   * the stream with `RecordUnreadable`, before such a batch. `"deliver"` gives one record for each, with `unreadable`, which
   * is committed like any other. Default: `"fail"`, so that no program takes one for a tombstone.
   */
  readonly unreadable?: "fail" | "deliver" | undefined
  /**
   * When a member is lost by an error that is retryable, another one takes its place after the delays of this schedule,
   * and the stream goes on. Before the first member has joined, the client's `startTimeout` is a limit as well.
   * `Schedule.stop` lets the stream fail at the first loss. Default: 100 milliseconds, doubled up to 10 seconds, for ever,
   * and from the beginning again when a minute has gone by.
   */
  readonly restart?: Schedule.Schedule<unknown, KafkaError> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ReadOptions {
  /** As for `consume`: batches of records that cannot be read. Default: `"fail"`. */
  readonly unreadable?: "fail" | "deliver" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Connected, and closed with the scope. Fails within `startTimeout`: as `Unavailable`, or as `Misconfigured` when the user may
   * write to no topic.
   */
  readonly producer: (options?: ProducerOptions) => Effect.Effect<Producer, KafkaError, Scope.Scope>
  /**
   * The owner of its transactional id from now on: older producers of it are fenced, and what they left open is ended. Fails
   * within `startTimeout`: as `Unavailable`, also where the ACL on the transactional id is missing, or as `Misconfigured`.
   */
  readonly transactionalProducer: (
    options: TransactionalProducerOptions,
  ) => Effect.Effect<TransactionalProducer, KafkaError, Scope.Scope>
  /**
   * As a member of a group, at least once. A member that is lost is replaced, as `restart` of the options says, and the
   * stream goes on; it fails when what is wrong is for a person to put right. When it ends it waits for the work on what is
   * claimed, for at most `rebalanceTimeout`, and then leaves the group within 5 seconds.
   */
  readonly consume: (options: ConsumerOptions) => Stream.Stream<PartitionBatch, KafkaError>
  /**
   * What is committed in a topic, or in one partition of it, from its beginning to where its end was when the stream
   * started; transactions that are open or aborted are not seen. In the order of each partition. Fails as `Unavailable`
   * when nothing moves for `startTimeout`, and never ends early.
   *
   * A commit is answered before its records become visible: a read that begins within milliseconds may miss it. One that
   * begins after a new producer of the same transactional id was made misses nothing of the older ones.
   *
   * It belongs to no consumer group, and needs the ACL Read on the topic alone.
   */
  readonly read: (topic: string, partition?: number, options?: ReadOptions) => Stream.Stream<ConsumerRecord, KafkaError>
  /** None when it does not exist. */
  readonly topic: (name: string) => Effect.Effect<Option.Option<Topic>, KafkaError>
  /** Its settings, the defaults among them. Fails as `UnknownTopic` when it does not exist. */
  readonly topicConfig: (name: string) => Effect.Effect<TopicConfig, KafkaError>
  /**
   * Whether it was created; false when it existed before, or when the answer was lost and a second try found it. Succeeds
   * when its partitions have leaders.
   */
  readonly createTopic: (topic: NewTopic) => Effect.Effect<boolean, KafkaError>
  /**
   * Where each partition ends for readers of what is committed: the offset of the next record, or of the first record of a
   * transaction that is still open. Fails as `UnknownTopic` when the topic does not exist.
   */
  readonly endOffsets: (topic: string) => Effect.Effect<ReadonlyMap<number, bigint>, KafkaError>
  /**
   * The offset of the next record that a group reads, by partition; partitions without a commit are left out. Fails as
   * `UnknownTopic` when the topic does not exist. Needs the ACL Describe on the group and on the topic.
   */
  readonly committedOffsets: (groupId: string, topic: string) => Effect.Effect<ReadonlyMap<number, bigint>, KafkaError>
  /** Deletes the records before `offset`. Fails as `Misconfigured` when the partition ends before that. */
  readonly deleteRecords: (of: TopicPartition, offset: bigint) => Effect.Effect<void, KafkaError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class KafkaClient extends Context.Tag("@effect-marketo/kafka/KafkaClient")<KafkaClient, Service>() {}
