import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, type PartitionBatch } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Deferred, Duration, Effect, Fiber, Schedule } from "effect"
import { beginning, fill, Ledger, Losses, member, quick, unique, until, workThrough } from "./consumerKit.js"
import { api, make } from "./faults.js"

describeWithKafka("consuming", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })
  // they wait most of the time, each in a group and a topic of its own
  describe.concurrent("as a member of a group", () => {
    it.scopedLive(
      "a member outlives more rebalances than kafkajs allows errors, and knows which partitions it never lost",
      () =>
        Effect.gen(function* () {
          const topic = unique("rebalances")
          yield* fill(topic, 4, 4)
          const losses = new Losses()
          const options = { topic, groupId: topic, ...quick, restart: losses.restart }
          const guests = 7
          const given: Array<PartitionBatch.PartitionBatch> = []
          yield* member(options, (batch) => {
            given.push(batch)
            return workThrough(batch, () => Effect.void)
          }).pipe(Effect.forkScoped)
          yield* until(() => given.length === 4)
          losses.forget()
          const kafka = yield* KafkaClient.KafkaClient
          const producer = yield* kafka.producer()
          // whoever has a partition gets a record of it
          yield* Effect.forEach([0, 1, 2, 3], (partition) =>
            producer.send({ topic, partition }, [{ key: null, value: "x" }]),
          ).pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)
          const partitionsSince = (count: number) => new Set(given.slice(count).map(({ partition }) => partition)).size
          for (let guest = 0; guest < guests; guest++) {
            let joined = 0
            const visiting = yield* member({ ...options, restart: undefined }, (batch) => {
              joined += 1
              return workThrough(batch, () => Effect.void)
            }).pipe(Effect.fork)
            yield* until(() => joined > 1)
            yield* Fiber.interrupt(visiting)
            // the next guest waits until this one's partitions are back: else one rebalance may be for both
            const left = given.length
            yield* until(() => partitionsSince(left) === 4)
          }
          assert.strictEqual(losses.count, 0)
          // two partitions come back from each guest; the other two never left
          assert.strictEqual(given.slice(4).filter(({ first }) => first).length, 2 * guests)
        }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("a member that was expelled hears so from commit, joins again, and goes on", () =>
      Effect.gen(function* () {
        const topic = unique("expelled")
        yield* fill(topic, 1, 300)
        let isSilent = true
        const noError = Buffer.alloc(6) // and no throttling
        const silent = make((key) => (isSilent && key === api.Heartbeat ? { answer: noError } : undefined))
        const options = {
          topic,
          groupId: topic,
          ...quick,
          sessionTimeout: "3 seconds",
          restart: Schedule.stop,
        } as const
        // the first group of a fresh broker may lose members before it has joined
        yield* beginning({ ...quick, topic, groupId: unique("before") })
        const ledger = new Ledger()
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        yield* member(options, (batch) =>
          Effect.gen(function* () {
            if (!(yield* Deferred.succeed(held, batch))) {
              assert.isTrue(batch.first)
              yield* workThrough(batch, (records) => Effect.sync(() => ledger.add(records)))
            } else batch.claim(10)
          }),
        ).pipe(Effect.provide(KafkajsClient.layer({ brokers }, silent)), Effect.forkScoped)
        const batch = yield* Deferred.await(held)
        yield* Effect.sleep("5 seconds")
        isSilent = false
        assert.isFalse(yield* batch.commit(10))
        assert.isFalse(batch.claim(20))
        yield* until(() => ledger.size === 300)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("a commit whose answer was lost is asked for again", () =>
      Effect.gen(function* () {
        const topic = unique("lost-answer")
        yield* fill(topic, 1, 300)
        let cuts = 0
        const losses = new Losses()
        const cutting = make((key) => (key === api.OffsetCommit && cuts++ === 0 ? "after" : undefined))
        const ledger = new Ledger()
        yield* Effect.raceFirst(
          member({ topic, groupId: topic, ...quick, restart: losses.restart }, (batch) => {
            losses.forget()
            return workThrough(batch, (records) => Effect.sync(() => ledger.add(records)))
          }),
          until(() => ledger.size === 300),
        ).pipe(Effect.provide(KafkajsClient.layer({ brokers }, cutting)))
        assert.isAbove(cuts, 1)
        assert.strictEqual(losses.count, 0)
        assert.strictEqual(ledger.repeated, 0)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("a member whose reads nobody answers is replaced, and the stream goes on", () =>
      Effect.gen(function* () {
        const topic = unique("silence")
        yield* fill(topic, 2, 600)
        let swallowed = 0
        let joins = 0
        const ledger = new Ledger()
        const swallowing = make((key) => {
          if (key === api.JoinGroup) joins++
          return key === api.Fetch && ledger.size > 0 && swallowed++ === 0 ? "lose" : undefined
        })
        const kafka = KafkajsClient.layer({ brokers, requestTimeout: Duration.seconds(2) }, swallowing)
        const options = { topic, groupId: topic, ...quick }
        yield* Effect.gen(function* () {
          yield* member(options, (batch) =>
            workThrough(batch, (records) => Effect.sync(() => ledger.add(records))),
          ).pipe(Effect.forkScoped)
          yield* until(() => ledger.size === 600 && swallowed > 1)
        }).pipe(Effect.provide(kafka))
        assert.isAbove(joins, 2)
        assert.strictEqual(ledger.repeated, 0)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("ends in seconds while it joins", () =>
      Effect.gen(function* () {
        const topic = unique("stop-in-join")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick, rebalanceTimeout: "60 seconds" } as const
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        yield* member(options, (batch) =>
          Effect.when(Deferred.succeed(held, batch), () => batch.first && batch.claim(10)),
        ).pipe(Effect.forkScoped)
        const batch = yield* Deferred.await(held)
        // cannot join before the other one has done its work
        const joining = yield* member(options, () => Effect.void).pipe(Effect.fork)
        yield* until(() => !batch.claim(10))
        const [took] = yield* Effect.timed(Fiber.interrupt(joining))
        assert.isBelow(Duration.toMillis(took), 30_000)
        assert.isTrue(yield* batch.commit(10))
      }).pipe(Effect.provide(layer)),
    )
  })
})
