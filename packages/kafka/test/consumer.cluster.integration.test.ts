import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { Broker, type BrokerError } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect } from "effect"
import kafkajs from "kafkajs"
import { fill, Ledger, member, quick, until, workThrough } from "./consumerKit.js"

const COUNT = 24_000

/** Two members work on a topic of three nodes; once they are at it, each step of their work takes as long as `during` says. */
const disturbed = ({
  disturb,
  during,
}: {
  readonly disturb: (cluster: Broker.Service) => Effect.Effect<void, BrokerError.BrokerError>
  readonly during: Duration.DurationInput
}) =>
  Effect.gen(function* () {
    const cluster = yield* Broker.make({
      nodes: 3,
      settings: {
        "broker.session.timeout.ms": 2500,
        "broker.heartbeat.interval.ms": 400,
        // its leader is the coordinator
        "offsets.topic.num.partitions": 1,
      },
    })
    const topic = "disturbed"
    const kafka = KafkaClient.layer({ brokers: cluster.brokers, requestTimeout: Duration.seconds(5) })
    yield* fill(topic, 6, COUNT).pipe(Effect.provide(kafka))
    const ledger = new Ledger()
    let pace: Duration.DurationInput = "10 millis"
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
      pace = during
      yield* disturb(cluster)
      assert.isBelow(ledger.size, COUNT)
      pace = "10 millis"
      yield* until(() => ledger.size === COUNT)
    }).pipe(Effect.provide(kafka))
    assert.strictEqual(ledger.repeated, 0)
  })

const coordinatorOf = (cluster: Broker.Service) =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      const admin = new kafkajs.Kafka({ brokers: [...cluster.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
      await admin.connect()
      return admin
    }),
    (admin) =>
      Effect.promise(async () => {
        const { topics } = await admin.fetchTopicMetadata({ topics: ["__consumer_offsets"] })
        const leader = topics[0]?.partitions[0]?.leader
        if (leader === undefined) throw new Error("no broker is the coordinator")
        return leader
      }),
    (admin) => Effect.promise(() => admin.disconnect()),
  )

describeWithOwnKafka("consuming from three nodes", () => {
  it.scopedLive("nodes that are restarted one after the other lose and repeat nothing", () =>
    disturbed({
      // slow enough for the work to last longer than the restarts do on a busy machine
      during: "2 seconds",
      disturb: (cluster) =>
        Effect.forEach([1, 2, 3], (node) => Effect.zipRight(cluster.stop(node), cluster.start(node)), {
          discard: true,
        }),
    }),
  )

  it.scopedLive("work that takes longer than a session is committed where the coordinator has moved to", () =>
    disturbed({
      during: "12 seconds",
      disturb: (cluster) => Effect.flatMap(coordinatorOf(cluster), cluster.stop),
    }),
  )
})
