/**
 * One member of a consumer group: one kafkajs consumer, from its connection to its end. It is never restarted: one that crashed
 * may be dead for good, so its successor is a new one.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Broker, ConsumerCommitOffsetsEvent, ConsumerHeartbeatEvent } from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import type { PartitionBatch } from "../../PartitionBatch.js"
import { type Connection, PartitionAssigners } from "./connection.js"
import * as Assignment from "./consumerAssignment.js"
import * as Membership from "./consumerMembership.js"
import { toKafkaError } from "./errors.js"

export interface Settings {
  readonly topic: string
  readonly groupId: string
  readonly from: "earliest" | "latest"
  readonly sessionTimeout: Duration.Duration
  readonly heartbeatInterval: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  /** Of the topic. */
  readonly partitions: number
}

/** A read waits this long for new records, and the end of the stream for the read. */
const maxWait = 500

const stopTimeout = 5000

/**
 * How much a read may bring, in bytes. Not little, because kafkajs reads on from a broker only when all that it has read there
 * is done: those that are done wait for the slowest. With room for all partitions, as far as memory allows: it asks for them in an order
 * of chance, so none starves.
 */
const readSize = (partitions: number) => {
  const maxBytesPerPartition = Math.max(2 ** 18, Math.min(2 ** 21, Math.floor(2 ** 24 / partitions)))
  return { maxBytesPerPartition, maxBytes: Math.min(maxBytesPerPartition * partitions, 2 ** 26) }
}

/** Runs until it fails, or until it is interrupted; then what is claimed may still be committed. */
export const run = (
  connection: Connection,
  settings: Settings,
  offer: (batch: PartitionBatch) => void,
  onJoined: () => void,
): Effect.Effect<never, KafkaError> =>
  Effect.gen(function* () {
    const { from, groupId, heartbeatInterval, partitions, rebalanceTimeout, sessionTimeout, topic } = settings
    const clock = yield* Effect.clock
    const failure = yield* Deferred.make<never, KafkaError>()
    const fail = (error: KafkaError) => Deferred.unsafeDone(failure, Effect.fail(error))

    const kafka = yield* connection.open("steady")
    let findCoordinator = (): Promise<Membership.Coordinator> => Promise.reject(new Error("no member yet"))
    const membership = Membership.make({
      groupId,
      sessionTimeout,
      findCoordinator: () => findCoordinator(),
      now: () => clock.unsafeCurrentTimeMillis(),
    })
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: Duration.toMillis(sessionTimeout),
      heartbeatInterval: Duration.toMillis(heartbeatInterval),
      rebalanceTimeout: Duration.toMillis(rebalanceTimeout),
      ...readSize(partitions),
      maxWaitTimeInMs: maxWait,
      allowAutoTopicCreation: false,
      // the default, which is given what finds the coordinator
      partitionAssigners: [
        (config) => {
          const { cluster } = config
          const find = cluster.findGroupCoordinator.bind(cluster)
          findCoordinator = () => find({ groupId }) as Promise<Broker & Membership.Coordinator>
          cluster.findGroupCoordinator = async () =>
            membership.watch(await findCoordinator()) as Broker & Membership.Coordinator
          // in one order: older brokers answer in any, and a partition would change its member without a reason
          const inOrder = (name: string) =>
            [...cluster.findTopicPartitionMetadata(name)].sort((one, other) => one.partitionId - other.partitionId)
          return PartitionAssigners.roundRobin({
            ...config,
            cluster: Object.create(cluster, { findTopicPartitionMetadata: { value: inOrder } }),
          })
        },
      ],
      retry: { ...connection.retry("steady"), restartOnFailure: () => Promise.resolve(false) },
    })
    const assignment = yield* Assignment.make({
      topic,
      groupId,
      sessionTimeout,
      rebalanceTimeout,
      membership,
      offer,
      fail,
    })

    /** When a broker answered for the last time. */
    let heardAt = clock.unsafeCurrentTimeMillis()
    consumer.on(consumer.events.REQUEST, () => {
      heardAt = clock.unsafeCurrentTimeMillis()
    })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      assignment.joined(payload.memberAssignment[topic] ?? [])
      onJoined()
    })
    const confirm = ({ payload }: ConsumerHeartbeatEvent | ConsumerCommitOffsetsEvent) =>
      membership.confirmed(payload.groupGenerationId)
    consumer.on(consumer.events.HEARTBEAT, confirm)
    consumer.on(consumer.events.COMMIT_OFFSETS, confirm)
    consumer.on(consumer.events.CRASH, ({ payload }) =>
      fail(toKafkaError(`cannot consume topic ${topic} as group ${groupId}`, payload.error)),
    )
    // kafkajs goes on with the connection, and after a cut in the middle of an answer it cannot read from it any more
    consumer.on(consumer.events.REQUEST_TIMEOUT, ({ payload }) => {
      // it waits on the connection behind a request to join, which may last as long as a rebalance
      if (membership.isJoining() && !["Fetch", "JoinGroup", "SyncGroup"].includes(payload.apiName)) return
      fail(
        new KafkaError({
          reason: "Unavailable",
          description: `cannot consume topic ${topic} as group ${groupId}: ${payload.broker} does not answer ${payload.apiName}`,
        }),
      )
    })

    /** Resolves when the first join has succeeded or failed; before that `stop` would do nothing. */
    let started: Promise<void> = Promise.resolve()
    yield* Effect.addFinalizer(() =>
      // what does not end in time loses its sockets when the scope closes
      connection
        .attempt(`cannot leave group ${groupId}`, stopTimeout, async () => {
          await started
          await consumer.stop()
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
        // for each partition, and for those that the topic may get
        partitionsConsumedConcurrently: 2 * partitions,
        eachBatch: assignment.eachBatch,
      })
      .catch((cause) => fail(toKafkaError(doing, cause)))
    return yield* Deferred.await(failure)
  }).pipe(Effect.scoped)
