/** Brokers of its own: one that goes away and comes back, and one that asks who you are. */
import { assert, it } from "@effect/vitest"
import { KafkaClient, type KafkaError, KafkajsClient, type KafkajsOptions } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkaSink } from "@effect-marketo/sink-kafka"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Context, Duration, Effect, Fiber, Layer, Logger, LogLevel, Redacted, Schedule } from "effect"
import kafkajs from "kafkajs"
import { following, readAll, textOf } from "./support/kafka.js"

const subscription = { instance: "123-ABC-456", name: "all" }
const quiet = Logger.minimumLogLevel(LogLevel.None)

const connect = (options: KafkajsOptions.Options) =>
  Effect.map(Layer.build(KafkajsClient.layer(options)), (context) =>
    following(Context.get(context, KafkaClient.KafkaClient)),
  )

const open = (client: KafkaClient.Service, options: KafkaSink.Options) =>
  KafkaSink.make(options).pipe(
    Effect.provideService(KafkaClient.KafkaClient, client),
    Effect.flatMap((sink) => sink.open(subscription)),
  )

describeWithOwnKafka("KafkaSink, when the broker goes away", () => {
  it.scopedLive("waits, and goes on where it was: nothing is lost or repeated", () =>
    Effect.gen(function* () {
      // newer lines may hide acknowledged transactions when their only node is killed
      const broker = yield* Broker.make({
        version: "3.9.2",
        settings: { "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 },
      })
      const client = yield* connect({ brokers: broker.brokers, requestTimeout: Duration.seconds(5) })
      const writer = yield* open(client, { topic: "activities", createTopics: true })
      let sequence = 0
      let isOver = false
      const writing = yield* Effect.fork(
        Effect.gen(function* () {
          while (!isOver) {
            yield* writer.write(SinkSuite.batch(subscription, ++sequence, SinkSuite.texts(10, 10 * sequence)))
          }
        }),
      )
      while (sequence < 5) yield* Effect.sleep("20 millis")
      yield* broker.kill(1)
      const before = sequence
      yield* Effect.sleep("2 seconds")
      yield* broker.start(1)
      while (sequence < before + 20) yield* Effect.sleep("50 millis")
      isOver = true
      yield* Fiber.join(writing)
      const found = (yield* readAll(client, "activities", 10 * sequence)).map(({ value }) => textOf(value))
      assert.isTrue(found.join("\n") === SinkSuite.texts(10 * sequence, 10).join("\n"))
    }).pipe(Effect.provide(quiet)),
  )
})

describeWithOwnKafka("KafkaSink, as a user with ACLs", () => {
  const { AclOperationTypes: Operation, AclPermissionTypes, AclResourceTypes: Resource, ResourcePatternTypes } = kafkajs

  it.scopedLive("needs those of the README: each that is missing is one error that names its place", () =>
    Effect.gen(function* () {
      const broker = yield* Broker.make({ security: true })
      const admin = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const kafka = new kafkajs.Kafka({ brokers: [...broker.brokers], logLevel: kafkajs.logLevel.NOTHING })
          const admin = kafka.admin()
          await admin.connect()
          return admin
        }),
        (admin) => Effect.promise(() => admin.disconnect()),
      )
      const { password, username } = broker.sasl.plain
      const allow = (
        resourceType: kafkajs.AclResourceTypes,
        resourceName: string,
        ...operations: ReadonlyArray<kafkajs.AclOperationTypes>
      ) => {
        const acl = operations.map((operation) => ({
          principal: `User:${username}`,
          host: "*",
          permissionType: AclPermissionTypes.ALLOW,
          resourcePatternType: ResourcePatternTypes.PREFIXED,
          resourceType,
          resourceName,
          operation,
        }))
        return Effect.zipRight(
          Effect.promise(() => admin.createAcls({ acl })),
          Effect.forEach(acl, (each) =>
            Effect.repeat(
              Effect.promise(() => admin.describeAcls(each)),
              { until: ({ resources }) => resources.length > 0, schedule: Schedule.spaced("20 millis") },
            ),
          ),
        )
      }
      const everything = yield* connect({ brokers: broker.brokers })
      for (const name of ["activities", "rejected"]) yield* everything.createTopic({ name, partitions: 2 })

      const client = yield* connect({
        brokers: broker.sasl.brokers,
        sasl: { mechanism: "plain", username, password: Redacted.make(password) },
        startTimeout: Duration.seconds(5),
      })
      const options = {
        topic: "activities",
        rejectedTopic: "rejected",
        createTopics: true,
        startTimeout: Duration.seconds(1),
      }
      const write = Effect.scoped(
        Effect.flatMap(open(client, options), (writer) =>
          writer.write(SinkSuite.batch(subscription, 1, SinkSuite.texts(3), ["{}"])),
        ),
      )
      const refusal = Effect.match(write, {
        onSuccess: () => "written",
        onFailure: ({ cause, message, reason }) => `${reason} ${message} ${(cause as KafkaError.KafkaError).message}`,
      })
      const checkpoints = "marketo__123-ABC-456__all__checkpoint"

      assert.match(yield* refusal, /^Unavailable .*the topic activities/)
      yield* allow(Resource.TOPIC, "activities", Operation.WRITE)
      assert.match(yield* refusal, /^Unavailable .*the topic rejected/)
      yield* allow(Resource.TOPIC, "rejected", Operation.WRITE)
      assert.match(yield* refusal, /^Unavailable .*settings of the topic rejected.* DescribeConfigs/)
      yield* allow(Resource.TOPIC, "rejected", Operation.DESCRIBE_CONFIGS)
      assert.match(yield* refusal, new RegExp(`^Unavailable .*the topic ${checkpoints}`))
      yield* allow(Resource.TOPIC, "marketo__", Operation.CREATE, Operation.WRITE)
      assert.match(yield* refusal, new RegExp(`^Unavailable .*settings of the topic ${checkpoints}.* DescribeConfigs`))
      yield* allow(Resource.TOPIC, "marketo__", Operation.DESCRIBE_CONFIGS)
      assert.match(yield* refusal, /^Unavailable .*make a producer for .*Write on the transactional id/)
      yield* allow(Resource.TRANSACTIONAL_ID, "marketo__", Operation.WRITE)
      assert.strictEqual(yield* refusal, "written") // there was no checkpoint to be read yet
      assert.match(yield* refusal, /^Unavailable .*read the checkpoint of .*lacks an ACL on the topic/)
      yield* allow(Resource.TOPIC, "marketo__", Operation.READ)
      yield* Effect.scoped(open(client, options))
      assert.isAbove((yield* readAll(everything, checkpoints, 2)).length, 1, "not trimmed, which is a warning")
      yield* allow(Resource.TOPIC, "marketo__", Operation.DELETE)
      yield* Effect.scoped(open(client, options))
      assert.strictEqual((yield* readAll(everything, checkpoints, 1)).length, 1)
      assert.strictEqual((yield* readAll(everything, "activities", 3)).length, 3)
    }).pipe(Effect.provide(quiet)),
  )
})
