/**
 * What a topic is, and what it shall be.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Topic {
  readonly name: string
  /** Number of partitions. */
  readonly partitions: number
}

/**
 * Settings of a topic that exists, by Kafka's names such as `max.message.bytes`.
 *
 * @since 0.1.0
 * @category models
 */
export type TopicConfig = Readonly<Record<string, string>>

/**
 * @since 0.1.0
 * @category models
 */
export interface NewTopic {
  readonly name: string
  /** Default: the broker's `num.partitions`. */
  readonly partitions?: number | undefined
  /** Default: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number | undefined
  readonly config?: TopicConfig | undefined
}

/**
 * Kafka's own default of `max.message.bytes`, for where a topic's setting cannot be read.
 *
 * @since 0.1.0
 * @category models
 */
export const defaultMaxMessageBytes = 1_048_588
