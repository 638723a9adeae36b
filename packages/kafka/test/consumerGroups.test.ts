import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Deferred, Effect, Stream } from "effect"
import kafkajs from "kafkajs"
import { fill, Ledger, quick, reading, unique, until } from "./consumerKit.js"

/** A member that runs kafkajs without us, until the scope closes; resolves when it has joined. */
const foreign = (brokers: ReadonlyArray<string>, groupId: string, topic: string, onRecord: () => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const consumer = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).consumer({
        groupId,
        heartbeatInterval: 200,
        maxWaitTimeInMs: 200,
      })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      const joined = new Promise<void>((resolve) => {
        consumer.on("consumer.group_join", () => resolve())
      })
      await consumer.run({ eachMessage: async () => onRecord() })
      await joined
      return consumer
    }),
    (consumer) => Effect.promise(() => consumer.disconnect()),
  )

describeWithKafka("a group whose members read different topics", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })

  describe.concurrent("consuming", () => {
    it.scopedLive("deals to a member with another client what that has subscribed to", () =>
      Effect.gen(function* () {
        const groupId = unique("guest")
        const [own, others] = [`${groupId}.own`, `${groupId}.others`] as const
        yield* fill(own, 2, 100)
        yield* fill(others, 2, 100)
        const ledger = new Ledger()
        yield* Effect.forkScoped(reading({ topic: own, groupId, ...quick }, ledger))
        yield* until(() => ledger.size === 100)
        let records = 0
        yield* foreign(brokers, groupId, others, () => {
          records += 1
        })
        yield* until(() => records === 100)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("ends when the member that leads has dealt it a topic that it does not read", () =>
      Effect.gen(function* () {
        const groupId = unique("led")
        const [own, others] = [`${groupId}.own`, `${groupId}.others`] as const
        yield* fill(own, 2, 100)
        yield* fill(others, 2, 100)
        const isRead = yield* Deferred.make<void>()
        yield* foreign(brokers, groupId, others, () => Deferred.unsafeDone(isRead, Effect.void))
        yield* Deferred.await(isRead)
        const kafka = yield* KafkaClient.KafkaClient
        const error = yield* Effect.flip(Stream.runDrain(kafka.consume({ topic: own, groupId, ...quick })))
        assert.strictEqual(error.reason, "Misconfigured")
        assert.include(error.message, `assigns topic ${others} to a consumer of topic ${own}`)
      }).pipe(Effect.provide(layer)),
    )
  })
})
