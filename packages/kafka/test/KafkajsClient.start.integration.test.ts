import * as net from "node:net"
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithKafka, describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Chunk, Duration, Effect, Exit, Redacted, Schedule, Scope, Stream } from "effect"
import kafkajs from "kafkajs"
import { KafkaClient, type KafkaError, KafkajsClient, type KafkajsOptions } from "../src/index.js"
import { fill, Ledger, member, unique, until, workThrough } from "./consumerKit.js"
import { fresh, newTopic, send, text } from "./contract.js"

const { AclOperationTypes: Operation, AclPermissionTypes, AclResourceTypes: Resource, ResourcePatternTypes } = kafkajs

const startTimeout = Duration.seconds(1)

/** Where it has to start, also on a busy machine. */
const patient = { startTimeout: Duration.seconds(5) }

/** How building the client fails: within its time and that of a goodbye, and not after another one of its limits (10 and 30 seconds). */
const startError = (options: Omit<KafkajsOptions.Options, "startTimeout">) =>
  Effect.gen(function* () {
    const [time, error] = yield* Effect.timed(
      Effect.flip(
        Effect.scoped(Effect.provide(KafkaClient.KafkaClient, KafkajsClient.layer({ ...options, startTimeout }))),
      ),
    )
    assert.isBelow(Duration.toMillis(time), Duration.toMillis(startTimeout) + 7000)
    return error
  })

