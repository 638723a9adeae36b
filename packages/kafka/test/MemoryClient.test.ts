import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Stream, TestClock, TestServices } from "effect"
import { Consumer, KafkaClient, MemoryClient, type PartitionBatch } from "../src/index.js"
import { consumerContract } from "./consumerContract.js"
import { fill, until } from "./consumerKit.js"
import { contract } from "./contract.js"

describe("in memory", () => {
  contract({ layer: MemoryClient.layer, transactionTimeout: "1 second", over: "1500 millis" })
  consumerContract(MemoryClient.layer)
})

describe("a group under the test's clock", () => {
  const options = { topic: "orders", groupId: "invoices" }

  /** What needs no time of the test's clock, but other fibers have to run. */
  const soon = (condition: () => boolean) => TestServices.provideLive(until(condition))

  it.scoped("deals its partitions and delivers what is sent without any time going by", () =>
    Effect.gen(function* () {
      yield* fill("orders", 4, 40)
      const kafka = yield* KafkaClient.KafkaClient
      const seen = new Set<number>()
      const all = yield* Deferred.make<void>()
      for (let members = 0; members < 2; members++) {
        yield* Consumer.forEach(options, (records) => {
          seen.add(Chunk.headNonEmpty(records).partition)
          return Effect.when(Deferred.succeed(all, undefined), () => seen.size === 4)
        }).pipe(Effect.forkScoped)
      }
      yield* Deferred.await(all)
      const offsets = yield* kafka
        .committedOffsets("invoices", "orders")
        .pipe(
          Effect.zipLeft(TestServices.provideLive(Effect.sleep("1 millis"))),
          Effect.repeat({ until: ({ size }) => size === 4 }),
        )
      assert.deepStrictEqual(offsets, yield* kafka.endOffsets("orders"))
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.scoped("waits for claimed records until rebalanceTimeout is over, and delivers them to another member then", () =>
    Effect.gen(function* () {
      yield* fill("orders", 1, 10)
      const kafka = yield* KafkaClient.KafkaClient
      /** A member that only claims; completes with its first batch. */
      const claiming = (found: Deferred.Deferred<PartitionBatch.PartitionBatch>) =>
        kafka.consume({ ...options, rebalanceTimeout: "1 minute" }).pipe(
          Stream.runForEach((batch) => {
            batch.claim(5)
            return Deferred.succeed(found, batch)
          }),
          Effect.fork,
        )
      const first = yield* Deferred.make<PartitionBatch.PartitionBatch>()
      const second = yield* Deferred.make<PartitionBatch.PartitionBatch>()
      const members = [yield* claiming(first)]
      const lost = yield* Deferred.await(first)
      members.push(yield* claiming(second))
      // the partition goes to the member that joined first: when that leaves, to the other one
      const leaving = yield* Effect.fork(Fiber.interrupt(members[0] as (typeof members)[number]))
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(yield* Deferred.isDone(second))
      assert.isFalse(lost.claim(5))
      yield* TestClock.adjust("2 seconds")
      const given = yield* Deferred.await(second)
      assert.isTrue(given.first)
      assert.strictEqual(given.at(0).offset, 0n)
      assert.isFalse(yield* lost.commit(5))
      assert.isTrue(yield* given.commit(5))
      yield* given.release
      yield* Fiber.join(leaving)
      yield* Effect.forEach(members, Fiber.interrupt)
      assert.deepStrictEqual(yield* kafka.committedOffsets("invoices", "orders"), new Map([[0, 5n]]))
    }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.scoped(
    "gives its partitions to a new member when the work of another one lasts longer than rebalanceTimeout",
    () =>
      Effect.gen(function* () {
        yield* fill("orders", 1, 10)
        const kafka = yield* KafkaClient.KafkaClient
        const given: Array<PartitionBatch.PartitionBatch> = []
        const consuming = kafka.consume({ ...options, rebalanceTimeout: "1 minute" }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => given.push(batch))),
          Effect.forkScoped,
        )
        const givenTo = (count: number) => soon(() => given.length === count)
        yield* consuming
        yield* givenTo(1)
        const [late] = given as [PartitionBatch.PartitionBatch]
        assert.isTrue(late.claim(5))
        yield* consuming
        yield* soon(() => !late.claim(5))
        yield* TestClock.adjust("59 seconds")
        assert.lengthOf(given, 1)
        yield* TestClock.adjust("5 seconds")
        yield* givenTo(2)
        assert.isTrue(given[1]?.first)
        assert.isFalse(yield* late.commit(5))
      }).pipe(Effect.provide(MemoryClient.layer)),
  )

  it.effect("refuses what a broker's client refuses", () =>
    Effect.gen(function* () {
      yield* fill("orders", 1, 1)
      const kafka = yield* KafkaClient.KafkaClient
      const reasonOf = (wrong: Partial<KafkaClient.ConsumerOptions>) =>
        Effect.map(Effect.flip(Stream.runDrain(kafka.consume({ ...options, ...wrong }))), ({ reason }) => reason)
      assert.strictEqual(yield* reasonOf({ groupId: " " }), "Misconfigured")
      assert.strictEqual(yield* reasonOf({ sessionTimeout: "5 seconds" }), "Misconfigured")
      assert.strictEqual(yield* reasonOf({ rebalanceTimeout: "5 seconds" }), "Misconfigured")
      assert.strictEqual(yield* reasonOf({ topic: "missing" }), "UnknownTopic")
    }).pipe(Effect.provide(MemoryClient.layer)),
  )
})
