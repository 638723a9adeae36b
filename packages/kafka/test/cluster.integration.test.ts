/** kafkajs's worst faults show only where one send can reach several brokers. */

import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Schedule } from "effect"
import { KafkaClient, type KafkaError, KafkajsClient, type KafkaRecord, type Producer } from "../src/index.js"
import { onEach } from "./consumerKit.js"
import { fresh, newTopic, read, record, text } from "./contract.js"

const partitions = 6
const perTransaction = 300

/** Transaction `n` has the records n·300 to n·300 + 299, and its number in the topic `done`. */
const write = (producer: Producer.TransactionalProducer, topic: string, done: string, n: number) =>
  producer.transaction((transaction) =>
    Effect.gen(function* () {
      const lists = Array.from({ length: partitions }, (): Array<KafkaRecord.ProducerRecord> => [])
      for (let i = 0; i < perTransaction; i++) lists[i % partitions]?.push(record(`${n * perTransaction + i}`))
      yield* Effect.forEach(
        lists,
        ([first, ...rest], partition) =>
          first === undefined ? Effect.void : transaction.send({ topic, partition }, [first, ...rest]),
        { concurrency: "unbounded" },
      )
      yield* transaction.send({ topic: done, partition: 0 }, [record(`${n}`)])
    }),
  )

/** What a program does that wants each transaction once: when one fails it makes a new producer and looks what is there. */
const writeAll = (
  topic: string,
  done: string,
  until: number,
  failures: Array<KafkaError.Reason>,
  after: (n: number) => Effect.Effect<unknown, unknown>,
) => {
  const transactionalId = fresh("id")
  const run = Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const producer = yield* client.transactionalProducer({ transactionalId, transactionTimeout: "15 seconds" })
    const last = (yield* read(done, 0)).at(-1)
    for (let n = last === undefined ? 0 : Number(text(last)) + 1; n < until; n++) {
      yield* write(producer, topic, done, n)
      yield* Effect.orDie(after(n))
    }
  })
  return Effect.scoped(run).pipe(
    Effect.tapError((error) => Effect.sync(() => failures.push(error.reason))),
    Effect.retry({ schedule: Schedule.spaced("200 millis"), while: (error) => error.isRetryable }),
  )
}

describeWithOwnKafka("three nodes", () => {
  it.scopedLive("each record of each transaction is there once, also when a node is killed", () =>
    Effect.gen(function* () {
      // as patient with each other as in production: while all is well no node is to be taken for dead
      const cluster = yield* Broker.make({ nodes: 3 })
      const [healthy, killed, back, all] = [200, 203, 208, 213]
      yield* Effect.gen(function* () {
        const [topic, done] = [yield* newTopic(partitions), yield* newTopic()]
        yield* Effect.forEach([topic, done], (each) => onEach(cluster.brokers, each))
        const failures: Array<KafkaError.Reason> = []
        const due: Array<readonly [n: number, event: Effect.Effect<unknown, unknown>]> = [
          [healthy, Effect.sync(() => assert.deepStrictEqual(failures, []))], // 60,000 records and more
          [killed, Effect.fork(cluster.kill(2))],
          [back, cluster.start(2)],
        ]
        // a transaction may be there whose commit has failed: then its number does not come
        yield* writeAll(topic, done, all, failures, (n) => {
          const [at, event] = due[0] ?? [all, Effect.void]
          if (n < at) return Effect.void
          due.shift()
          return event
        })
        assert.isEmpty(due)
        let records = yield* read(topic)
        // readers see the last commit a moment later
        for (let tries = 0; records.length < all * perTransaction && tries < 60; tries++) {
          yield* Effect.sleep("500 millis")
          records = yield* read(topic)
        }
        const found = records.map((each) => Number(text(each)))
        const seen = new Set(found)
        assert.deepStrictEqual(
          { missing: all * perTransaction - seen.size, repeated: found.length - seen.size },
          { missing: 0, repeated: 0 },
        )
        for (let partition = 0; partition < partitions; partition++) {
          const inOrder = records.filter((each) => each.partition === partition).map((each) => Number(text(each)))
          assert.isTrue(inOrder.every((value, index) => value > (inOrder[index - 1] ?? -1)))
        }
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers: cluster.brokers })))
    }),
  )
})
