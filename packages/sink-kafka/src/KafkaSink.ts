/**
 * Activities into Kafka, exactly once: the records of a batch and the checkpoint after it are one transaction.
 *
 * A record's key is its lead id, so that a lead's activities keep their order in a topic; its value is the very JSON that
 * Marketo sent. The checkpoint is the newest record of a topic of its own, one topic for each subscription. A second copy
 * of a pipeline shuts out the first, which ends as `Fenced` and never fights back.
 *
 * **Delivery**: exactly once from the page to Kafka, within one cluster, for readers with `isolation.level=read_committed`,
 * which is not the default of Java's consumer. Crash, kill and pause at any instant lose nothing and repeat nothing. An
 * activity that Marketo itself returns on two pages is there twice: the header `marketo-guid` tells.
 *
 * @example
 * import { KafkajsClient } from "@effect-marketo/kafka"
 * import { KafkaSink } from "@effect-marketo/sink-kafka"
 * import { Layer } from "effect"
 *
 * export const sink = KafkaSink.layer({ topic: "marketo.activities", compression: "gzip" }).pipe(
 *   Layer.provide(KafkajsClient.layer({ brokers: ["kafka-1:9092", "kafka-2:9092"] }))
 * )
 *
 * @since 0.1.0
 */
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import * as ActivitySink from "@effect-marketo/core/ActivitySink"
import type { ActivityType } from "@effect-marketo/core/ActivityType"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Compression from "@effect-marketo/kafka/Compression"
import * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import type { Topic } from "@effect-marketo/kafka/Topic"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failure, sink, whileUnavailable } from "./internal/failure.js"
import type { Layout } from "./internal/layout.js"
import * as names from "./internal/names.js"
import * as topics from "./internal/topics.js"
import * as writer from "./internal/writer.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where records go. Of several topics, `route` chooses; a lead's activities then keep their order only within a topic. */
  readonly topic: string | ReadonlyArray<string>
  /**
   * Where elements go that could not be decoded (`undecodable: "keep"`), and records that are too large, if `tooLarge` says
   * so. Default: none, and a batch with such elements fails.
   */
  readonly rejectedTopic?: string | undefined
  /**
   * What becomes of a record that its topic does not take: the write fails with the reason `RecordRejected` and a
   * `RecordTooLarge` as its cause, or the record goes to `rejectedTopic`, cut to what fits there. Default: `"fail"`.
   */
  readonly tooLarge?: "fail" | "reject" | undefined
  /**
   * The topic of the checkpoints: one partition, never compacted or deleted from, and of one subscription alone.
   * Default: `<prefix>__<instance>__<name>__checkpoint`, with a hash in place of names that are too long.
   */
  readonly checkpointTopic?: string | undefined
  /**
   * What the transactional id (`<prefix>__<instance>__<name>`) and the default checkpoint topic begin with: for ACLs, and
   * for several environments in one cluster. Copies of a pipeline with different prefixes do not shut out each other. 1 to
   * 100 letters, digits, `.`, `_` and `-`. Default: `"marketo"`.
   */
  readonly prefix?: string | undefined
  /**
   * Creates topics that are missing, with the broker's defaults for partitions and replicas. Default: `false`, and a
   * missing topic is an error.
   */
  readonly createTopics?: boolean | undefined
  /** One that this process can write: `Compression.writable`. Default: `"none"`. */
  readonly compression?: Compression.Compression | undefined
  /**
   * The time of Kafka's records. With `"activityDate"`, retention by time deletes old activities soon after they are
   * written, and brokers may refuse times in the future. Default: `"ingestion"`.
   */
  readonly timestamp?: "ingestion" | "activityDate" | undefined
  /** The broker aborts a transaction that is open for longer. Default: 60 seconds; at most the broker's 15 minutes. */
  readonly transactionTimeout?: Duration.DurationInput | undefined
  /** How long a start goes on trying while Kafka is unavailable. Default: 30 seconds. */
  readonly startTimeout?: Duration.DurationInput | undefined
  /** How long a write goes on trying while Kafka is unavailable. Default: 5 minutes. */
  readonly unavailableFor?: Duration.DurationInput | undefined
}

/**
 * What only a program can say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hooks<out E = never, out R = never> {
  /** One of the topics that `topic` lists, for each record. */
  readonly route?: ((record: ActivityRecord.ActivityRecord<unknown>) => string) | undefined
  /**
   * The values of a batch's records, in their order: for another format than JSON, or a schema registry. `contentType` is
   * what the header says then.
   */
  readonly encode?:
    | {
        readonly contentType: string
        readonly values: (
          records: Chunk.Chunk<ActivityRecord.ActivityRecord<unknown>>,
        ) => Effect.Effect<ReadonlyArray<string | Uint8Array>, E, R>
      }
    | undefined
  /** Of the instance, such as `Activities.types` gives them: for the header with the name of a record's type. Default: none. */
  readonly activityTypes?: ReadonlyArray<Pick<ActivityType, "id" | "name">> | undefined
  /** Added to the headers of each record; one with the name of ours takes its place. */
  readonly headers?:
    | ((record: ActivityRecord.ActivityRecord<unknown>) => Readonly<Record<string, string | Uint8Array>>)
    | undefined
}

