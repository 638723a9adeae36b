import { assert, it } from "@effect/vitest"
import { type Consumer, KafkaClient } from "@effect-marketo/kafka"
import { Broker, type BrokerError } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Duration, Effect, Option } from "effect"
import kafkajs from "kafkajs"
import { fill, Ledger, member, quick, until, workThrough } from "./consumerKit.js"

const threeNodes = Broker.make({
  nodes: 3,
  settings: {
    "broker.session.timeout.ms": 2500,
    "broker.heartbeat.interval.ms": 400,
    // its leader is the coordinator
    "offsets.topic.num.partitions": 1,
  },
})

const connect = (cluster: Broker.Service, clientId?: string) =>
  KafkaClient.layer({ brokers: cluster.brokers, requestTimeout: Duration.seconds(5), clientId })

const COUNT = 24_000

/** Two members work on a topic of three nodes; once both are at it, each step of their work takes as long as `during` says. */
const disturbed = ({
  disturb,
  during,
  ...options
}: Partial<Consumer.Options> & {
  readonly disturb: (cluster: Broker.Service) => Effect.Effect<void, BrokerError.BrokerError>
  readonly during: Duration.DurationInput
}) =>
  Effect.gen(function* () {
    const cluster = yield* threeNodes
    const topic = "disturbed"
    const kafka = connect(cluster)
    yield* fill(topic, 6, COUNT).pipe(Effect.provide(kafka))
    const ledger = new Ledger()
    const atWork = new Set<string>()
    let pace: Duration.DurationInput = "10 millis"
    yield* Effect.gen(function* () {
      const join = (name: string) =>
        member({ topic, groupId: topic, ...quick, ...options }, (batch) =>
          workThrough(batch, (records) =>
            Effect.sync(() => atWork.add(name)).pipe(
              Effect.zipRight(Effect.suspend(() => Effect.sleep(pace))),
              Effect.zipRight(Effect.sync(() => ledger.add(records))),
            ),
          ),
        ).pipe(Effect.forkScoped)
      yield* join("one")
      yield* join("other")
      yield* until(() => atWork.size === 2)
      pace = during
      yield* disturb(cluster)
      assert.isBelow(ledger.size, COUNT)
      pace = "10 millis"
      yield* until(() => ledger.size === COUNT)
    }).pipe(Effect.provide(kafka))
    assert.strictEqual(ledger.repeated, 0)
  })

const withAdmin = <A>(cluster: Broker.Service, use: (admin: kafkajs.Admin) => Promise<A>) =>
  Effect.promise(async () => {
    const admin = new kafkajs.Kafka({ brokers: [...cluster.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    return use(admin).finally(() => admin.disconnect())
  })

const coordinatorOf = (cluster: Broker.Service) =>
  withAdmin(cluster, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: ["__consumer_offsets"] })
    const leader = topics[0]?.partitions[0]?.leader
    if (leader === undefined) throw new Error("no broker is the coordinator")
    return leader
  })

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

  it.scopedLive("the same when the coordinator falls silent", () =>
    disturbed({
      // time for a commit that nobody answers, and one where the coordinator has moved to
      sessionTimeout: "9 seconds",
      during: "15 seconds",
      disturb: (cluster) => Effect.flatMap(coordinatorOf(cluster), (node) => cluster.kill(node, "SIGSTOP")),
    }),
  )

  it.scopedLive("a commit that would wait behind a join beside it is made in the generation that follows", () =>
    Effect.gen(function* () {
      const cluster = yield* threeNodes
      const kafka = connect(cluster)
      const producer = yield* Effect.flatMap(KafkaClient.KafkaClient, (client) => client.producer()).pipe(
        Effect.provide(kafka),
      )
      const topic = "beside"
      // two partitions have records and stay where they are; the third is empty, and moves
      yield* withAdmin(cluster, (admin) =>
        admin.createTopics({
          waitForLeaders: true,
          topics: [
            {
              topic,
              replicaAssignment: [
                { partition: 0, replicas: [1, 3] },
                { partition: 1, replicas: [1, 3] },
                { partition: 2, replicas: [2, 3] },
              ],
            },
          ],
        }),
      )
      const send = (value: string) =>
        Effect.forEach([0, 1], (partition) => producer.send({ topic, partition }, [{ key: null, value }]))
      const owners = ["", ""]
      const working = new Set<string>()
      const commits: Array<boolean> = []
      const join = (name: string, work: Duration.DurationInput) =>
        member({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            const values = Array.from(batch.records, ({ value }) => `${Option.getOrNull(value)}`)
            if (!batch.claim(batch.length)) return
            owners[batch.partition] = name
            if (!values.includes("slow")) return yield* batch.commit(batch.length)
            working.add(name)
            yield* Effect.sleep(work)
            commits.push(yield* batch.commit(batch.length))
          }).pipe(Effect.ensuring(batch.release), Effect.asVoid),
        ).pipe(Effect.provide(connect(cluster, name)), Effect.forkScoped)
      // the first one leads the group, so its join waits for the work of the other one
      yield* join("a", "4 seconds")
      yield* Effect.repeat(Effect.zipRight(send("quick"), Effect.sleep("100 millis")), {
        until: () => owners[0] === "a" && owners[1] === "a",
      })
      yield* join("b", "10 seconds")
      yield* Effect.repeat(Effect.zipRight(send("quick"), Effect.sleep("100 millis")), {
        until: () => owners[0] === "a" && owners[1] === "b",
      })
      yield* send("slow")
      yield* until(() => working.size === 2)
      yield* withAdmin(cluster, (admin) =>
        admin.alterPartitionReassignments({
          topics: [{ topic, partitionAssignment: [{ partition: 2, replicas: [3, 1] }] }],
        }),
      )
      yield* until(() => commits.length === 2)
      assert.deepStrictEqual(commits, [true, true])
    }),
  )
})
