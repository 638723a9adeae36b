import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient, type KafkajsOptions } from "@effect-marketo/kafka"
import { Broker, type BrokerError } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Context, Deferred, Duration, Effect, Exit, Layer, Option, Schedule, Scope } from "effect"
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

  it.scopedLive("a commit that would wait behind a join beside it is made in the generation that follows", () =>
    Effect.gen(function* () {
      const client = yield* Effect.map(Layer.build(connect(cluster)), Context.get(KafkaClient.KafkaClient))
      const producer = yield* client.producer()
      const topic = "beside"
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
      const working = new Set<string>()
      const commits: Array<boolean> = []
      /** The first one joins while both work. */
      const joining = yield* Deferred.make<void>()
      const watching = make((key) => {
        if (key === api.JoinGroup && working.size === 2) Deferred.unsafeDone(joining, Effect.void)
        return undefined
      })
      const join = (name: string, work: Effect.Effect<unknown>, transport?: KafkajsOptions.Transport) =>
        member({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            const values = Array.from(batch.records, ({ value }) => `${Option.getOrNull(value)}`)
            if (!batch.claim(batch.length)) return
            owners.set(batch.partition, name)
            if (!values.includes("slow")) return yield* batch.commit(batch.length)
            working.add(name)
            yield* work
            commits.push(yield* batch.commit(batch.length))
          }).pipe(Effect.ensuring(batch.release), Effect.asVoid),
        ).pipe(Effect.provide(connect(cluster, name, transport)), Effect.forkScoped)
      // the first one leads the group, so its join waits for the work of the other one; by its name it has two partitions of three
      const committing = yield* Deferred.make<void>()
      const firstWork = Deferred.await(joining).pipe(
        Effect.zipRight(Effect.sleep("500 millis")),
        Effect.zipRight(Deferred.succeed(committing, undefined)),
      )
      yield* join("a", firstWork, watching)
      yield* Effect.repeat(Effect.zipRight(sendQuick, Effect.sleep("100 millis")), {
        until: () => ownedBy("a").length === 3,
      })
      yield* join("b", Effect.zipRight(Deferred.await(committing), Effect.sleep("8 seconds")))
      yield* Effect.repeat(Effect.zipRight(sendQuick, Effect.sleep("100 millis")), {
        until: () => ownedBy("b").length === 1,
      })
      const [moving = 0, staying = 0] = ownedBy("a")
      yield* send(staying, "slow")
      yield* Effect.forEach(ownedBy("b"), (partition) => send(partition, "slow"))
      yield* until(() => working.size === 2)
      yield* withAdmin(cluster, (admin) =>
        admin.alterPartitionReassignments({
          topics: [
            {
              topic,
              partitionAssignment: [{ partition: moving, replicas: partitions[moving]?.replicas.slice(1) ?? [] }],
            },
          ],
        }),
      )
      yield* until(() => commits.length === 2)
      assert.deepStrictEqual(commits, [true, true])
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
