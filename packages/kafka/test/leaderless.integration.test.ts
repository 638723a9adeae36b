/** A partition without a leader, or a topic that is gone, hinders only those who name it. */
import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect, Option } from "effect"
import { KafkaClient, KafkajsClient } from "../src/index.js"
import { onEach } from "./consumerKit.js"
import { expectRead, fresh, newTopic, send } from "./contract.js"

const seconds = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(effect), ([time, value]) => [Duration.toSeconds(time), value] as const)

describeWithOwnKafka("a partition without a leader", () => {
  it.scopedLive("hinders neither the start nor sends to other partitions, and sends to it end in time", () =>
    Effect.gen(function* () {
      const cluster = yield* Broker.make({
        nodes: 3,
        settings: { "broker.session.timeout.ms": 1500, "broker.heartbeat.interval.ms": 200 },
      })
      // of its six partitions with one replica each, two are on the node that stops
      const [healthy, spread] = yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const name = fresh("spread")
        yield* client.createTopic({ name, partitions: 6, replicationFactor: 1 })
        return [yield* newTopic(), name] as const
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers: cluster.brokers })))
      for (const topic of [healthy, spread]) yield* onEach(cluster.brokers, topic)
      yield* cluster.kill(3)

      const limits = { startTimeout: Duration.seconds(10), deliveryTimeout: Duration.seconds(4) }
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const producer = yield* client.producer()
        const partitions = [0, 1, 2, 3, 4, 5]
        // the cluster takes a moment to notice
        const [time, ends] = yield* seconds(
          Effect.forEach(partitions, (partition) => Effect.either(send(producer, spread, ["a"], partition)), {
            concurrency: "unbounded",
          }),
        )
        assert.isBelow(time, 2 * 4)
        const lost = partitions.filter((partition) => ends[partition]?._tag === "Left")
        assert.strictEqual(lost.length, 2)

        const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const [quick] = yield* seconds(
          Effect.gen(function* () {
            yield* send(producer, healthy, ["b"])
            yield* transactional.transaction((transaction) => send(transaction, healthy, ["c"]))
            for (const partition of partitions.filter((each) => !lost.includes(each)))
              yield* send(producer, spread, ["d"], partition)
            assert.deepStrictEqual(
              yield* client.topic(spread),
              Option.some({ name: spread, partitions: 6, replicas: 1 }),
            )
            assert.isFalse(yield* client.createTopic({ name: spread }))
          }),
        )
        assert.isBelow(quick, 4)
        yield* expectRead(healthy, ["b", "c"])
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers: cluster.brokers, ...limits })))
    }),
  )
})