describeWithOwnKafka("signing in", () => {
  const scope = Effect.runSync(Scope.make())
  let broker: Broker.Secured
  let admin: ReturnType<kafkajs.Kafka["admin"]>

  beforeAll(async () => {
    broker = await Effect.runPromise(Scope.extend(Broker.make({ security: true }), scope))
    admin = new kafkajs.Kafka({ brokers: [...broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
  })
  afterAll(async () => {
    await admin.disconnect()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  const allow = (
    username: string,
    resourceType: kafkajs.AclResourceTypes,
    resourceName: string,
    operation: kafkajs.AclOperationTypes,
  ) => {
    const acl = {
      principal: `User:${username}`,
      host: "*",
      permissionType: AclPermissionTypes.ALLOW,
      resourcePatternType: ResourcePatternTypes.PREFIXED,
      resourceType,
      resourceName,
      operation,
    }
    return Effect.zipRight(
      Effect.promise(() => admin.createAcls({ acl: [acl] })),
      Effect.repeat(
        Effect.promise(() => admin.describeAcls(acl)),
        { until: ({ resources }) => resources.length > 0, schedule: Schedule.spaced("20 millis") },
      ),
    )
  }

  const sasl = (mechanism: KafkajsOptions.Sasl["mechanism"], password?: string): KafkajsOptions.Sasl => {
    const user = mechanism === "plain" ? broker.sasl.plain : broker.sasl.scram
    return { mechanism, username: user.username, password: Redacted.make(password ?? user.password) }
  }

  it.live("works by each mechanism, and by TLS with the authority's certificate", () =>
    Effect.gen(function* () {
      for (const options of [
        { brokers: broker.sasl.brokers, sasl: sasl("plain") },
        { brokers: broker.sasl.brokers, sasl: sasl("scram-sha-256") },
        { brokers: broker.sasl.brokers, sasl: sasl("scram-sha-512") },
        { brokers: broker.tls.brokers, tls: { ca: broker.tls.ca } },
      ]) {
        yield* Effect.scoped(Effect.provide(KafkaClient.KafkaClient, KafkajsClient.layer({ ...options, ...patient })))
      }
    }),
  )

  it.live("with a wrong password is one error, and no secret is in it", () =>
    Effect.gen(function* () {
      for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
        const error = yield* startError({ brokers: broker.sasl.brokers, sasl: sasl(mechanism, "mistaken-secret") })
        assert.strictEqual(error.reason, "Misconfigured")
        assert.include(error.message, "wrong user, password or mechanism")
        assert.notInclude(JSON.stringify([error, error.message, String(error.cause)]), "mistaken-secret")
      }
    }),
  )

  it.live("to a listener of another kind is one error, which names what may be wrong", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<
        [what: string, options: KafkajsOptions.Options, reason: KafkaError.Reason, words: string]
      > = [
        ["SASL to plain", { brokers: broker.brokers, sasl: sasl("plain") }, "Misconfigured", "does not expect SASL"],
        ["plain to SASL", { brokers: broker.sasl.brokers }, "Unavailable", "may expect TLS or SASL"],
        ["plain to TLS", { brokers: broker.tls.brokers }, "Unavailable", "may expect TLS or SASL"],
        ["TLS to plain", { brokers: broker.brokers, tls: true }, "Unavailable", "may expect TLS or SASL"],
        ["unknown authority", { brokers: broker.tls.brokers, tls: true }, "Misconfigured", "as tls.ca"],
      ]
      yield* Effect.forEach(
        cases,
        ([what, options, reason, words]) =>
          Effect.map(startError(options), (error) => {
            assert.strictEqual(error.reason, reason, what)
            assert.include(error.message, words, what)
          }),
        { concurrency: "unbounded" },
      )
    }),
  )

  it.scopedLive("an ACL that is missing is named, and with the ones of the README all works", () =>
    Effect.gen(function* () {
      const { username } = broker.sasl.scram
      const topic = yield* Effect.provide(newTopic(), KafkajsClient.layer({ brokers: broker.brokers }))
      const transactionalId = fresh("id")
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const failure = <A>(effect: Effect.Effect<A, KafkaError.KafkaError, Scope.Scope>) =>
          Effect.map(Effect.flip(Effect.scoped(effect)), ({ description, reason }) => `${reason}: ${description}`)
        const write = Effect.flatMap(client.producer(), (producer) => send(producer, topic, ["a"]))
        const transact = Effect.flatMap(client.transactionalProducer({ transactionalId }), (producer) =>
          producer.transaction((transaction) => send(transaction, topic, ["b"])),
        )
        const reading = Stream.runCollect(client.read(topic))

        assert.include(yield* failure(write), "Misconfigured: cannot start a producer")
        assert.include(yield* failure(client.topic(topic)), "the user lacks an ACL on the topic")
        assert.include(yield* failure(reading), "the user lacks an ACL on the topic")
        yield* allow(username, Resource.TOPIC, "kafka-", Operation.WRITE)
        yield* Effect.scoped(write)
        const refused = yield* failure(transact)
        assert.include(refused, "Unavailable")
        assert.include(refused, "the user lacks the ACL for it (Write on the transactional id")
        yield* allow(username, Resource.TRANSACTIONAL_ID, "kafka-", Operation.WRITE)
        yield* Effect.scoped(transact)

        assert.include(yield* failure(reading), "the user lacks an ACL on the topic")
        yield* allow(username, Resource.TOPIC, "kafka-", Operation.READ)
        assert.deepStrictEqual(Chunk.toReadonlyArray(yield* reading).map(text), ["a", "b"])

        assert.include(yield* failure(client.topicConfig(topic)), "the user lacks an ACL on the topic")
        yield* allow(username, Resource.TOPIC, "kafka-", Operation.DESCRIBE_CONFIGS)
        yield* client.topicConfig(topic)
        assert.include(yield* failure(client.createTopic({ name: fresh("new") })), "Misconfigured")
        yield* allow(username, Resource.TOPIC, "kafka-", Operation.CREATE)
        yield* client.createTopic({ name: fresh("new") })
        assert.include(yield* failure(client.deleteRecords({ topic, partition: 0 }, 1n)), "the user lacks an ACL")
        yield* allow(username, Resource.TOPIC, "kafka-", Operation.DELETE)
        yield* client.deleteRecords({ topic, partition: 0 }, 1n)
      }).pipe(
        Effect.provide(
          KafkajsClient.layer({
            brokers: broker.sasl.brokers,
            sasl: sasl("scram-sha-512"),
            ...patient,
          }),
        ),
      )
    }),
  )

  it.scopedLive("an ACL that a consumer lacks is one error", () =>
    Effect.gen(function* () {
      const { username } = broker.sasl.scram
      const topic = "guarded"
      yield* fill(topic, 1, 10).pipe(Effect.provide(KafkajsClient.layer({ brokers: broker.brokers })))
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const refused = client
          .consume({ topic, groupId: topic })
          .pipe(Stream.runDrain, Effect.flip, Effect.timeout("15 seconds"))

        const withoutAny = yield* refused
        assert.strictEqual(withoutAny.reason, "Misconfigured")
        assert.match(withoutAny.message, /topic guarded.*TOPIC_AUTHORIZATION_FAILED/)

        yield* allow(username, Resource.TOPIC, topic, Operation.DESCRIBE)
        assert.match((yield* refused).message, /group guarded.*lacks the ACL.*Read on the group/)

        yield* allow(username, Resource.GROUP, topic, Operation.DESCRIBE)
        const withoutRead = yield* refused
        assert.strictEqual(withoutRead.reason, "Misconfigured")
        assert.match(withoutRead.message, /group guarded.*GROUP_AUTHORIZATION_FAILED/)

        yield* allow(username, Resource.GROUP, topic, Operation.READ)
        const withoutTopic = yield* refused
        assert.strictEqual(withoutTopic.reason, "Misconfigured")
        assert.match(withoutTopic.message, /topic guarded.*TOPIC_AUTHORIZATION_FAILED/)

        yield* allow(username, Resource.TOPIC, topic, Operation.READ)
        const ledger = new Ledger()
        yield* Effect.raceFirst(
          member({ topic, groupId: topic }, (batch) =>
            workThrough(batch, (records) => Effect.sync(() => ledger.add(records))),
          ),
          until(() => ledger.size === 10),
        )
      }).pipe(
        Effect.provide(KafkajsClient.layer({ brokers: broker.sasl.brokers, sasl: sasl("scram-sha-256"), ...patient })),
      )
    }),
  )
})

