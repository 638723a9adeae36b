/**
 * Reading to the end, without being anybody's consumer: fetches from the leaders of the partitions, in no group.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Service } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import { type Connection, goodbye, READ_COMMITTED } from "./connection.js"
import { fromMessage } from "./consumerRecord.js"
import type { Partition, Response } from "./fetch.js"
import type { Cluster } from "./inside.js"
import { refusal } from "./unreadable.js"

/** What a fetch may bring of a partition, and of all, in bytes. */
const maxBytesPerPartition = 2 ** 20
const maxBytes = 2 ** 24

/** How long a broker may wait for records that it does not have yet, in milliseconds. */
const maxWait = 500

/** The next offset that is wanted of a partition, and where it is read to. */
interface Position {
  next: bigint
  readonly end: bigint
}

/** How far the partitions are read. */
interface Progress {
  readonly positions: ReadonlyMap<number, Position>
  /** How often one of them has moved, and when it did last, in epoch milliseconds. */
  moves: number
  movedAt: number
}

const unread = ({ positions }: Progress): ReadonlyArray<number> =>
  [...positions].flatMap(([partition, { end, next }]) => (next < end ? [partition] : []))

const moveTo = (progress: Progress, partition: number, next: bigint): void => {
  const position = progress.positions.get(partition)
  if (position === undefined || next <= position.next) return
  position.next = next
  progress.moves++
}

/** What is new and wanted of a fetch. */
const take = (topic: string, progress: Progress, { messages, partition }: Partition): ReadonlyArray<ConsumerRecord> => {
  const { end, next } = progress.positions.get(partition) ?? { next: 0n, end: 0n }
  const records = messages
    .filter(({ isControlRecord }) => !isControlRecord)
    .map((message) => fromMessage(topic, partition, message))
    .filter(({ offset }) => offset >= next && offset < end)
  moveTo(progress, partition, BigInt(messages.at(-1)?.offset ?? -1) + 1n)
  return records
}

export const make =
  (connection: Connection): Service["read"] =>
  (topic, partition, options) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const doing = `cannot read topic ${topic}`
        const offsetsOf = connection.admin(doing, (admin) => admin.fetchTopicOffsets(topic))
        const wanted = (yield* offsetsOf).filter((each) => partition === undefined || each.partition === partition)
        if (wanted.length === 0) {
          return yield* new KafkaError({
            reason: "UnknownTopic",
            description: `${doing}: it has no partition ${partition}`,
          })
        }
        const progress: Progress = {
          // of a read_committed reader: what is open at this moment lies behind the end
          positions: new Map(
            wanted.map(({ low, offset, partition }) => [partition, { next: BigInt(low), end: BigInt(offset) }]),
          ),
          moves: 0,
          movedAt: yield* Clock.currentTimeMillis,
        }

        /** Milliseconds until nothing has moved for the start limit. */
        const left = Effect.map(Clock.currentTimeMillis, (now) => progress.movedAt + connection.limits.start - now)

        const attempt = <A>(call: () => Promise<A>) =>
          Effect.flatMap(left, (left) =>
            connection.attempt(doing, Math.max(1, Math.min(left, connection.limits.request)), call),
          )

        const connected: Effect.Effect<Cluster, KafkaError, Scope.Scope> = Effect.gen(function* () {
          const cluster = yield* connection.cluster("once")
          yield* Effect.addFinalizer(() =>
            Effect.ignore(connection.attempt("cannot disconnect", goodbye, () => cluster.disconnect())),
          )
          yield* connection.connect(doing, cluster)
          yield* attempt(() => cluster.addTargetTopic(topic))
          return cluster
        })

        const fetch = (cluster: Cluster) =>
          attempt(async (): Promise<Response> => {
            const [[nodeId, partitions] = ["-1", []]] = Object.entries(
              cluster.findLeaderForPartitions(topic, unread(progress)),
            )
            const broker = await cluster.findBroker({ nodeId })
            return broker.fetch({
              isolationLevel: READ_COMMITTED,
              maxWaitTime: maxWait,
              minBytes: 1,
              maxBytes,
              topics: [
                {
                  topic,
                  partitions: partitions.map((partition) => ({
                    partition,
                    fetchOffset: String(progress.positions.get(partition)?.next),
                    maxBytes: maxBytesPerPartition,
                  })),
                },
              ],
            })
          })

        /** Nothing has moved for the start limit: says where, and why. */
        const stands = (cause: KafkaError) => {
          const [partition = 0] = unread(progress)
          const { end, next } = progress.positions.get(partition) ?? { end: 0n, next: 0n }
          const limit = Duration.format(connection.limits.start)
          return new KafkaError({
            reason: "Unavailable",
            description: `${doing}: partition ${partition} has not moved from offset ${next} of ${end} for ${limit}: ${cause.description}`,
            cause,
          })
        }

        /** Records that were there at the start are gone, by retention or because somebody has trimmed the topic. */
        const skipGone = Effect.map(offsetsOf, (offsets) => {
          for (const { low, partition } of offsets) moveTo(progress, partition, BigInt(low))
          return []
        })

        const records = (cluster: Cluster): Effect.Effect<ReadonlyArray<ConsumerRecord>, KafkaError> =>
          Effect.gen(function* () {
            const before = progress.moves
            const records = yield* Effect.map(fetch(cluster), ({ responses }) =>
              responses.flatMap(({ partitions }) => partitions.flatMap((fetched) => take(topic, progress, fetched))),
            ).pipe(
              Effect.catchIf(
                ({ code }) => code === "OFFSET_OUT_OF_RANGE",
                () => skipGone,
              ),
            )
            if (progress.moves > before) progress.movedAt = yield* Clock.currentTimeMillis
            else if ((yield* left) <= 0) {
              return yield* new KafkaError({ reason: "Unavailable", description: "the leader brings no more records" })
            }
            const lost = records.find(({ unreadable }) => unreadable !== undefined)
            return lost?.unreadable === undefined || options?.unreadable === "deliver"
              ? records
              : yield* refusal(doing, lost, lost.unreadable)
          })

        const chunks = (cluster: Cluster) =>
          Stream.repeatEffectChunkOption(
            Effect.suspend(() =>
              unread(progress).length === 0
                ? Effect.fail(Option.none())
                : Effect.mapBoth(records(cluster), { onFailure: Option.some, onSuccess: Chunk.unsafeFromArray }),
            ),
          )

        return Stream.unwrapScoped(Effect.map(connected, chunks)).pipe(
          Stream.retry(
            Schedule.spaced("200 millis").pipe(
              Schedule.whileInputEffect((error: KafkaError) =>
                Effect.map(left, (left) => error.reason === "Unavailable" && left > 0),
              ),
            ),
          ),
          Stream.mapError((error) => (error.reason === "Unavailable" ? stands(error) : error)),
        )
      }),
    )
