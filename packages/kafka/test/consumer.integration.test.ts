import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithKafka, describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect, Stream } from "effect"
import { fill, Ledger, Losses, member, quick, unique, until, workThrough } from "./consumerKit.js"

describeWithKafka("consuming what cannot be consumed", (brokers) => {
  const refuses = (name: string, options: object, reason: string, words: RegExp) =>
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const topic = unique("refused")
        const kafka = yield* KafkaClient.KafkaClient
        yield* kafka.createTopic({ name: topic })
        const error = yield* kafka
          .consume({ topic, groupId: topic, ...options })
          .pipe(Stream.runDrain, Effect.flip, Effect.timeout("15 seconds"))
        assert.strictEqual(error.reason, reason)
        assert.match(error.message, words)
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers }))),
    )

  refuses("a topic that does not exist", { topic: "nowhere" }, "UnknownTopic", /no topic nowhere/)
  refuses("a topic without a name", { topic: " " }, "Misconfigured", /topic has no name/)
  refuses("a group without a name", { groupId: "" }, "Misconfigured", /group has no name/)
  refuses(
    "a session that is too short for its heartbeats",
    { sessionTimeout: "8 seconds" },
    "Misconfigured",
    /session of 8s is too short for heartbeats every 3s/,
  )
  refuses(
    "a rebalance that is shorter than a session",
    { rebalanceTimeout: "20 seconds" },
    "Misconfigured",
    /rebalanceTimeout \(20s\) is shorter than sessionTimeout \(30s\)/,
  )
  refuses("a time that is none", { heartbeatInterval: Duration.infinity }, "Misconfigured", /positive, finite duration/)
  refuses(
    "a session that the broker does not allow",
    { sessionTimeout: "900 millis", heartbeatInterval: "300 millis" },
    "Misconfigured",
    /INVALID_SESSION_TIMEOUT/,
  )
})

describeWithOwnKafka("consuming, when the broker dies", () => {
  it.scopedLive("what is in flight is committed when it is back, and nothing is repeated", () =>
    Effect.gen(function* () {
      const broker = yield* Broker.make({
        version: "3.9.2",
        settings: { "broker.session.timeout.ms": 1000, "broker.heartbeat.interval.ms": 100 },
      })
      const topic = "outage"
      const kafka = KafkajsClient.layer({ brokers: broker.brokers, requestTimeout: Duration.seconds(5) })
      yield* fill(topic, 4, 8000).pipe(Effect.provide(kafka))
      const ledger = new Ledger()
      const losses = new Losses()
      yield* Effect.gen(function* () {
        // as long as a node may take to start
        const patient = { sessionTimeout: "60 seconds", rebalanceTimeout: "60 seconds" } as const
        yield* member({ topic, groupId: topic, ...quick, ...patient, restart: losses.restart }, (batch) =>
          workThrough(batch, (records) =>
            Effect.zipRight(
              Effect.sleep("100 millis"),
              Effect.sync(() => ledger.add(records)),
            ),
          ),
        ).pipe(Effect.forkScoped)
        yield* until(() => ledger.size > 1000)
        yield* broker.kill(1)
        yield* Effect.sleep("1 second")
        yield* broker.start(1)
        yield* until(() => ledger.size === 8000)
      }).pipe(Effect.provide(kafka))
      assert.strictEqual(ledger.repeated, 0)
    }),
  )
})