/** Accepts connections, and says nothing. */
const silentBroker = Effect.acquireRelease(
  Effect.async<net.Server>((resume) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close()),
).pipe(Effect.map((server) => `127.0.0.1:${(server.address() as net.AddressInfo).port}`))

describeWithKafka("with a broker among others that is silent", (brokers) => {
  it.scopedLive("everything begins at another one", () =>
    Effect.gen(function* () {
      const silent = yield* silentBroker
      const topic = unique("silent")
      const times = { connectTimeout: Duration.seconds(2), requestTimeout: Duration.seconds(5) }
      yield* Effect.gen(function* () {
        const kafka = yield* KafkaClient.KafkaClient
        yield* kafka.createTopic({ name: topic })
        const to = { topic, partition: 0 }
        yield* (yield* kafka.producer()).send(to, [{ key: null, value: "one" }])
        const transactional = yield* kafka.transactionalProducer({ transactionalId: topic })
        yield* transactional.transaction((transaction) => transaction.send(to, [{ key: null, value: "two" }]))
        // readers see a transaction a moment after its commit
        yield* Effect.repeat(Stream.runCount(kafka.read(topic)), { until: (count) => count === 2 })
        const ledger = new Ledger()
        yield* Effect.raceFirst(
          member({ topic, groupId: topic }, (batch) =>
            workThrough(batch, (records) => Effect.sync(() => ledger.add(records))),
          ),
          until(() => ledger.size === 2),
        )
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers: [silent, ...brokers], ...times })))
    }),
  )
})

it.scopedLive("brokers that refuse, are silent or do not exist are one error within startTimeout", () =>
  Effect.gen(function* () {
    const silent = yield* silentBroker
    const [refusing, quiet, unknown] = yield* Effect.all(
      [["127.0.0.1:1"], [silent], ["nowhere.invalid:9092"]].map((brokers) => startError({ brokers })),
      { concurrency: "unbounded" },
    )
    assert.deepStrictEqual([refusing?.reason, refusing?.code], ["Unavailable", "ECONNREFUSED"])
    assert.include(refusing?.message, "cannot connect to Kafka at 127.0.0.1:1")
    assert.strictEqual(quiet?.reason, "Unavailable")
    assert.include(quiet?.message, "no answer within 1s")
    assert.strictEqual(unknown?.reason, "Unavailable")
    assert.include(unknown?.message, "nowhere.invalid")
  }),
)
