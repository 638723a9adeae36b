/**
 * One member of a consumer group: one kafkajs consumer, from its connection to its end. It is never restarted: one that crashed
 * may be dead for good, so its successor is a new one.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type { Broker, Cluster, Consumer, ConsumerCommitOffsetsEvent, ConsumerHeartbeatEvent } from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import type { PartitionBatch } from "../../PartitionBatch.js"
import type { ConsumerSettings } from "../consumerOptions.js"
import type { Connection } from "./connection.js"
import * as Assigner from "./consumerAssigner.js"
import * as Assignment from "./consumerAssignment.js"
import { intercept } from "./consumerCluster.js"
import * as Gaps from "./consumerGaps.js"
import * as Gate from "./consumerGate.js"
import * as Membership from "./consumerMembership.js"
import { toKafkaError } from "./errors.js"

export interface Settings extends ConsumerSettings {
  /** Of the topic. */
  readonly partitions: number
}

/** A fetch waits this long for new records. */
const maxWait = 500

const stopTimeout = 5000

/**
 * Fetch size limits in bytes. One batch of each partition may be in memory, and what is fetched at a time: 16 MiB each, more only
 * with more than 256 partitions. kafkajs requests partitions in random order, so none starves.
 */
const readSize = (partitions: number) => {
  const maxBytesPerPartition = Math.max(2 ** 16, Math.min(2 ** 21, Math.floor(2 ** 24 / partitions)))
  return { maxBytesPerPartition, maxBytes: Math.min(maxBytesPerPartition * partitions, 2 ** 26) }
}

/** How many partitions a topic has that only members with another client read; 0 if it cannot be looked up. */
const countPartitions = (topic: string, groupId: string, find: () => Promise<Broker>): Effect.Effect<number> =>
  Effect.tryPromise({
    try: async () => (await (await find()).metadata([topic])).topicMetadata[0]?.partitionMetadata.length ?? 0,
    catch: (cause) => toKafkaError(`cannot look up topic ${topic}`, cause),
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logError(
        `members of group ${groupId} read topic ${topic}, which cannot be looked up here: its partitions are assigned to no member. Give this user the ACL Describe on the topic, or those members a group of their own`,
      ).pipe(Effect.annotateLogs({ topic, groupId, error: error.message }), Effect.as(0)),
    ),
  )

/** A leader that deals topics to members that do not read them leaves some of our partitions without a reader too. */
const dealtWrongly = ({ groupId, topic }: Settings, topics: ReadonlyArray<string>) =>
  new KafkaError({
    reason: "Misconfigured",
    description: `group ${groupId} assigns topic ${topics.join(", ")} to a consumer of topic ${topic}, so some records would be read by no member: the member that leads the group runs a client that deals partitions to all members alike. Give the consumers of each topic a group of their own`,
  })

/** Tells what happens to a member of kafkajs. `fail` ends it. */
const listen = (
  consumer: Consumer,
  settings: Settings,
  membership: Membership.Membership,
  on: {
    readonly joined: (partitions: ReadonlyArray<number>) => void
    readonly heard: () => void
    readonly fail: (error: KafkaError) => void
  },
): void => {
  const { groupId, topic } = settings
  const { events } = consumer
  const doing = `cannot consume topic ${topic} as group ${groupId}`
  const confirm = ({ payload }: ConsumerHeartbeatEvent | ConsumerCommitOffsetsEvent) =>
    membership.confirmed(payload.groupGenerationId)
  consumer.on(events.REQUEST, on.heard)
  consumer.on(events.GROUP_JOIN, ({ payload }) => on.joined(payload.memberAssignment[topic] ?? []))
  consumer.on(events.RECEIVED_UNSUBSCRIBED_TOPICS, ({ payload }) =>
    on.fail(dealtWrongly(settings, payload.topicsNotSubscribed)),
  )
  consumer.on(events.HEARTBEAT, confirm)
  consumer.on(events.COMMIT_OFFSETS, confirm)
  consumer.on(events.CRASH, ({ payload }) => on.fail(toKafkaError(doing, payload.error)))
  // after a request time-out kafkajs keeps the connection, but if a response was cut in the middle it can no longer read from it
  consumer.on(events.REQUEST_TIMEOUT, ({ payload }) => {
    // it waits on the connection behind a request to join, which may last as long as a rebalance
    if (membership.isJoining() && !["Fetch", "JoinGroup", "SyncGroup"].includes(payload.apiName)) return
    const description = `${doing}: ${payload.broker} does not answer ${payload.apiName}`
    on.fail(new KafkaError({ reason: "Unavailable", description }))
  })
}

