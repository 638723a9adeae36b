import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, type KafkajsOptions } from "@effect-marketo/kafka"
import { Broker, type BrokerError } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Context, Duration, Effect, Exit, Layer, Option, Schedule, Scope } from "effect"
import kafkajs from "kafkajs"
import { fill, Ledger, member, onEach, quick, unique, until, workThrough } from "./consumerKit.js"
import { api, make } from "./faults.js"

const connect = (cluster: Broker.Service, clientId?: string, transport?: KafkajsOptions.Transport) =>
  KafkajsClient.layer({ brokers: cluster.brokers, requestTimeout: Duration.seconds(5), clientId }, transport)

const withAdmin = <A>(cluster: Broker.Service, use: (admin: kafkajs.Admin) => Promise<A>) =>
  Effect.promise(async () => {
    const admin = new kafkajs.Kafka({ brokers: [...cluster.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    return use(admin).finally(() => admin.disconnect())
  })

/** Waits until no node lags behind in what the coordinator has. */
const coordinatorIsReplicated = (cluster: Broker.Service) =>
  withAdmin(cluster, (admin) => admin.fetchTopicMetadata({ topics: ["__consumer_offsets"] })).pipe(
    Effect.repeat({
      until: ({ topics }) => topics[0]?.partitions[0]?.isr.length === 3,
      schedule: Schedule.spaced("200 millis"),
    }),
  )

const COUNT = 24_000

/** Two members work on a topic; once both are at it, each step of their work takes as long as `during` says. */
const disturbed = (
  cluster: Broker.Service,
  {
    disturb,
    during,
    ...options
  }: Partial<KafkaClient.ConsumerOptions> & {
    /** Answers with what puts the cluster in order again. */
    readonly disturb: Effect.Effect<Effect.Effect<void, BrokerError.BrokerError>, BrokerError.BrokerError>
    readonly during: Duration.DurationInput
  },
) =>
  Effect.gen(function* () {
    const topic = unique("disturbed")
    const kafka = connect(cluster)
    yield* Effect.gen(function* () {
      yield* (yield* KafkaClient.KafkaClient).createTopic({ name: topic, partitions: 6 })
      yield* onEach(cluster.brokers, topic)
      yield* fill(topic, 6, COUNT)
    }).pipe(Effect.provide(kafka))
    const ledger = new Ledger()
    const atWork = new Set<string>()
    // in steps of 20 there is work for a hundred seconds: the other one joins meanwhile
    let pace: Duration.DurationInput = "500 millis"
    yield* Effect.gen(function* () {
      const join = (name: string) =>
        member({ topic, groupId: topic, ...quick, ...options }, (batch) =>
          workThrough(
            batch,
            (records) =>
              Effect.sync(() => atWork.add(name)).pipe(
                Effect.zipRight(Effect.suspend(() => Effect.sleep(pace))),
                Effect.zipRight(Effect.sync(() => ledger.add(records))),
              ),
            20,
          ),
        ).pipe(Effect.forkScoped)
      yield* join("one")
      yield* join("other")
      yield* until(() => atWork.size === 2)
      yield* coordinatorIsReplicated(cluster)
      pace = during
      const restore = yield* disturb
      assert.isBelow(ledger.size, COUNT)
      pace = "10 millis"
      yield* until(() => ledger.size === COUNT)
      yield* restore
    }).pipe(Effect.provide(kafka))
    assert.strictEqual(ledger.repeated, 0)
  })

const coordinatorOf = (cluster: Broker.Service) =>
  withAdmin(cluster, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: ["__consumer_offsets"] })
    const leader = topics[0]?.partitions[0]?.leader
    if (leader === undefined) throw new Error("no broker is the coordinator")
    return leader
  })

