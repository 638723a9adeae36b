/**
 * A Kafka cluster as an Effect service: producers, transactions, reading, committable consumption, topics.
 *
 * @example
 * import { KafkaClient } from "@effect-marketo/kafka"
 * import { Config, Effect } from "effect"
 *
 * const KafkaLive = KafkaClient.layerConfig({
 *   brokers: Config.array(Config.string(), "KAFKA_BROKERS"),
 *   sasl: {
 *     mechanism: Config.succeed("scram-sha-512" as const),
 *     username: Config.string("KAFKA_USER"),
 *     password: Config.redacted("KAFKA_PASSWORD")
 *   },
 *   tls: Config.succeed(true)
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const client = yield* KafkaClient.KafkaClient
 *   const producer = yield* client.transactionalProducer({ transactionalId: "example" })
 *   yield* producer.transaction((transaction) =>
 *     transaction.send({ topic: "greetings", partition: 0 }, [{ key: "en", value: "hello" }])
 *   )
 * }).pipe(Effect.scoped, Effect.provide(KafkaLive))
 *
 * @since 0.1.0
 */
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Consumer from "./Consumer.js"
import { checkOptions } from "./internal/checkOptions.js"
import * as kafkajs from "./internal/kafkajs/client.js"
import * as memory from "./internal/memory.js"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "./KafkaRecord.js"
import type { Producer, TransactionalProducer } from "./Producer.js"
import type { NewTopic, Topic, TopicConfig } from "./Topic.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Sasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * Certificates and keys are PEM texts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tls {
  /** The authority of the brokers' certificates. Default: those that Node trusts. */
  readonly ca?: string | undefined
  /** This client's own certificate, where brokers ask for one, with its `key`. */
  readonly cert?: string | undefined
  readonly key?: Redacted.Redacted | undefined
  readonly passphrase?: Redacted.Redacted | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `host:port` of some brokers of the cluster; the others are learnt from them. */
  readonly brokers: ReadonlyArray<string>
  /** Names this program in the brokers' logs and quotas, and the groups of `read`. Default: `"effect-marketo"`. */
  readonly clientId?: string | undefined
  readonly sasl?: Sasl | undefined
  /** Default: false. */
  readonly tls?: boolean | Tls | undefined
  /** Limit on one connection and on signing in, after which another one of the brokers is asked. Default: 10 seconds. */
  readonly connectTimeout?: Duration.Duration | undefined
  /** Limit on one answer, of a commit too. Default: 30 seconds. */
  readonly requestTimeout?: Duration.Duration | undefined
  /**
   * Limit on what happens before records flow: on building the layer, on making a producer, on looking at and making topics.
   * Default: 30 seconds.
   */
  readonly startTimeout?: Duration.Duration | undefined
  /**
   * How long a send is tried again while brokers are away; in a transaction not longer than that may take. Default: 2 minutes.
   */
  readonly deliveryTimeout?: Duration.Duration | undefined
}

/**
 * Opens a connection, as `net.connect` and `tls.connect` do, and calls `onConnect` when it is open (and secure).
 *
 * @since 0.1.0
 * @category models
 */
export type SocketFactory = (to: {
  readonly host: string
  readonly port: number
  /** Undefined without TLS. */
  readonly tls: ConnectionOptions | undefined
  readonly onConnect: () => void
}) => Socket

/**
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** The way to the brokers, such as through a proxy. Default: directly. */
  readonly socketFactory?: SocketFactory | undefined
}

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
  readonly consume: (options: Consumer.Options) => Stream.Stream<Consumer.PartitionBatch, KafkaError>
  /**
   * What is committed in a topic, or in one partition of it, from its beginning to where its end was when the stream
   * started; transactions that are open or aborted are not seen. In the order of each partition. Fails as `Unavailable`
   * when nothing moves for `startTimeout`, and never ends early.
   *
   * A commit is answered before its records become visible: a read that begins within milliseconds may miss it. One that
   * begins after a new producer of the same transactional id was made misses nothing of the older ones.
   *
   * kafkajs reads only as a member of a group: each read has one of its own, `<clientId>-read-<uuid>`, deleted afterwards.
   * A broker lets the first member of a group wait for others, `group.initial.rebalance.delay.ms`, 3 seconds by default.
   */
  readonly read: (topic: string, partition?: number) => Stream.Stream<ConsumerRecord, KafkaError>
  /** None when it does not exist. */
  readonly topic: (name: string) => Effect.Effect<Option.Option<Topic>, KafkaError>
  /** Its settings, the defaults among them. Fails as `UnknownTopic` when it does not exist. */
  readonly topicConfig: (name: string) => Effect.Effect<TopicConfig, KafkaError>
  /**
   * Whether it was created; false when it existed before, or when the answer was lost and a second try found it. Succeeds
   * when its partitions have leaders.
   */
  readonly createTopic: (topic: NewTopic) => Effect.Effect<boolean, KafkaError>
  /** Deletes the records before `offset`. Fails as `Misconfigured` when the partition ends before that. */
  readonly deleteRecords: (of: TopicPartition, offset: bigint) => Effect.Effect<void, KafkaError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class KafkaClient extends Context.Tag("@effect-marketo/kafka/KafkaClient")<KafkaClient, Service>() {}

/**
 * Over kafkajs. Building it asks the brokers once: what is wrong with the address, TLS or signing in is an error here, within
 * `startTimeout`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options, transport: Transport = {}): Layer.Layer<KafkaClient, KafkaError> =>
  Layer.effect(
    KafkaClient,
    Effect.zipRight(
      checkOptions(options),
      Effect.suspend(() => kafkajs.make(options, transport)),
    ),
  )

/**
 * The same from the program's own `Config`s.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>,
  transport: Transport = {},
): Layer.Layer<KafkaClient, KafkaError | ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap<Options>(options), (read) => layer(read, transport)))

/**
 * Topics and transactions in memory, for tests of programs: readers see what is committed, a newer producer of a
 * transactional id fences the older one, transactions expire by the `Clock`, and records over `max.message.bytes` are
 * refused. Topics must be created. There are no groups: `consume` fails. Each build of the layer is a cluster of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<KafkaClient> = Layer.sync(KafkaClient, memory.make)
