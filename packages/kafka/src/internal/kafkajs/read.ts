/**
 * Reading to the end, without being anybody's consumer.
 *
 * kafkajs reads only as a member of a group, so each read has a group of its own, which nobody else joins, commits nothing
 * and is deleted afterwards.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import type { NoSuchElementException } from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Batch, Kafka, PartitionAssigner } from "kafkajs"
import type { Service } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import { AssignerProtocol, type Connection, goodbye } from "./connection.js"
import { fromMessage } from "./consumerRecord.js"
import { toKafkaError } from "./errors.js"

/** The next offset that is wanted of each partition, and where it is read to. */
type Positions = Map<number, { next: bigint; readonly end: bigint }>

const assigning =
  (topic: string, partitions: ReadonlyArray<number>): PartitionAssigner =>
  () => ({
    name: "read",
    version: 0,
    assign: async ({ members }) =>
      members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment: { [topic]: [...partitions] },
          userData: Buffer.alloc(0),
        }),
      })),
    protocol: ({ topics }) => ({
      name: "read",
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
    }),
  })

const heartbeatInterval = 3000

export const make =
  (connection: Connection): Service["read"] =>
  (topic, partition) =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const doing = `cannot read topic ${topic}`
        const offsets = yield* connection.admin(doing, (admin) => admin.fetchTopicOffsets(topic))
        const wanted = offsets.filter((each) => partition === undefined || each.partition === partition)
        if (wanted.length === 0) {
          return yield* new KafkaError({
            reason: "UnknownTopic",
            description: `${doing}: it has no partition ${partition}`,
          })
        }
        // of a read_committed reader: what is open at this moment lies behind the end
        const positions: Positions = new Map(
          wanted
            .filter(({ low, offset }) => BigInt(low) < BigInt(offset))
            .map(({ low, offset, partition }) => [partition, { next: BigInt(low), end: BigInt(offset) }]),
        )
        if (positions.size === 0) return Stream.empty
        const run = Runtime.runPromise(yield* Effect.runtime())
        const mailbox = yield* Mailbox.make<Chunk.Chunk<ConsumerRecord>, KafkaError>(1)
        let moves = 0
        /** Why the last member was lost, while nothing has moved since. */
        let lost: KafkaError | undefined

        const moveTo = (partition: number, next: bigint) => {
          const position = positions.get(partition)
          if (position === undefined || next <= position.next) return
          position.next = next
          moves++
          lost = undefined
        }

        /** What is new of a batch: a member that had to join again may be given some of it twice. */
        const take = ({ messages, partition }: Batch): Chunk.Chunk<ConsumerRecord> => {
          const position = positions.get(partition)
          if (position === undefined) return Chunk.empty()
          const { end, next } = position
          const records = messages
            .map((message) => fromMessage(topic, partition, message))
            .filter(({ offset }) => offset >= next && offset < end)
          moveTo(partition, (records.at(-1)?.offset ?? -1n) + 1n)
          return Chunk.unsafeFromArray(records)
        }

        const isDone = () => [...positions.values()].every(({ end, next }) => next >= end)

        const consumerOf = (kafka: Kafka, groupId: string) =>
          kafka.consumer({
            groupId,
            allowAutoTopicCreation: false,
            heartbeatInterval,
            maxWaitTimeInMs: 500,
            partitionAssigners: [assigning(topic, [...positions.keys()])],
            retry: { ...connection.retry("steady"), restartOnFailure: async () => false },
          })

        /** A member, from joining until all is read. */
        const session: Effect.Effect<void, KafkaError, Scope.Scope> = Effect.gen(function* () {
          if (isDone()) return // the member before this one was lost after all that it had read
          const kafka = yield* connection.open("steady")
          const groupId = `${connection.clientId}-read-${randomUUID()}`
          const consumer = consumerOf(kafka, groupId)
          const done = yield* Deferred.make<void, KafkaError>()
          yield* Effect.addFinalizer(() =>
            connection
              .attempt(doing, goodbye, async () => {
                await consumer.disconnect()
                const admin = kafka.admin()
                await admin.connect()
                await admin.deleteGroups([groupId])
                await admin.disconnect()
              })
              .pipe(Effect.ignore),
          )
          yield* connection.connect(doing, consumer)
          yield* connection.attempt(doing, connection.limits.start, async () => {
            consumer.on(consumer.events.CRASH, ({ payload }) => {
              Deferred.unsafeDone(done, Effect.fail(toKafkaError(doing, payload.error)))
            })
            consumer.on(consumer.events.GROUP_JOIN, () => {
              for (const [partition, { next }] of positions) consumer.seek({ topic, partition, offset: String(next) })
            })
            // also of batches that hold nothing for a reader: aborted records, and the marks of transactions
            consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
              moveTo(payload.partition, BigInt(payload.lastOffset) + 1n)
              if (isDone()) Deferred.unsafeDone(done, Effect.void)
            })
            await consumer.subscribe({ topic, fromBeginning: true })
            await consumer.run({
              autoCommit: false,
              eachBatch: async ({ batch, heartbeat }) => {
                const records = take(batch)
                if (Chunk.isEmpty(records)) return
                const beat = Effect.ignore(Effect.tryPromise(heartbeat)) // expelled: the next member goes on from here
                await run(
                  Effect.raceFirst(mailbox.offer(records), Effect.repeat(beat, Schedule.spaced(heartbeatInterval))),
                )
              },
            })
          })
          yield* Deferred.await(done)
        })

        yield* Effect.scoped(session).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              lost = error
            }),
          ),
          Effect.retry({ schedule: Schedule.spaced("200 millis"), while: (error) => error.reason === "Unavailable" }),
          Effect.matchCauseEffect({ onFailure: (cause) => mailbox.failCause(cause), onSuccess: () => mailbox.end }),
          Effect.interruptible,
          Effect.forkScoped,
        )
        // before the member leaves: it waits for its handler, which waits here
        yield* Effect.addFinalizer(() => mailbox.shutdown)

        const limit = connection.limits.start
        const stands = () => {
          if (lost !== undefined) return lost
          const [partition, { end, next }] = [...positions].find(([, { end, next }]) => next < end) ?? [
            0,
            { end: 0n, next: 0n },
          ]
          return new KafkaError({
            reason: "Unavailable",
            description: `${doing}: partition ${partition} has not moved from offset ${next} of ${end} for ${Duration.format(limit)}; in a compacted topic that can be an empty batch, which kafkajs cannot pass`,
          })
        }
        const next = (seen: number): Effect.Effect<Chunk.Chunk<ConsumerRecord>, KafkaError | NoSuchElementException> =>
          Effect.flatMap(
            Effect.timeoutOption(Effect.interruptible(mailbox.take), limit),
            Option.match({
              onSome: Effect.succeed,
              onNone: () => (moves === seen ? stands() : next(moves)),
            }),
          )
        return Stream.repeatEffectChunkOption(
          Effect.mapError(
            Effect.suspend(() => next(moves)),
            (error) => (error._tag === "KafkaError" ? Option.some(error) : Option.none()),
          ),
        )
      }),
    )