/** Runs until it fails, or until it is interrupted; then what is claimed may still be committed. */
export const run = (
  connection: Connection,
  settings: Settings,
  inbox: { readonly offer: (batch: PartitionBatch) => void; readonly withdraw: (partition: number) => void },
  onJoined: () => void,
): Effect.Effect<never, KafkaError> =>
  Effect.gen(function* () {
    const { from, groupId, heartbeatInterval, partitions, rebalanceTimeout, sessionTimeout, topic } = settings
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const runPromise = Runtime.runPromise(yield* Effect.runtime())
    const failure = yield* Deferred.make<never, KafkaError>()
    const fail = (error: KafkaError) => Deferred.unsafeDone(failure, Effect.fail(error))

    const kafka = yield* connection.open("steady")
    let findCoordinator = (): ReturnType<ReturnType<typeof intercept>> => Promise.reject(new Error("no member yet"))
    const membership = Membership.make({ groupId, sessionTimeout, findCoordinator: () => findCoordinator(), now })
    const assignment = yield* Assignment.make({ ...settings, ...inbox, membership, fail })

    const makeAssigner = ({ cluster }: { readonly cluster: Cluster }) => {
      const { moveTo, whenDrained } = assignment
      const gaps = Gaps.make({ ...settings, cluster, run: runPromise, moveTo, fail })
      findCoordinator = intercept(cluster, groupId, {
        gate: Gate.make({ assignment, membership, maxWait, onOutOfRange: gaps.onOutOfRange }),
        whenDrained,
        resetOf: gaps.resetOf,
        watch: membership.watch,
      })
      return Assigner.make(cluster, (topic) => runPromise(countPartitions(topic, groupId, findCoordinator)))
    }

    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: Duration.toMillis(sessionTimeout),
      heartbeatInterval: Duration.toMillis(heartbeatInterval),
      rebalanceTimeout: Duration.toMillis(rebalanceTimeout),
      ...readSize(partitions),
      maxWaitTimeInMs: maxWait,
      allowAutoTopicCreation: false,
      partitionAssigners: [makeAssigner],
      retry: { ...connection.retry("steady"), restartOnFailure: () => Promise.resolve(false) },
    })

    /** When a broker answered for the last time. */
    let heardAt = now()
    listen(consumer, settings, membership, {
      joined: (partitions) => {
        assignment.joined(partitions)
        onJoined()
      },
      heard: () => {
        heardAt = now()
      },
      fail,
    })

    /** Resolves when the first join has succeeded or failed; before that `stop` would do nothing. */
    let started: Promise<void> = Promise.resolve()
    yield* Effect.addFinalizer(() =>
      // what does not end in time loses its sockets when the scope closes
      connection
        .attempt(`cannot leave group ${groupId}`, stopTimeout, async () => {
          await started
          const stopped = consumer.stop()
          assignment.changed.notify()
          await stopped
          await consumer.disconnect()
        })
        .pipe(Effect.catchAll((error) => Effect.logWarning(error.message))),
    )

    const silence = Duration.toMillis(Duration.sum(sessionTimeout, rebalanceTimeout))
    yield* assignment.beat.pipe(
      Effect.zipRight(Clock.currentTimeMillis),
      Effect.tap((now) => {
        if (assignment.isBusy() || now - heardAt <= silence) return
        fail(
          new KafkaError({
            reason: "Unavailable",
            description: `cannot consume topic ${topic} as group ${groupId}: no broker has answered for ${Duration.format(Duration.millis(now - heardAt))}`,
          }),
        )
      }),
      Effect.schedule(Schedule.spaced(Duration.times(heartbeatInterval, 0.25))),
      Effect.interruptible,
      Effect.forkScoped,
    )
    yield* Effect.addFinalizer(() => assignment.drain)

    const doing = `cannot join group ${groupId} of topic ${topic}`
    yield* connection.connect(doing, consumer)
    yield* connection.attempt(doing, connection.limits.start, () =>
      consumer.subscribe({ topic, fromBeginning: from === "earliest" }),
    )
    started = consumer
      .run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        // all batches of a fetch are handled at once, before anything can change; the topic may get more partitions
        partitionsConsumedConcurrently: 2 * partitions,
        eachBatch: assignment.eachBatch,
      })
      .catch((cause) => fail(toKafkaError(doing, cause)))
    return yield* Deferred.await(failure)
  }).pipe(Effect.scoped)
