import { KafkaClient, KafkajsClient, MemoryClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkaSink } from "@effect-marketo/sink-kafka"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Context, Effect, Layer } from "effect"
import { following, readAll, textOf, unique } from "./support/kafka.js"

/** A fresh topic of one partition, so that the order of all records can be compared. */
const harness = <E>(kafka: Layer.Layer<KafkaClient.KafkaClient, E>) =>
  Effect.gen(function* () {
    const client = following(Context.get(yield* Layer.build(kafka), KafkaClient.KafkaClient))
    const name = unique()
    const options = { topic: name, rejectedTopic: `${name}-rejected`, prefix: name, createTopics: true }
    // made here, because a sink looks for a topic a little longer before it takes it for missing
    for (const each of [options.topic, options.rejectedTopic]) yield* client.createTopic({ name: each, partitions: 1 })
    const texts = (topic: string) =>
      Effect.map(readAll(client, topic), (records) => records.map(({ value }) => textOf(value)))
    return {
      layer: Layer.provide(KafkaSink.layer(options), Layer.succeed(KafkaClient.KafkaClient, client)),
      records: texts(options.topic),
      rejected: texts(options.rejectedTopic),
    }
  })

SinkSuite.suite({ name: "KafkaSink in memory", harness: harness(MemoryClient.layer), rounds: 60 })

describeWithKafka("KafkaSink", (brokers) => {
  SinkSuite.suite({ name: "on a broker", harness: harness(KafkajsClient.layer({ brokers })), rounds: 4 })
})
