import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithKafka, describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect, Redacted, Stream } from "effect"
import kafkajs from "kafkajs"
import { fill, Ledger, Losses, member, quick, unique, until, workThrough } from "./consumerKit.js"

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs

const refusal = (options: KafkaClient.Options, consume: Parameters<KafkaClient.Service["consume"]>[0]) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) => Effect.flip(Stream.runDrain(kafka.consume(consume)))).pipe(
    Effect.provide(KafkaClient.layer(options)),
    Effect.timeout("15 seconds"),
  )

describeWithKafka("consuming what cannot be consumed", (brokers) => {
  const refuses = (name: string, options: object, reason: string, words: RegExp) =>
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const topic = unique("refused")
        const kafka = yield* KafkaClient.KafkaClient
        yield* kafka.createTopic({ name: topic })
        const error = yield* refusal({ brokers }, { topic, groupId: topic, ...options })
        assert.strictEqual(error.reason, reason)
        assert.match(error.message, words)
      }).pipe(Effect.provide(KafkaClient.layer({ brokers }))),
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

describeWithOwnKafka("consuming, signed in", () => {
  it.scopedLive("a missing ACL is one clear error", () =>
    Effect.gen(function* () {
      const broker = yield* Broker.make({ security: true })
      const { username, password } = broker.sasl.scram
      const topic = "guarded"
      yield* fill(topic, 1, 10).pipe(Effect.provide(KafkaClient.layer({ brokers: broker.brokers })))
      const admin = new kafkajs.Kafka({ brokers: [...broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
      yield* Effect.promise(() => admin.connect())
      yield* Effect.addFinalizer(() => Effect.promise(() => admin.disconnect()))
      const allow = (resourceType: number, operation: number) =>
        Effect.promise(() =>
          admin.createAcls({
            acl: [
              {
                resourceType,
                resourceName: topic,
                resourcePatternType: ResourcePatternTypes.LITERAL,
                principal: `User:${username}`,
                host: "*",
                operation,
                permissionType: AclPermissionTypes.ALLOW,
              },
            ],
          }),
        ).pipe(Effect.zipRight(Effect.sleep("500 millis")))
      const options: KafkaClient.Options = {
        brokers: broker.sasl.brokers,
        sasl: { mechanism: "scram-sha-256", username, password: Redacted.make(password) },
        startTimeout: Duration.seconds(3),
      }
      const refused = refusal(options, { topic, groupId: topic })

      const withoutAny = yield* refused
      assert.strictEqual(withoutAny.reason, "Misconfigured")
      assert.match(withoutAny.message, /topic guarded.*TOPIC_AUTHORIZATION_FAILED/)

      yield* allow(AclResourceTypes.TOPIC, AclOperationTypes.DESCRIBE)
      const withoutGroup = yield* refused
      assert.match(withoutGroup.message, /group guarded.*lacks the ACL.*Read on the group/)

      yield* allow(AclResourceTypes.GROUP, AclOperationTypes.DESCRIBE)
      const withoutRead = yield* refused
      assert.strictEqual(withoutRead.reason, "Misconfigured")
      assert.match(withoutRead.message, /group guarded.*GROUP_AUTHORIZATION_FAILED/)

      yield* allow(AclResourceTypes.GROUP, AclOperationTypes.READ)
      const withoutTopic = yield* refused
      assert.strictEqual(withoutTopic.reason, "Misconfigured")
      assert.match(withoutTopic.message, /topic guarded.*TOPIC_AUTHORIZATION_FAILED/)

      yield* allow(AclResourceTypes.TOPIC, AclOperationTypes.READ)
      const ledger = new Ledger()
      yield* Effect.raceFirst(
        member({ topic, groupId: topic }, (batch) =>
          workThrough(batch, (records) => Effect.sync(() => ledger.add(records))),
        ),
        until(() => ledger.size === 10),
      ).pipe(Effect.provide(KafkaClient.layer(options)))
    }),
  )
})

describeWithOwnKafka("consuming, when the broker dies", () => {
  it.scopedLive("what is in flight is committed when it is back, and nothing is repeated", () =>
    Effect.gen(function* () {
      const broker = yield* Broker.make({
        version: "3.9.2",
        settings: { "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 },
      })
      const topic = "outage"
      const kafka = KafkaClient.layer({ brokers: broker.brokers, requestTimeout: Duration.seconds(5) })
      yield* fill(topic, 4, 8000).pipe(Effect.provide(kafka))
      const ledger = new Ledger()
      const losses = new Losses()
      yield* Effect.gen(function* () {
        yield* member(
          { topic, groupId: topic, ...quick, sessionTimeout: "20 seconds", restart: losses.restart },
          (batch) =>
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
