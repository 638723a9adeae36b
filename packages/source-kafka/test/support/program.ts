/**
 * A source as a process of its own, to be killed: topic, dead letters, brokers and the simulator's address come as arguments.
 */
import { Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { KafkaClient } from "@effect-marketo/kafka"
import { CustomActivitySource } from "@effect-marketo/source-kafka"
import { Effect, Layer, Redacted } from "effect"
import { member } from "./kit.js"

const [, , topic = "", dead = "", brokers = "", url = "", clientId = "", clientSecret = ""] = process.argv

const marketo = Marketo.layer({
  baseUrl: url,
  clientId: Redacted.make(clientId),
  clientSecret: Redacted.make(clientSecret),
  instance: "simulator",
  limits: { calls: 10_000, concurrent: 10 },
})

await CustomActivitySource.run({ ...member, topic, groupId: topic, deadLetterTopic: dead, concurrency: 3 }).pipe(
  Effect.provide(
    Layer.merge(Layer.provide(marketo, NodeHttp.layer), KafkaClient.layer({ brokers: brokers.split(",") })),
  ),
  Effect.runPromise,
)
