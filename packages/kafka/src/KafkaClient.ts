/**
 * A Kafka cluster as an Effect service: producers, transactions, reading, committable consumption, topics.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Consumer from "./Consumer.js"
import * as memory from "./internal/memory.js"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "./KafkaRecord.js"
import type { Producer, TransactionalProducer } from "./Producer.js"
import type { NewTopic, Topic, TopicConfig } from "./Topic.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface ProducerOptions {
  /** Default: `"none"`. */
  readonly compression?: "none" | "gzip" | undefined
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
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly producer: (options?: ProducerOptions) => Effect.Effect<Producer, KafkaError, Scope.Scope>
  readonly transactionalProducer: (
    options: TransactionalProducerOptions,
  ) => Effect.Effect<TransactionalProducer, KafkaError, Scope.Scope>
  /** As a member of a group, at least once. Fails when the connection to the group is lost: run it again by a `Schedule`. */
  readonly consume: (options: Consumer.Options) => Stream.Stream<Consumer.PartitionBatch, KafkaError>
  /**
   * What is committed in a topic, or in one partition of it, from its beginning to where its end was when the stream
   * started; transactions that are open or aborted are not seen. In the order of each partition. Fails as `Unavailable`
   * when the end is not reached for a while, and never ends early.
   */
  readonly read: (topic: string, partition?: number) => Stream.Stream<ConsumerRecord, KafkaError>
  /** None when it does not exist. */
  readonly topic: (name: string) => Effect.Effect<Option.Option<Topic>, KafkaError>
  /** Needs the ACL DescribeConfigs on the topic. */
  readonly topicConfig: (name: string) => Effect.Effect<TopicConfig, KafkaError>
  /** Whether it was created; false when it existed before. */
  readonly createTopic: (topic: NewTopic) => Effect.Effect<boolean, KafkaError>
  /** Deletes the records before `offset`. */
  readonly deleteRecords: (of: TopicPartition, offset: bigint) => Effect.Effect<void, KafkaError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class KafkaClient extends Context.Tag("@effect-marketo/kafka/KafkaClient")<KafkaClient, Service>() {}

/**
 * Topics and transactions in memory, for tests of programs: readers see what is committed, a newer producer of a
 * transactional id fences the older one, transactions expire by the `Clock`, and records over `max.message.bytes` are
 * refused. Topics must be created. There are no groups: `consume` fails. Each build of the layer is a cluster of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<KafkaClient> = Layer.sync(KafkaClient, memory.make)