describeWithOwnKafka("consuming from three nodes", () => {
  const scope = Effect.runSync(Scope.make())
  let cluster: Broker.Service

  beforeAll(async () => {
    const settings = {
      "broker.session.timeout.ms": 2500,
      "broker.heartbeat.interval.ms": 400,
      // its leader is the coordinator
      "offsets.topic.num.partitions": 1,
    }
    cluster = await Effect.runPromise(Scope.extend(Broker.make({ nodes: 3, settings }), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.scopedLive("when a leader moves, kafkajs joins after the work on claimed records, which nothing repeats", () =>
    Effect.gen(function* () {
      const client = yield* Effect.map(Layer.build(connect(cluster)), Context.get(KafkaClient.KafkaClient))
      const producer = yield* client.producer()
      const topic = "moving"
      const partitions = [
        { partition: 0, replicas: [1, 2, 3] },
        { partition: 1, replicas: [2, 3, 1] },
        { partition: 2, replicas: [3, 1, 2] },
      ]
      yield* withAdmin(cluster, (admin) =>
        admin.createTopics({ waitForLeaders: false, topics: [{ topic, replicaAssignment: partitions }] }),
      )
      yield* onEach(cluster.brokers, topic)
      const send = (partition: number, value: string) => producer.send({ topic, partition }, [{ key: null, value }])
      const sendQuick = Effect.forEach(partitions, ({ partition }) => send(partition, "quick"))
      const owners = new Map<number, string>()
      const ownedBy = (name: string) =>
        [...owners].filter(([, owner]) => owner === name).map(([partition]) => partition)
      const ledger = new Ledger()
      const steps: Array<string> = []
      let isMoving = false
      const watching = (name: string) =>
        make((key) => {
          if (isMoving && key === api.JoinGroup) steps.push(`${name} joins`)
          return undefined
        })
      const join = (name: string) =>
        member({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            if (!batch.claim(batch.length)) return
            owners.set(batch.partition, name)
            ledger.add(batch.records)
            if (Array.from(batch.records, ({ value }) => `${Option.getOrNull(value)}`).includes("slow")) {
              steps.push(`${name} works`)
              // until kafkajs wants to join, and some heartbeats longer
              yield* until(() => !batch.claim(0))
              yield* Effect.sleep("1 second")
              steps.push(`${name} has worked`)
            }
            assert.isTrue(yield* batch.commit(batch.length))
          }).pipe(Effect.ensuring(batch.release), Effect.asVoid),
        ).pipe(Effect.provide(connect(cluster, name, watching(name))), Effect.forkScoped)
      // the first one leads the group; by its name it has two partitions of three
      for (const [name, count] of [
        ["a", 3],
        ["b", 1],
      ] as const) {
        yield* join(name)
        yield* Effect.repeat(Effect.zipRight(sendQuick, Effect.sleep("100 millis")), {
          until: () => ownedBy(name).length === count,
        })
      }
      const [moving = 0, staying = 0] = ownedBy("a")
      yield* Effect.forEach([staying, ...ownedBy("b")], (partition) => send(partition, "slow"))
      yield* until(() => steps.length === 2)
      isMoving = true
      const replicas = partitions[moving]?.replicas.slice(1) ?? []
      yield* withAdmin(cluster, (admin) =>
        admin.alterPartitionReassignments({
          topics: [{ topic, partitionAssignment: [{ partition: moving, replicas }] }],
        }),
      )
      yield* until(() => steps.filter((step) => step.endsWith("joins")).length >= 2)
      for (const name of ["a", "b"]) {
        assert.isBelow(steps.indexOf(`${name} has worked`), steps.indexOf(`${name} joins`), steps.join(", "))
      }
      const { size } = ledger
      yield* send(moving, "last")
      yield* until(() => ledger.size > size)
      assert.strictEqual(ledger.repeated, 0)
    }),
  )

  it.scopedLive("nodes that are restarted one after the other lose and repeat nothing", () =>
    disturbed(cluster, {
      // slow enough for the work to last longer than the restarts do on a busy machine
      during: "2 seconds",
      disturb: Effect.forEach([1, 2, 3], (node) =>
        Effect.all([cluster.stop(node), cluster.start(node), coordinatorIsReplicated(cluster)]),
      ).pipe(Effect.as(Effect.void)),
    }),
  )

  it.scopedLive("work that takes longer than a session is committed where the coordinator has moved to", () =>
    disturbed(cluster, {
      sessionTimeout: "6 seconds",
      during: "10 seconds",
      disturb: Effect.flatMap(coordinatorOf(cluster), (node) => Effect.as(cluster.stop(node), cluster.start(node))),
    }),
  )

  it.scopedLive("the same when the coordinator falls silent", () =>
    disturbed(cluster, {
      // time for a commit that nobody answers, and one where the coordinator has moved to
      sessionTimeout: "9 seconds",
      during: "14 seconds",
      disturb: Effect.flatMap(coordinatorOf(cluster), (node) =>
        Effect.as(cluster.kill(node, "SIGSTOP"), cluster.kill(node, "SIGCONT")),
      ),
    }),
  )
})
