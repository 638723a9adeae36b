import { assert, describe, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, type PartitionBatch } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { fill, Ledger, member, quick, unique, until, workThrough } from "./consumerKit.js"

describeWithKafka("the batches of a member", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })

  describe.concurrent("consuming", () => {
    it.scopedLive("one partition that is held keeps no other from being read to its end, at its usual rate", () =>
      Effect.gen(function* () {
        const topic = unique("held")
        const count = 12_000
        // several times what one fetch may bring of each
        yield* fill(topic, 12, count, "x".repeat(4_000))
        const ledger = new Ledger()
        const heldBatch = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        const times: Array<number> = []
        yield* member({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            if (batch.partition === 5) {
              assert.isTrue(batch.claim(1))
              yield* Deferred.succeed(heldBatch, batch)
              return yield* Effect.never
            }
            yield* workThrough(batch, (records) => Effect.sync(() => ledger.add(records)))
            times.push(performance.now())
          }),
        ).pipe(Effect.forkScoped)
        const batch = yield* Deferred.await(heldBatch)
        const others = (count / 12) * 11
        yield* until(() => ledger.size === others)
        assert.isTrue(batch.claim(1))
        // no slower in the second half
        const [first = 0, middle = 0, last = 0] = [0, Math.floor(times.length / 2), times.length - 1].map(
          (i) => times[i],
        )
        assert.isBelow(last - middle, 5 * (middle - first))
        assert.isTrue(yield* batch.commit(1))
        yield* batch.release
      }).pipe(Effect.provide(layer)),
    )

    it.scopedLive("a slow reader is given no batch that was lost before it came to it", () =>
      Effect.gen(function* () {
        const topic = unique("slow")
        const partitions = 8
        yield* fill(topic, partitions, 800)
        const options = { topic, groupId: topic, ...quick }
        const kafka = yield* KafkaClient.KafkaClient
        const isSlow = yield* Deferred.make<void>()
        const given: Array<{ readonly isLost: boolean; readonly partition: number }> = []
        yield* kafka.consume(options).pipe(
          Stream.runForEach((batch) =>
            Effect.map(given.length === 0 ? Deferred.await(isSlow) : Effect.void, () =>
              given.push({ isLost: !batch.claim(0), partition: batch.partition }),
            ),
          ),
          Effect.forkScoped,
        )
        for (let guest = 0; guest < 8; guest++) {
          const joined = yield* Deferred.make<void>()
          const visiting = yield* Effect.fork(member(options, () => Effect.asVoid(Deferred.succeed(joined, undefined))))
          yield* Deferred.await(joined)
          yield* Fiber.interrupt(visiting)
        }
        yield* Deferred.succeed(isSlow, undefined)
        yield* until(() => new Set(given.map(({ partition }) => partition)).size === partitions)
        yield* until(() => given.filter(({ isLost }) => !isLost).length >= partitions)
        // the one that it was busy with all the time, and perhaps those of a rebalance that goes on
        assert.isAtMost(given.filter(({ isLost }) => isLost).length, 1 + partitions)
      }).pipe(Effect.provide(layer)),
    )
  })
})
