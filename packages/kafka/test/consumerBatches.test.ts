import { assert, describe, it } from "@effect/vitest"
import { KafkajsClient, type PartitionBatch } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Deferred, Effect } from "effect"
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
  })
})
