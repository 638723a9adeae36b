import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, type PartitionBatch } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Chunk, Deferred, Duration, Effect, Fiber, Option, Schedule, Stream } from "effect"
import { fill, Ledger, Losses, member, quick, unique, until, workThrough } from "./consumerKit.js"
import { api, make } from "./faults.js"

const all = (batch: PartitionBatch.PartitionBatch) => Chunk.size(batch.records)

/** Where a new member of the group begins in a topic of one partition, and whether it is told to be careful. */
const next = (options: KafkaClient.ConsumerOptions) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(
      Stream.map(({ first, records }) => ({ first, offset: Chunk.headNonEmpty(records).offset })),
      Stream.runHead,
      Effect.map(Option.getOrThrow),
    ),
  )

describeWithKafka("consuming", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })
  // they wait most of the time, each in a group and a topic of its own
  describe.concurrent("as a member of a group", () => {
    it.scopedLive("gives every record once, and goes on where the group has committed", () =>
      Effect.gen(function* () {
        const topic = unique("once")
        yield* fill(topic, 6, 3000)
        const ledger = new Ledger()
        const options = { topic, groupId: topic, ...quick }
        /** Works on that many and a few more. */
        const enough = (count: number) =>
          Effect.raceFirst(
            member(options, (batch) =>
              workThrough(
                batch,
                (records) =>
                  Effect.suspend(() =>
                    ledger.size < count ? Effect.sync(() => ledger.add(records)) : Effect.sleep("1 minute"),
                  ),
                70,
              ),
            ),
            until(() => ledger.size >= count),
          )
        yield* enough(1000)
        assert.isBelow(ledger.size, 3000)
        yield* enough(3000)
        assert.strictEqual(ledger.size, 3000)
        assert.strictEqual(ledger.repeated, 0)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("gives the next batch of a partition when all of the one before was committed", () =>
      Effect.gen(function* () {
        const topic = unique("pressure")
        // several times what one read may bring
        yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => fill(topic, 2, 4000, "x".repeat(450)))
        const kafka = yield* KafkaClient.KafkaClient
        const given: Array<PartitionBatch.PartitionBatch> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => given.push(batch))),
          Effect.forkScoped,
        )
        yield* until(() => given.length === 2)
        const [one, other] = given as [PartitionBatch.PartitionBatch, PartitionBatch.PartitionBatch]
        assert.notStrictEqual(one.partition, other.partition)
        assert.isTrue(one.hasMore)
        assert.isBelow(all(one), 6_000)
        assert.strictEqual(one.length, all(one))
        assert.deepStrictEqual(one.records, Chunk.makeBy(one.length, one.at))
        one.claim(all(one))
        yield* one.commit(all(one) - 1)
        yield* Effect.sleep("700 millis")
        assert.strictEqual(given.length, 2)
        yield* one.commit(all(one))
        other.claim(all(other))
        yield* other.commit(all(other))
        yield* until(() => given.length === 4)
        assert.isFalse(given[2]?.first)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("commits what is in flight in a rebalance, and only that", () =>
      Effect.gen(function* () {
        const topic = unique("rebalance")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        const ledger = new Ledger()
        // the first member works on ten records while the second one joins
        const firstMember = yield* member(options, (batch) =>
          Effect.gen(function* () {
            if (yield* Deferred.succeed(held, batch)) assert.isTrue(batch.claim(10))
            else yield* workThrough(batch, (records) => Effect.sync(() => ledger.add(records)))
          }),
        ).pipe(Effect.forkScoped)
        const batch = yield* Deferred.await(held)
        assert.isTrue(batch.first)
        yield* member(options, (given) => workThrough(given, (records) => Effect.sync(() => ledger.add(records)))).pipe(
          Effect.forkScoped,
        )
        yield* until(() => !batch.claim(10))
        yield* Effect.sleep("1 second")
        assert.strictEqual(ledger.size, 0)
        assert.isTrue(yield* batch.commit(10))
        yield* until(() => ledger.size === 290)
        assert.isFalse(ledger.times.has("0@9"))
        assert.strictEqual(ledger.repeated, 0)
        yield* Fiber.interrupt(firstMember)
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("the end of the stream waits for work in flight, and commits it", () =>
      Effect.gen(function* () {
        const topic = unique("stop")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        const ending = yield* member(options, (batch) => {
          batch.claim(10)
          return Effect.asVoid(Deferred.succeed(held, batch))
        }).pipe(Effect.fork)
        const batch = yield* Deferred.await(held)
        const end = yield* Effect.fork(Fiber.interrupt(ending))
        yield* until(() => !batch.claim(10))
        yield* Effect.sleep("1 second")
        assert.isTrue(Option.isNone(yield* Fiber.poll(end)))
        assert.isTrue(yield* batch.commit(10))
        yield* Fiber.join(end).pipe(Effect.timeout("15 seconds"))
        assert.isFalse(yield* batch.commit(20))
        assert.deepStrictEqual(yield* next(options), { first: true, offset: 10n })
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("released records are delivered again, and the end does not wait for them", () =>
      Effect.gen(function* () {
        const topic = unique("release")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }

        const released = yield* Deferred.make<void>()
        const ending = yield* member(options, (batch) =>
          Effect.gen(function* () {
            assert.isTrue(batch.claim(10))
            yield* batch.release
            assert.isTrue(batch.claim(20))
            yield* batch.commit(5)
            yield* batch.release
            yield* Deferred.succeed(released, undefined)
          }),
        ).pipe(Effect.fork)
        yield* Effect.raceFirst(Deferred.await(released), Fiber.join(ending))
        const [took] = yield* Effect.timed(Fiber.interrupt(ending))
        assert.isBelow(Duration.toMillis(took), 15_000)
        assert.deepStrictEqual(yield* next(options), { first: true, offset: 5n })
      }).pipe(Effect.provide(layer)),
    )

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

    it.scopedLive("members that come and go lose and repeat nothing", () =>
      Effect.gen(function* () {
        const topic = unique("churn")
        yield* fill(topic, 12, 24_000)
        const ledger = new Ledger()
        const options = { topic, groupId: topic, ...quick }
        const join = member(options, (batch) =>
          workThrough(batch, (records) =>
            Effect.zipRight(
              Effect.sleep(`${20 + Math.floor(Math.random() * 60)} millis`),
              Effect.sync(() => ledger.add(records)),
            ),
          ),
        ).pipe(Effect.fork)
        const members = [yield* join, yield* join]
        while (ledger.size < 24_000) {
          yield* Effect.sleep("700 millis")
          if (members.length > 2) yield* Fiber.interruptAll(members.splice(0, 1))
          else members.push(yield* join)
        }
        yield* Fiber.interruptAll(members)
        assert.strictEqual(ledger.size, 24_000)
        assert.strictEqual(ledger.repeated, 0)
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
        yield* next({ ...quick, topic, groupId: unique("before") })
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
