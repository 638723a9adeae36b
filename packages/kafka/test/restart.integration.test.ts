import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Fiber } from "effect"
import { KafkaClient, KafkajsClient } from "../src/index.js"
import { expectRead, fresh, newTopic, send } from "./contract.js"

describeWithOwnKafka("a broker that is restarted", () => {
  it.scopedLive("is waited for, by sends in a transaction and outside, and nothing is lost or repeated", () =>
    Effect.gen(function* () {
      const broker = yield* Broker.make()
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const [plain, transactional] = [yield* newTopic(), yield* newTopic(2)]
        const producer = yield* client.producer()
        const owner = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* send(producer, plain, ["a"])
        yield* owner.transaction((transaction) =>
          Effect.gen(function* () {
            yield* send(transaction, transactional, ["a"])
            yield* broker.stop(1)
            // to a partition that the transaction knows, to one that is new to it, and outside of it
            const sends = yield* Effect.fork(
              Effect.all(
                [
                  send(transaction, transactional, ["b"]),
                  send(transaction, transactional, ["c"], 1),
                  send(producer, plain, ["b"]),
                ],
                { concurrency: "unbounded" },
              ),
            )
            yield* Effect.sleep("1 second")
            yield* broker.start(1)
            yield* Fiber.join(sends)
          }),
        )
        yield* owner.transaction((transaction) => send(transaction, transactional, ["d"]))
        yield* expectRead(plain, ["a", "b"])
        yield* expectRead(transactional, ["a", "b", "d", "c"])
        assert.strictEqual(yield* send(producer, plain, ["c"]), 2n)
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers: broker.brokers })))
    }),
  )
})
