/** On a broker with Kafka's own defaults, such as three seconds that the first member of a group waits for others. */
import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkaSink } from "@effect-marketo/sink-kafka"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Duration, Effect, Option, Stream } from "effect"

const subscription = { instance: "123-ABC-456", name: "all" }

describeWithOwnKafka("KafkaSink on a broker with Kafka's defaults", () => {
  it.scopedLive("opens without waiting for a group, and goes on from its checkpoint", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Broker.make({ defaults: true })
      yield* Effect.gen(function* () {
        const kafka = yield* KafkaClient.KafkaClient
        const sink = yield* KafkaSink.make({ topic: "activities", createTopics: true })
        const open = sink.open(subscription)
        yield* Effect.scoped(
          Effect.flatMap(open, ({ write }) => write(SinkSuite.batch(subscription, 1, SinkSuite.texts(10)))),
        )
        const [opening, { checkpoint }] = yield* Effect.timed(open)
        assert.deepStrictEqual(
          Option.map(checkpoint, ({ sequence }) => sequence),
          Option.some(1),
        )
        const consuming = kafka.consume({ topic: "activities", groupId: "group" }).pipe(Stream.take(1), Stream.runDrain)
        const [joining] = yield* Effect.timed(consuming)
        assert.isBelow(Duration.toMillis(opening), Duration.toMillis(joining) / 3)
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))
    }),
  )
})
