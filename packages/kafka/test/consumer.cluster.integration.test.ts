import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect } from "effect"
import { fill, Ledger, member, quick, until, workThrough } from "./consumerKit.js"

describeWithOwnKafka("consuming from three nodes", () => {
  // one of them is the group's coordinator, at which kafkajs would go on to commit
  it.scopedLive("nodes that are restarted one after the other lose and repeat nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* Broker.make({
        nodes: 3,
        settings: { "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 },
      })
      const topic = "rolling"
      const kafka = KafkaClient.layer({ brokers: cluster.brokers, requestTimeout: Duration.seconds(5) })
      yield* fill(topic, 6, 24_000).pipe(Effect.provide(kafka))
      const ledger = new Ledger()
      // slow enough for the work to last longer than the restarts do on a busy machine
      let pace: Duration.DurationInput = "2 seconds"
      yield* Effect.gen(function* () {
        const join = member({ topic, groupId: topic, ...quick }, (batch) =>
          workThrough(batch, (records) =>
            Effect.zipRight(
              Effect.suspend(() => Effect.sleep(pace)),
              Effect.sync(() => ledger.add(records)),
            ),
          ),
        ).pipe(Effect.forkScoped)
        yield* join
        yield* join
        yield* until(() => ledger.size > 600)
        for (const node of [1, 2, 3]) {
          yield* cluster.stop(node)
          yield* cluster.start(node)
        }
        assert.isBelow(ledger.size, 24_000)
        pace = "10 millis"
        yield* until(() => ledger.size === 24_000)
      }).pipe(Effect.provide(kafka))
      assert.strictEqual(ledger.repeated, 0)
    }),
  )
})
