/**
 * The topics that a sink writes to, checked before anything is read from Marketo.
 *
 * @since 0.1.0
 */
import type { SinkError } from "@effect-marketo/core/SinkError"
import type * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import * as Topic from "@effect-marketo/kafka/Topic"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { cannot, failure } from "./failure.js"

/** The topic as it is, or as it is created; a missing one fails with `advice`. */
export const find = (
  client: KafkaClient.Service,
  topic: Topic.NewTopic,
  create: boolean,
  advice: string,
): Effect.Effect<Topic.Topic, SinkError> => {
  const { name } = topic
  const look = cannot(`look for the topic ${name}`)(client.topic(name))
  const missing = failure("Unavailable", `the topic ${name} does not exist. ${advice}`)
  return Effect.flatMap(
    look,
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        create
          ? client
              .createTopic(topic)
              .pipe(
                cannot(`create the topic ${name}`),
                Effect.zipRight(look),
                Effect.flatMap(Effect.mapError(() => missing)),
              )
          : missing,
    }),
  )
}

const settings = (client: KafkaClient.Service, name: string) =>
  cannot(`read the settings of the topic ${name}, for which it needs the ACL DescribeConfigs`)(client.topicConfig(name))

/** The topic of rejected records as it is, and how large a batch of records it takes. Elements that could not be decoded have no key. */
export const rejected = (
  client: KafkaClient.Service,
  topic: Topic.Topic,
): Effect.Effect<{ readonly topic: Topic.Topic; readonly maxBytes: number }, SinkError> =>
  Effect.gen(function* () {
    const config = yield* settings(client, topic.name)
    const { keyless, written } = Topic.requirements
    const wrong = Topic.problems(topic, config, [...keyless, ...written])
    if (wrong.length > 0) {
      return yield* failure(
        "Unavailable",
        `the topic ${topic.name} cannot take rejected records: it has ${wrong.join("; it has ")}`,
      )
    }
    return { topic, maxBytes: Number(config["max.message.bytes"] ?? Topic.defaultMaxMessageBytes) }
  })

/** All that matters for reading it back, whatever the broker's defaults are. */
const checkpointConfig = {
  "cleanup.policy": "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "max.message.bytes": `${Topic.defaultMaxMessageBytes}`,
  "compression.type": "producer",
} as const

/** The topic of one subscription's checkpoints, or the words that say why it cannot be that. */
export const checkpoint = (
  client: KafkaClient.Service,
  name: string,
  create: boolean,
): Effect.Effect<void, SinkError> =>
  Effect.gen(function* () {
    const topic = yield* find(
      client,
      { name, partitions: 1, config: checkpointConfig },
      create,
      `Create it with one partition, cleanup.policy=delete, retention.ms=-1 and retention.bytes=-1, or let the sink do so by createTopics`,
    )
    if (topic.partitions !== 1) {
      return yield* failure(
        "CheckpointRefused",
        `the checkpoint topic ${name} has ${topic.partitions} partitions, and the order of checkpoints needs exactly one. Name another topic`,
      )
    }
    const { state, written } = Topic.requirements
    const wrong = Topic.problems(topic, yield* settings(client, name), [...state, ...written])
    if (wrong.length > 0) {
      return yield* failure(
        "CheckpointRefused",
        `the checkpoint topic ${name} has ${wrong.join("; it has ")}. If it was compacted, or its position is gone already, name a new topic and start under another name with the \`since\` you want`,
      )
    }
  })
