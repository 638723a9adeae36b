/**
 * The topics that are written to, checked before anything is written.
 */
import * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import * as KafkaError from "@effect-marketo/kafka/KafkaError"
import * as Topic from "@effect-marketo/kafka/Topic"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** A dead letter that was cut as far as possible fits into this. */
export const MIN_LETTER_BYTES = 10_000

const { keyless, written } = Topic.requirements

/** What a topic needs, by what is written to it. */
const required = {
  "dead letters": [
    ...keyless,
    ...written,
    {
      setting: "max.message.bytes",
      value: String(MIN_LETTER_BYTES),
      rule: "atLeast",
      because: "not even the beginning of a record fits",
    },
  ],
  "exhausted dead letters": [...keyless, ...written],
  "redriven records": written,
} as const satisfies Readonly<Record<string, ReadonlyArray<Topic.Requirement>>>

export type Use = keyof typeof required

/** How large a batch of records a topic takes. */
export const maxBytesOf = (config: Topic.TopicConfig): number =>
  Number(config["max.message.bytes"] ?? Topic.defaultMaxMessageBytes)

/** Fails if a setting of the topic makes such writes impossible. To read the settings takes an ACL; without it none is checked. */
export const check = (
  topic: Topic.Topic,
  use: Use,
): Effect.Effect<Topic.TopicConfig, KafkaError.KafkaError, KafkaClient.KafkaClient> =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const config = yield* client.topicConfig(topic.name).pipe(
      Effect.catchIf(
        ({ isRetryable }) => !isRetryable,
        () => Effect.succeed<Topic.TopicConfig>({}),
      ),
    )
    const wrong = Topic.problems(topic, config, required[use])
    if (wrong.length > 0) {
      return yield* new KafkaError.KafkaError({
        reason: "Misconfigured",
        description: `the topic ${topic.name} cannot take ${use}: it has ${wrong.join("; it has ")}`,
      })
    }
    return config
  })

/** The topic as it is. It must exist, and be able to take such writes. */
export const find = (
  name: string,
  use: Use,
): Effect.Effect<
  { readonly partitions: number; readonly maxBytes: number },
  KafkaError.KafkaError,
  KafkaClient.KafkaClient
> =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const found = yield* client.topic(name)
    if (Option.isNone(found)) {
      return yield* new KafkaError.KafkaError({
        reason: "UnknownTopic",
        description: `there is no topic ${name} for ${use}: create it first, with one partition or as many as you like`,
      })
    }
    return { partitions: found.value.partitions, maxBytes: maxBytesOf(yield* check(found.value, use)) }
  })