const check = (options: Options, listed: ReadonlyArray<string>, hooks: Hooks<unknown, unknown>) => {
  const { checkpointTopic, compression = "none", prefix = "", rejectedTopic, tooLarge } = options
  const wrong = (description: string) => Effect.fail(failure("Other", description))
  const all = [...listed, rejectedTopic, checkpointTopic].filter((name) => name !== undefined)
  if (listed.length === 0) return wrong("`topic` names no topic")
  if (listed.length > 1 && hooks.route === undefined)
    return wrong("`topic` lists several topics; `route` has to choose")
  if (new Set(all).size < all.length) return wrong("`topic`, `rejectedTopic` and `checkpointTopic` must differ")
  if (options.prefix !== undefined && !names.isPrefix(prefix)) {
    return wrong("`prefix` has 1 to 100 letters, digits, dots, underscores and hyphens")
  }
  const refused = Compression.refusal(compression)
  if (refused !== undefined) return wrong(refused)
  if (tooLarge === "reject" && rejectedTopic === undefined) {
    return wrong('`tooLarge: "reject"` needs a `rejectedTopic`')
  }
  return Effect.void
}

const bytesOf = (records: Chunk.Chunk<ActivityRecord.ActivityRecord<unknown>>) =>
  Effect.sync(() => Chunk.toReadonlyArray(records).map(ActivityRecord.toBytes))

/** The user's encoder as one of ours: with its requirements, its errors in ours, and as many values as records. */
const encoder = <E, R>(encode: NonNullable<Hooks<E, R>["encode"]>): Effect.Effect<writer.Options["encode"], never, R> =>
  Effect.map(
    Effect.context<R>(),
    (context) => (records) =>
      encode.values(records).pipe(
        Effect.provide(context),
        Effect.mapError((cause) =>
          cause instanceof SinkError ? cause : failure("Other", "`encode` could not encode a batch", cause),
        ),
        Effect.filterOrFail(
          (values) => values.length === records.length,
          (values) => failure("Other", `\`encode\` gave ${values.length} values for ${records.length} records`),
        ),
      ),
  )

/**
 * The service. Fails when a topic is missing, when it may not be looked at, and when the options make no sense.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  options: Options,
  hooks: Hooks<E, R> = {},
): Effect.Effect<ActivitySink.Service, SinkError, KafkaClient.KafkaClient | R> =>
  Effect.gen(function* () {
    const { createTopics = false, prefix = "marketo", rejectedTopic, startTimeout = "30 seconds" } = options
    const listed = typeof options.topic === "string" ? [options.topic] : options.topic
    yield* check(options, listed, hooks)
    const client = yield* KafkaClient.KafkaClient
    const encode = hooks.encode === undefined ? bytesOf : yield* encoder(hooks.encode)

    const find = (name: string) =>
      topics.find(client, { name }, createTopics, "Create it, or let the sink do so by `createTopics: true`")
    const found = yield* whileUnavailable(startTimeout)(
      Effect.gen(function* () {
        const all = new Map<string, Topic>()
        for (const name of listed) all.set(name, yield* find(name))
        const rejected =
          rejectedTopic === undefined
            ? undefined
            : yield* Effect.flatMap(find(rejectedTopic), (topic) => topics.rejected(client, topic))
        return { topics: all, rejected }
      }),
    )

    const [first = ""] = listed
    const layout: Layout = {
      ...found,
      route: hooks.route ?? (() => first),
      contentType: hooks.encode?.contentType ?? "application/json",
      timestamp: options.timestamp ?? "ingestion",
      typeNames: new Map(hooks.activityTypes?.map(({ id, name }) => [id, name])),
      headers: hooks.headers ?? (() => ({})),
    }

    const open: ActivitySink.Service["open"] = (subscription) => {
      const { checkpointTopic = names.checkpointTopic(prefix, subscription) } = options
      return Effect.gen(function* () {
        yield* whileUnavailable(startTimeout)(topics.checkpoint(client, checkpointTopic, createTopics))
        return yield* writer.open(client, subscription, {
          producer: {
            transactionalId: names.transactionalId(prefix, subscription),
            transactionTimeout: options.transactionTimeout,
            compression: options.compression,
          },
          checkpointTopic,
          startTimeout,
          unavailableFor: options.unavailableFor ?? "5 minutes",
          layout,
          tooLarge: options.tooLarge ?? "fail",
          encode,
        })
      }).pipe(Effect.withSpan("KafkaSink.open", { captureStackTrace: false }))
    }

    return ActivitySink.ActivitySink.of({ name: sink, delivery: "exactly-once", open })
  })

/**
 * See `make`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E = never, R = never>(
  options: Options,
  hooks?: Hooks<E, R>,
): Layer.Layer<ActivitySink.ActivitySink, SinkError, KafkaClient.KafkaClient | R> =>
  Layer.effect(ActivitySink.ActivitySink, make(options, hooks))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <E = never, R = never>(
  options: Config.Config.Wrap<Options>,
  hooks?: Hooks<E, R>,
): Layer.Layer<ActivitySink.ActivitySink, SinkError | ConfigError, KafkaClient.KafkaClient | R> =>
  Layer.effect(
    ActivitySink.ActivitySink,
    Effect.flatMap(Config.unwrap(options), (unwrapped) => make(unwrapped, hooks)),
  )
