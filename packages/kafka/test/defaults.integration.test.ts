/** On a broker with Kafka's own defaults, such as three seconds that the first member of a group waits for others. */
import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Schedule } from "effect"
import { Consumer, KafkaClient, KafkajsClient } from "../src/index.js"
import { fresh, read, send, text } from "./contract.js"

describeWithOwnKafka("a broker with Kafka's defaults", () => {
  it.scopedLive(
    "takes sends and transactions, gives them to readers and a group, and keeps what the group commits",
    () =>
      Effect.gen(function* () {
        const { brokers } = yield* Broker.make({ defaults: true })
        yield* Effect.gen(function* () {
          const kafka = yield* KafkaClient.KafkaClient
          const topic = fresh("defaults")
          yield* kafka.createTopic({ name: topic })
          yield* send(yield* kafka.producer(), topic, ["sent"])
          const transactional = yield* kafka.transactionalProducer({ transactionalId: topic })
          yield* transactional.transaction((transaction) => send(transaction, topic, ["in a transaction"]))
          // readers see a transaction a moment after its commit
          const stored = yield* Effect.repeat(read(topic), { until: ({ length }) => length === 2 })
          assert.deepStrictEqual(stored.map(text), ["sent", "in a transaction"])

          const consumed: Array<string> = []
          const end = (yield* kafka.endOffsets(topic)).get(0)
          const consume = Consumer.forEach({ topic, groupId: topic }, (records) =>
            Effect.sync(() => consumed.push(...Array.from(records, text))),
          )
          const committed = Effect.repeat(kafka.committedOffsets(topic, topic), {
            schedule: Schedule.spaced("100 millis"),
            until: (offsets) => offsets.get(0) === end,
          })
          yield* Effect.raceFirst(consume, committed)
          assert.deepStrictEqual(consumed, ["sent", "in a transaction"])
        }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))
      }),
  )
})
