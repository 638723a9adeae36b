/**
 * A member of a consumer group in memory. It is woken by whatever changes, and looks by itself once in each heartbeat interval.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Service } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { ConsumerRecord, TopicPartition } from "../../KafkaRecord.js"
import * as ConsumerBatch from "../consumerBatch.js"
import { type ConsumerSettings, checkOptions } from "../consumerOptions.js"
import * as Progress from "../consumerProgress.js"
import * as Gap from "../gap.js"
import * as Inbox from "../inbox.js"
import * as Group from "./group.js"
import { endOf, type Partition, type Read, read, stableEnd } from "./log.js"

/** What a member asks of its cluster. */
export interface Cluster {
  readonly request: <A>(handle: (now: number) => A | KafkaError) => Effect.Effect<A, KafkaError>
  readonly partitionsOf: (topic: string) => Effect.Effect<number, KafkaError>
  readonly partitionOf: (at: TopicPartition) => Partition | KafkaError
  readonly groupOf: (groupId: string) => Group.Group
}

interface Membership {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly group: Group.Group
  readonly member: Group.Member
  readonly inbox: Inbox.Inbox
}

/** Records of a batch, at most. */
const maxRecords = 1000

const hold = ({ group, inbox, member }: Membership, log: Partition, { next, records }: Read): void => {
  const { partition, topic } = log
  const wasClean = member.clean.delete(partition)
  const progress = Progress.make(records.length, () => {
    if (progress.isClean() && (wasClean || progress.committed() === records.length)) member.clean.add(partition)
    member.held.delete(partition)
    inbox.withdraw(partition)
    member.wake()
  })
  member.held.set(partition, progress)
  const at = (index: number) => records[index] as ConsumerRecord
  inbox.offer(
    ConsumerBatch.make({
      topic,
      partition,
      length: records.length,
      at,
      valueAt: (index) => Option.getOrNull(at(index).value),
      unreadableAt: () => undefined,
      nextOffset: (until) => records[until]?.offset ?? BigInt(next),
      hasMore: endOf(log) > next,
      first: !wasClean,
      progress,
      commit: (offset) =>
        Effect.sync(() => {
          Group.commit(group, topic, partition, offset)
          return true
        }),
    }),
  )
}

const positionIn = ({ group, member, settings }: Membership, log: Partition): number => {
  const offset = group.committed.get(log.topic)?.get(log.partition)
  if (offset !== undefined) return Number(offset)
  const start = member.starts.get(log.partition) ?? (settings.from === "earliest" ? log.start : stableEnd(log))
  member.starts.set(log.partition, start)
  return start
}

/** Reads a partition on. Returns a gap if there is one. */
const readOn = (membership: Membership, log: Partition): Gap.Gap | undefined => {
  const { group, settings } = membership
  const range = { start: BigInt(log.start), end: BigInt(endOf(log)) }
  const gap = Gap.find(log.partition, BigInt(positionIn(membership, log)), range, settings.from)
  if (gap !== undefined && settings.onGap === "fail") return gap
  if (gap !== undefined) Group.commit(group, log.topic, log.partition, gap.next)
  const found = read(log, positionIn(membership, log), maxRecords)
  if (found.records.length > 0) hold(membership, log, found)
  return gap
}

/** Takes part in a rebalance, or reads on wherever nothing is held. Returns the gaps that it met. */
const step = (membership: Membership, now: number): ReadonlyArray<Gap.Gap> => {
  const { cluster, group, member, settings } = membership
  if (group.rebalancingSince !== undefined) {
    const isLate = now - group.rebalancingSince >= Duration.toMillis(settings.rebalanceTimeout)
    if (isLate) Group.abandon(member)
    Group.join(group, member)
  }
  if (group.rebalancingSince !== undefined) return []
  return [...member.assigned].flatMap((partition) => {
    if (member.held.has(partition)) return []
    const log = cluster.partitionOf({ topic: settings.topic, partition })
    const gap = log instanceof KafkaError ? undefined : readOn(membership, log)
    return gap === undefined ? [] : [gap]
  })
}

const tell = (settings: ConsumerSettings) => (gap: Gap.Gap) =>
  Effect.zipRight(
    Gap.report(gap, settings),
    settings.onGap === "fail" ? Effect.fail(Gap.failure(gap, settings)) : Effect.void,
  )

export const make =
  (cluster: Cluster): Service["consume"] =>
  (options) =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const settings = yield* checkOptions(options)
        const { groupId, heartbeatInterval, rebalanceTimeout, topic } = settings
        const partitions = yield* cluster.partitionsOf(topic)
        const inbox = yield* Inbox.make
        const wakes = yield* Queue.dropping<void>(1)
        const group = cluster.groupOf(groupId)
        const member = Group.makeMember({ topic, partitions, wake: () => void wakes.unsafeOffer(undefined) })
        const membership: Membership = { cluster, settings, group, member, inbox }

        const drained = Effect.suspend(() => {
          Group.close(member)
          return Effect.iterate(member.held, {
            while: (held) => held.size > 0,
            body: (held) => Effect.as(wakes.take, held),
          })
        }).pipe(Effect.interruptible, Effect.timeoutOption(rebalanceTimeout))

        const leave = cluster.request((now) => {
          Group.abandon(member)
          Group.remove(group, member, now)
        })

        yield* Effect.acquireRelease(
          cluster.request((now) => Group.add(group, member, now)),
          () => Effect.ensuring(drained, Effect.ignore(leave)),
        )
        yield* cluster
          .request((now) => step(membership, now))
          .pipe(
            Effect.flatMap((gaps) => Effect.forEach(gaps, tell(settings), { discard: true })),
            Effect.zipRight(Effect.timeoutOption(wakes.take, heartbeatInterval)),
            Effect.forever,
            Effect.catchAllCause((cause) => inbox.fail(cause)),
            Effect.interruptible,
            Effect.forkScoped,
          )
        return inbox.stream
      }),
    )
