/**
 * What a member of a group has in hand: the partitions that are assigned to it, and the batches that are being worked on.
 *
 * Three facts about kafkajs carry it. It joins again only when every running `eachBatch` has settled, so the handler of a
 * batch stays pending until the work is committed or given up: that is the drain before a rebalance and the back-pressure in
 * one. Errors thrown from `eachBatch` use up a budget that is never given back, except those by which the coordinator asks
 * for a new join: these, unchanged, and nothing else is thrown. And it sends no heartbeats while a handler runs.
 */
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { EachBatchPayload, KafkaMessage, TopicOffsets } from "kafkajs"
import type { PartitionBatch } from "../../Consumer.js"
import { KafkaError } from "../../KafkaError.js"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import * as lock from "../lock.js"
import * as Progress from "./consumerProgress.js"
import { fromMessage } from "./consumerRecord.js"
import { toKafkaError } from "./errors.js"
import { within } from "./within.js"

export interface Settings {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  /** Whichever broker is the group's coordinator now. */
  readonly coordinator: Coordinator
  readonly offer: (batch: PartitionBatch) => void
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

/**
 * kafkajs asks the coordinator that it has joined, also when that is gone; the one that takes over knows the members, takes their
 * commits, and expels those of whom it hears nothing.
 */
export interface Coordinator {
  readonly commit: (membership: Membership, topics: TopicOffsets[]) => Promise<unknown>
  readonly heartbeat: (membership: Membership) => Promise<unknown>
}

/** By what the coordinator knows a member. */
export interface Membership {
  readonly memberId: string
  readonly generation: number
}

export interface Assignment {
  /** The handler for kafkajs. */
  readonly eachBatch: (payload: EachBatchPayload) => Promise<void>
  /** A request to join the group was answered. */
  readonly askedToJoin: () => void
  readonly joined: (memberId: string, partitions: ReadonlyArray<number>) => void
  /** kafkajs tells the generation not when it has joined, but with what it does as a member. */
  readonly actedAs: (membership: Membership) => void
  /** While batches are in hand kafkajs leaves the heartbeats to us. */
  readonly isBusy: () => boolean
  /** Sends a heartbeat when one is due and batches are in hand. To be run a few times in each interval. */
  readonly beat: Effect.Effect<void>
  /** Takes no further batches, and waits for the work on what is claimed. */
  readonly drain: Effect.Effect<void>
}

interface InHand {
  readonly partition: number
  readonly progress: Progress.Progress
}

// what a coordinator answers, by the `type` of kafkajs's error

/** It does not know the member. */
const expelled = ["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"]

const NOT_COORDINATOR = "NOT_COORDINATOR_FOR_GROUP"

/** A new join is needed. */
const newJoin: ReadonlyArray<unknown> = [...expelled, "REBALANCE_IN_PROGRESS", NOT_COORDINATOR]

const typeOf = (cause: unknown): unknown => (cause as { readonly type?: unknown } | undefined)?.type

/** Between attempts to commit, in milliseconds: the first, doubled each time, and the longest. */
const PAUSE = 100
const MAX_PAUSE = 1_000

export const make = (settings: Settings): Effect.Effect<Assignment> =>
  Effect.map(Effect.clock, (clock) => {
    const { fail, groupId, topic } = settings
    const now = () => clock.unsafeCurrentTimeMillis()
    const sessionMillis = Duration.toMillis(settings.sessionTimeout)
    const rebalanceMillis = Duration.toMillis(settings.rebalanceTimeout)

    const inHand = new Set<InHand>()
    let assigned: ReadonlySet<number> = new Set()
    /** Partitions of which nobody can have worked on more than what is committed. */
    const clean = new Set<number>()
    let memberId: string | undefined
    /** Unknown in a new generation until the first heartbeat or commit. */
    let membership: Membership | undefined
    let introduced: Promise<void> | undefined
    let joinRequests = 0
    /** That a new join is needed, since when, and kafkajs's error that says so. */
    let rebalance: { readonly error: unknown; readonly since: number } | undefined
    /** kafkajs's, the same one for all batches; it sends nothing before the interval is over. */
    let heartbeat = (): Promise<void> => Promise.resolve()
    let heartbeatAt = 0
    /** The coordinator that kafkajs has joined did not answer, or is not the coordinator any more. */
    let hasMoved = false
    let isEnding = false
    let onDrained = () => {}
    const drained = new Promise<void>((resolve) => {
      onDrained = resolve
    })

    const staying = `cannot stay a member of group ${groupId}`

    const unanswered = (doing: string) =>
      new KafkaError({
        reason: "Unavailable",
        description: `${doing}: no broker has answered for ${Duration.format(settings.sessionTimeout)}`,
      })

    const mustJoin = (error: unknown) => {
      rebalance = { error, since: rebalance?.since ?? now() }
      for (const { progress } of inHand) progress.close()
    }

    /**
     * Commits what is committed already, for kafkajs to tell the generation before work begins: without it nothing can be
     * committed where the coordinator has moved to.
     */
    const introduce = ({ batch, commitOffsetsIfNecessary }: EachBatchPayload): Promise<void> => {
      const { partition } = batch
      const offset = batch.firstOffset()
      if (offset === null) return Promise.resolve()
      return commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] }).catch((cause) => {
        if (newJoin.includes(typeOf(cause))) throw cause
      })
    }

    const commit = (payload: EachBatchPayload, progress: Progress.Progress, offset: bigint): Effect.Effect<boolean> => {
      const { partition } = payload.batch
      const topics = [{ topic, partitions: [{ partition, offset: offset.toString() }] }]
      const doing = `cannot commit partition ${partition} of topic ${topic}`
      const asError = (cause: unknown) => toKafkaError(doing, cause)
      // when nobody has answered for that long, the session is over
      const ends = now() + sessionMillis
      let isFirst = true
      const send = async () => {
        if (isFirst || membership === undefined) await payload.commitOffsetsIfNecessary({ topics })
        else await settings.coordinator.commit(membership, topics)
      }
      const mayBeSentAgain = (cause: unknown) => {
        const type = typeOf(cause)
        if (!progress.isHeld() || expelled.includes(`${type}`) || now() >= ends) return false
        if (type === NOT_COORDINATOR) return membership !== undefined
        return type === "REBALANCE_IN_PROGRESS" || asError(cause).isRetryable
      }
      const attempt = (pause: number): Effect.Effect<boolean> =>
        Effect.matchEffect(
          within(ends - now(), send, () => unanswered(doing)),
          {
            onSuccess: () => Effect.succeed(true),
            onFailure: (cause) => {
              isFirst = false
              const needsJoin = newJoin.includes(typeOf(cause))
              // a rebalance alone is refused only for a moment, while the members are told their partitions
              if (progress.isHeld() && needsJoin && typeOf(cause) !== "REBALANCE_IN_PROGRESS") mustJoin(cause)
              if (mayBeSentAgain(cause)) {
                return Effect.flatMap(Effect.sleep(pause), () => attempt(Math.min(2 * pause, MAX_PAUSE)))
              }
              const error = asError(cause)
              if (progress.isHeld() && !needsJoin && !error.isRetryable) fail(error)
              return Effect.succeed(false)
            },
          },
        )
      return Effect.interruptible(attempt(PAUSE))
    }

    const abandonAll = () => {
      for (const { progress } of inHand) {
        progress.lose()
        progress.release()
      }
    }

    const open = (payload: EachBatchPayload): Promise<void> =>
      new Promise((resolve) => {
        const { batch } = payload
        const { messages, partition } = batch
        const { length } = messages
        const made: Array<ConsumerRecord | undefined> = []
        const at = (index: number) => {
          made[index] ??= fromMessage(topic, partition, messages[index] as KafkaMessage)
          return made[index]
        }
        // behind the last record, which may be followed by the end of its transaction
        const end = 1n + BigInt(batch.lastOffset())
        const wasClean = clean.delete(partition)
        const progress = Progress.make(length, () => {
          if (progress.isClean() && (wasClean || progress.committed() === length)) clean.add(partition)
          inHand.delete(held)
          if (isEnding && inHand.size === 0) onDrained()
          resolve()
        })
        const held: InHand = { partition, progress }
        const inTurn = lock.make()

        const commitUntil = (until: number): Effect.Effect<boolean> => {
          if (until <= progress.committed()) return Effect.succeed(true)
          const following = messages[until]
          const next = following === undefined ? end : BigInt(following.offset)
          return Effect.map(
            progress.isHeld() ? commit(payload, progress, next) : Effect.succeed(false),
            (isCommitted) => {
              if (!isCommitted) progress.lose()
              // from where kafkajs reads on
              else if (progress.isHeld()) payload.resolveOffset((next - 1n).toString())
              progress.handBack(until, isCommitted)
              return isCommitted
            },
          )
        }

        if (inHand.size === 0) heartbeatAt = now()
        inHand.add(held)
        settings.offer({
          topic,
          partition,
          length,
          at,
          valueAt: (index) => (messages[index] as KafkaMessage).value,
          get records() {
            return Chunk.makeBy(length, at)
          },
          first: !wasClean,
          hasMore: BigInt(batch.highWatermark) > end,
          claim: progress.claim,
          commit: (until) =>
            Effect.suspend(() => commitUntil(Math.min(until, length))).pipe(inTurn, Effect.uninterruptible),
          release: Effect.sync(progress.release),
        })
      })

    const throwRebalance = () => {
      if (rebalance !== undefined) throw rebalance.error
    }

    const sendHeartbeat = () =>
      hasMoved && membership !== undefined ? settings.coordinator.heartbeat(membership) : heartbeat()

    const beat = within<unknown>(sessionMillis, sendHeartbeat, () => unanswered(staying)).pipe(
      Effect.match({
        onSuccess: () => {
          heartbeatAt = now()
        },
        onFailure: (cause) => {
          if (newJoin.includes(typeOf(cause))) {
            if (typeOf(cause) === NOT_COORDINATOR) hasMoved = true
            heartbeatAt = now()
            mustJoin(cause)
          } else {
            hasMoved = true
            const error = toKafkaError(staying, cause)
            if (!error.isRetryable || now() - heartbeatAt > sessionMillis) fail(error)
          }
        },
      }),
      Effect.tap(() => {
        if (rebalance !== undefined && now() - rebalance.since > rebalanceMillis) abandonAll()
      }),
    )

    return {
      eachBatch: async (payload) => {
        // a read that was under way while kafkajs joined may bring what is somebody else's by now
        const isOurs = () => payload.isRunning() && !payload.isStale() && assigned.has(payload.batch.partition)
        if (membership === undefined && rebalance === undefined && !isEnding && isOurs()) {
          introduced ??= introduce(payload)
          await introduced
        }
        // kafkajs would fetch the same again and again
        if (isEnding) return drained
        if (!isOurs()) return
        throwRebalance()
        heartbeat = payload.heartbeat
        await open(payload)
        throwRebalance()
      },
      askedToJoin: () => {
        joinRequests += 1
      },
      joined: (id, partitions) => {
        // the generation that follows ours directly: nobody can have had the partitions in between
        const isNext = id === memberId && joinRequests === 1
        const kept = new Set(isNext ? partitions : [])
        for (const partition of clean) if (!kept.has(partition)) clean.delete(partition)
        // kafkajs may join while handlers run, when a partition moves to another broker
        for (const { partition, progress } of inHand) if (!kept.has(partition)) progress.lose()
        assigned = new Set(partitions)
        memberId = id
        membership = undefined
        introduced = undefined
        hasMoved = false
        joinRequests = 0
        rebalance = undefined
      },
      actedAs: (current) => {
        membership = current
      },
      isBusy: () => inHand.size > 0,
      beat: Effect.when(beat, () => inHand.size > 0),
      drain: Effect.suspend(() => {
        isEnding = true
        for (const { progress } of inHand) progress.close()
        if (inHand.size === 0) onDrained()
        return Effect.promise(() => drained)
      }).pipe(
        Effect.interruptible,
        Effect.timeoutOption(settings.rebalanceTimeout),
        Effect.flatMap((done) =>
          Option.isSome(done)
            ? Effect.void
            : Effect.logWarning("records were claimed and neither committed nor released in time").pipe(
                Effect.annotateLogs({ topic, groupId, rebalanceTimeout: Duration.format(settings.rebalanceTimeout) }),
                Effect.zipRight(Effect.sync(abandonAll)),
              ),
        ),
      ),
    }
  })
