/**
 * What a member of a group owns and holds: the partitions that are assigned to it, and one batch at most of each.
 *
 * kafkajs fetches from a broker again only when every handler of the last fetch there has settled. So a handler settles at once,
 * and the batch is held here: a partition is fetched again when its batch is settled, whatever the others do (`consumerFetch`).
 *
 * kafkajs knows nothing of that. Whenever it is about to join, asked by the coordinator or on its own (a leader has moved, a topic
 * has grown), or to leave because it gives up, the request waits here until nothing is held: no further records are claimed, and
 * what is claimed is committed or released. That is the drain before a rebalance.
 *
 * Errors that kafkajs meets between two joins use up a retry budget, except those by which the coordinator asks for a join. We
 * throw only these.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Batch, EachBatchPayload } from "kafkajs"
import type { KafkaError } from "../../KafkaError.js"
import type { PartitionBatch } from "../../PartitionBatch.js"
import * as ConsumerBatch from "../consumerBatch.js"
import * as Progress from "../consumerProgress.js"
import * as Commit from "./consumerCommit.js"
import * as Heartbeat from "./consumerHeartbeat.js"
import { type Membership, movedOn } from "./consumerMembership.js"
import * as ConsumerRead from "./consumerRead.js"
import * as Signal from "./signal.js"

export interface Settings {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  readonly membership: Membership
  readonly offer: (batch: PartitionBatch) => void
  /** The batch of the partition is settled; if nobody has taken it yet, nobody shall. */
  readonly withdraw: (partition: number) => void
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

/** What kafkajs may do at the moment. */
export type Standing =
  | { readonly _tag: "Reading" }
  /** Nothing, until it has joined or is stopped. */
  | { readonly _tag: "Waiting" }
  /** It has to join, and does so when it is given this error. */
  | { readonly _tag: "MustJoin"; readonly error: unknown }

export interface Assignment {
  /** The handler for kafkajs. Never waits for the work on a batch. */
  readonly eachBatch: (payload: EachBatchPayload) => Promise<void>
  readonly standing: () => Standing
  readonly isHeld: (partition: number) => boolean
  /** While batches are held the heartbeats are ours as well. */
  readonly isBusy: () => boolean
  /** Something of the above has changed. */
  readonly changed: Signal.Signal
  /** kafkajs may read no longer. */
  readonly halted: Signal.Signal
  /** Sends a request to join or leave the group when nothing is held any more. */
  readonly whenDrained: <A>(send: () => Promise<A>) => Promise<A>
  readonly joined: (partitions: ReadonlyArray<number>) => void
  /** Reading goes on there, after a gap. */
  readonly moveTo: (partition: number, offset: bigint) => void
  /** Sends a heartbeat if one is due and batches are held. To be run a few times in each interval. */
  readonly beat: Effect.Effect<void>
  /** Takes no further batches, and waits for the work on what is claimed. */
  readonly drain: Effect.Effect<void>
}

interface Rebalance {
  /** kafkajs's, which says so. */
  readonly error: unknown
  readonly since: number
}

