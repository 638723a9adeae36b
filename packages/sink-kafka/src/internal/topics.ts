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

/** `max.message.bytes` of a topic: the size of the largest batch of records that it takes. */
export const maxMessageBytes = (client: KafkaClient.Service, name: string): Effect.Effect<number, SinkError> =>
  Effect.map(settings(client, name), (config) => Number(config["max.message.bytes"] ?? Topic.defaultMaxMessageBytes))

/**
 * Kept for ever and never compacted. Finite retention would forget the position of a pipeline that rests, and one that has
 * forgotten begins at `since` again; compaction can leave an empty batch at the head, at which kafkajs reads for ever.
 */
const checkpointConfig = { "cleanup.policy": "delete", "retention.ms": "-1" } as const

/** The topic of one subscription's checkpoints, or the words that say why it cannot be that. */
export const checkpoint = (
  client: KafkaClient.Service,
  name: string,
  create: boolean,
): Effect.Effect<void, SinkError> =>
  Effect.gen(function* () {
    const { partitions } = yield* find(
      client,
      { name, partitions: 1, config: checkpointConfig },
      create,
      `Create it with one partition, cleanup.policy=delete and retention.ms=-1, or let the sink do so by createTopics`,
    )
    if (partitions !== 1) {
      return yield* failure(
        "CheckpointRefused",
        `the checkpoint topic ${name} has ${partitions} partitions, and the order of checkpoints needs exactly one. Name another topic`,
      )
    }
    const config = yield* settings(client, name)
    const wrong = Object.entries(checkpointConfig).filter(([key, value]) => config[key] !== value)
    if (wrong.length > 0) {
      const is = wrong.map(([key]) => `${key}=${config[key]}`).join(" and ")
      const shallBe = wrong.map(([key, value]) => `${key}=${value}`).join(" and ")
      return yield* failure(
        "CheckpointRefused",
        `the checkpoint topic ${name} has ${is}, which can lose the position or make it unreadable. Alter it to ${shallBe}; if it was compacted, or its position is gone already, name a new topic and start under another name with the \`since\` you want`,
      )
    }
  })