export const make = (settings: Settings): Effect.Effect<Assignment> =>
  Effect.map(Effect.clock, (clock) => {
    const { fail, groupId, membership, rebalanceTimeout, sessionTimeout, topic } = settings
    const now = () => clock.unsafeCurrentTimeMillis()
    const changed = Signal.make()
    const halted = Signal.make()

    let assigned: ReadonlySet<number> = new Set()
    const held = new Map<number, Progress.Progress>()
    /** Partitions of which no member can have worked on more than what is committed. */
    const clean = new Set<number>()
    /** Where partitions are read on, once this member has committed something there in this generation. */
    const positions = new Map<number, bigint>()
    /** Set from the moment a join is needed until it has succeeded. */
    let rebalance: Rebalance | undefined
    /** Requests to join or leave that wait for the drain, or for their answer. */
    let departures = 0
    let isEnding = false
    /** kafkajs's, the same one for all batches; it sends nothing before the interval is over. */
    let kafkajsHeartbeat = (): Promise<void> => Promise.resolve()

    const halt = () => {
      for (const progress of [...held.values()]) progress.close()
      halted.notify()
      changed.notify()
    }

    const mustJoin = (error: unknown) => {
      rebalance = { error, since: rebalance?.since ?? now() }
      halt()
    }

    /** kafkajs does not notice by itself. */
    const joinIfMoved = () => {
      if (membership.hasMoved() && rebalance === undefined) mustJoin(movedOn())
    }

    const abandonAll = () => {
      for (const progress of [...held.values()]) {
        progress.lose()
        progress.release()
      }
    }

    const drained = async () => {
      while (held.size > 0) await changed.wait(1_000)
    }

    const heartbeat = Heartbeat.make({
      groupId,
      sessionTimeout,
      membership,
      now,
      viaKafkajs: () => kafkajsHeartbeat(),
      onAnswer: joinIfMoved,
      mustJoin,
      isEnding: () => isEnding,
      fail,
    })

    const commit = Commit.make({
      topic,
      sessionTimeout,
      membership,
      now,
      onAnswer: joinIfMoved,
      mustJoin,
      fail,
    })

    const standing = (): Standing => {
      if (isEnding || departures > 0 || membership.isJoining()) return { _tag: "Waiting" }
      return rebalance === undefined ? { _tag: "Reading" } : { _tag: "MustJoin", error: rebalance.error }
    }

    const settled = (partition: number, isClean: boolean) => {
      if (isClean) clean.add(partition)
      held.delete(partition)
      settings.withdraw(partition)
      changed.notify()
    }

    const hold = (payload: EachBatchPayload) => {
      const { batch, commitOffsetsIfNecessary, resolveOffset } = payload
      const { length } = batch.messages
      const { partition } = batch
      const wasClean = clean.delete(partition)
      const progress = Progress.make(length, () =>
        settled(partition, progress.isClean() && (wasClean || progress.committed() === length)),
      )
      const commitAt = (offset: bigint) =>
        Effect.map(
          commit({
            partition,
            offset,
            isHeld: progress.isHeld,
            viaKafkajs: (topics) => commitOffsetsIfNecessary({ topics }),
          }),
          (isCommitted) => {
            if (isCommitted && progress.isHeld()) {
              positions.set(partition, offset)
              resolveOffset((offset - 1n).toString())
            }
            return isCommitted
          },
        )
      if (held.size === 0) heartbeat.restart()
      held.set(partition, progress)
      settings.offer(ConsumerBatch.make({ ...ConsumerRead.make(batch), progress, first: !wasClean, commit: commitAt }))
    }

    /** A fetch that was under way while kafkajs joined may bring what another member owns by now. */
    const isOurs = (payload: EachBatchPayload) =>
      standing()._tag === "Reading" &&
      payload.isRunning() &&
      !payload.isStale() &&
      assigned.has(payload.batch.partition) &&
      !held.has(payload.batch.partition)

    /** Such as by one of two brokers, when a partition moves from one to the other. */
    const isReadAgain = ({ messages, partition }: Batch) => {
      const position = positions.get(partition)
      return position !== undefined && BigInt(messages[0]?.offset ?? position) < position
    }

    const eachBatch = async (payload: EachBatchPayload) => {
      const { batch, resolveOffset } = payload
      kafkajsHeartbeat = payload.heartbeat
      const joins = membership.joins()
      if (isOurs(payload) && !membership.isConfirmed()) await heartbeat.confirm()
      // what was read in an older generation is read again, by whoever owns the partition
      if (!isOurs(payload) || membership.joins() !== joins || !membership.isConfirmed()) return
      if (isReadAgain(batch)) resolveOffset(((positions.get(batch.partition) ?? 0n) - 1n).toString())
      else hold(payload)
    }

    const abandonLate = Effect.sync(() => {
      if (rebalance !== undefined && now() - rebalance.since > Duration.toMillis(rebalanceTimeout)) abandonAll()
    })

    const warnOfLate = Effect.annotateLogs(
      Effect.logWarning("records were claimed and neither committed nor released in time"),
      { topic, groupId, rebalanceTimeout: Duration.format(rebalanceTimeout) },
    )

    return {
      eachBatch,
      standing,
      isHeld: (partition) => held.has(partition),
      isBusy: () => held.size > 0,
      changed,
      halted,
      whenDrained: async (send) => {
        departures += 1
        mustJoin(rebalance?.error ?? movedOn())
        try {
          await drained()
          return await send()
        } finally {
          departures -= 1
        }
      },
      joined: (partitions) => {
        const kept = new Set(membership.joined() ? partitions : [])
        for (const partition of clean) if (!kept.has(partition)) clean.delete(partition)
        // kafkajs asks the coordinator, which has all that we have committed
        positions.clear()
        assigned = new Set(partitions)
        rebalance = undefined
        heartbeat.restart()
        changed.notify()
      },
      moveTo: (partition, offset) => void positions.set(partition, offset),
      beat: Effect.when(Effect.zipRight(heartbeat.beat, abandonLate), () => held.size > 0),
      drain: Effect.suspend(() => {
        isEnding = true
        halt()
        return Effect.promise(drained)
      }).pipe(
        Effect.interruptible,
        Effect.timeoutOption(rebalanceTimeout),
        Effect.flatMap((done) =>
          Option.isSome(done) ? Effect.void : Effect.zipRight(warnOfLate, Effect.sync(abandonAll)),
        ),
      ),
    }
  })
