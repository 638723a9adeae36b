/**
 * What a member of a group has in hand: the partitions that are assigned to it, and the batches that are being worked on.
 *
 * Three facts about kafkajs carry it. Asked by the coordinator, it joins again only when every running `eachBatch` has settled, so
 * the handler of a batch stays pending until the work is committed or given up: that is the drain before a rebalance and the
 * back-pressure in one. (For reasons of its own it may join beside running work: see `consumerMembership`.) Errors thrown from
 * `eachBatch` use up a budget that is never given back, except those by which the coordinator asks for a new join: nothing else
 * is thrown. And it sends no heartbeats while a handler runs.
 */
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Batch, EachBatchPayload, KafkaMessage } from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import * as PartitionBatch from "../../PartitionBatch.js"
import * as lock from "../lock.js"
import { KafkaJSProtocolError } from "./connection.js"
import {
  type Call,
  isExpelled,
  type Membership,
  NOT_COORDINATOR,
  needsJoin,
  REBALANCING,
  typeOf,
} from "./consumerMembership.js"
import * as Progress from "./consumerProgress.js"
import { fromMessage } from "./consumerRecord.js"
import { toKafkaError } from "./errors.js"

export interface Settings {
  readonly topic: string
  readonly groupId: string
  readonly sessionTimeout: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
  readonly membership: Membership
  readonly offer: (batch: PartitionBatch.PartitionBatch) => void
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

export interface Assignment {
  /** The handler for kafkajs. */
  readonly eachBatch: (payload: EachBatchPayload) => Promise<void>
  readonly joined: (partitions: ReadonlyArray<number>) => void
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

/** As kafkajs would say it, had it been told. */
const movedOn = () =>
  new KafkaJSProtocolError(Object.assign(new Error("the group has moved on"), { type: NOT_COORDINATOR }))

/** Between attempts to commit, in milliseconds: the first, doubled each time, and the longest. */
const PAUSE = 100
const MAX_PAUSE = 1_000

export const make = (settings: Settings): Effect.Effect<Assignment> =>
  Effect.map(Effect.clock, (clock) => {
    const { fail, groupId, membership, topic } = settings
    const now = () => clock.unsafeCurrentTimeMillis()
    const sessionMillis = Duration.toMillis(settings.sessionTimeout)
    const rebalanceMillis = Duration.toMillis(settings.rebalanceTimeout)

    const inHand = new Set<InHand>()
    let assigned: ReadonlySet<number> = new Set()
    /** Partitions of which nobody can have worked on more than what is committed. */
    const clean = new Set<number>()
    /** Up to where partitions are committed. */
    const committed = new Map<number, bigint>()
    /** That a new join is needed, since when, and kafkajs's error that says so. */
    let rebalance: { readonly error: unknown; readonly since: number } | undefined
    /** kafkajs's, the same one for all batches; it sends nothing before the interval is over. */
    let heartbeat = (): Promise<void> => Promise.resolve()
    let heartbeatAt = 0
    let confirming: Promise<void> | undefined
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

    const heartbeatCall: Call = {
      viaKafkajs: () => heartbeat(),
      direct: (coordinator, identity) => coordinator.heartbeat(identity),
      unanswered: () => unanswered(staying),
    }

    const mustJoin = (error: unknown) => {
      rebalance = { error, since: rebalance?.since ?? now() }
      for (const { progress } of inHand) progress.close()
    }

    /** kafkajs notices only when it is told. */
    const joinWhereItHasMoved = () => {
      if (membership.hasMoved() && rebalance === undefined) mustJoin(movedOn())
    }

    const commit = (payload: EachBatchPayload, progress: Progress.Progress, offset: bigint): Effect.Effect<boolean> => {
      const { partition } = payload.batch
      const topics = [{ topic, partitions: [{ partition, offset: offset.toString() }] }]
      const doing = `cannot commit partition ${partition} of topic ${topic}`
      // it may have gone elsewhere in a join that was waited for
      const whileHeld = async (send: () => Promise<unknown>) => {
        if (!progress.isHeld()) throw unanswered(doing)
        await send()
      }
      const mayBeSentAgain = (cause: unknown) =>
        !isExpelled(cause) && (needsJoin(cause) || toKafkaError(doing, cause).isRetryable)

      const attempt = (giveUp: number, until: number, pause: number): Effect.Effect<boolean> =>
        Effect.matchEffect(
          membership.ask({
            viaKafkajs: () => whileHeld(() => payload.commitOffsetsIfNecessary({ topics })),
            direct: (coordinator, identity) => whileHeld(() => coordinator.offsetCommit({ ...identity, topics })),
            unanswered: () => unanswered(doing),
            until,
          }),
          {
            onSuccess: () => {
              joinWhereItHasMoved()
              return Effect.succeed(true)
            },
            onFailure: ({ cause, isOutdated }) => {
              if (!progress.isHeld()) return Effect.succeed(false)
              if (isOutdated) return begin(giveUp)
              // a rebalance alone is refused only for a moment, while the members are told their partitions
              if (needsJoin(cause) && typeOf(cause) !== REBALANCING) mustJoin(cause)
              if (now() < until && mayBeSentAgain(cause)) {
                return Effect.flatMap(Effect.sleep(pause), () => attempt(giveUp, until, Math.min(2 * pause, MAX_PAUSE)))
              }
              const error = toKafkaError(doing, cause)
              if (!needsJoin(cause) && !error.isRetryable) fail(error)
              return Effect.succeed(false)
            },
          },
        )
      // when nobody has answered for that long the session is over, except in a join
      const begin = (giveUp: number): Effect.Effect<boolean> =>
        Effect.suspend(() =>
          now() < giveUp ? attempt(giveUp, Math.min(giveUp, now() + sessionMillis), PAUSE) : Effect.succeed(false),
        )
      return begin(now() + rebalanceMillis)
    }

    /** Before work begins: the coordinator may have forgotten us while there was nothing to do. */
    const confirm = (): Promise<void> => {
      const ends = now() + sessionMillis
      return membership.ask(heartbeatCall).pipe(
        Effect.retry({
          schedule: Schedule.spaced(PAUSE),
          while: ({ cause, isOutdated }) =>
            !isOutdated && !isEnding && !needsJoin(cause) && toKafkaError(staying, cause).isRetryable && now() < ends,
        }),
        Effect.match({
          onSuccess: () => {
            joinWhereItHasMoved()
            // in another generation than the one that has our partitions
            if (!membership.isConfirmed() && !membership.isJoining()) mustJoin(movedOn())
          },
          onFailure: ({ cause, isOutdated }) => {
            if (isOutdated || isEnding) return
            if (needsJoin(cause)) mustJoin(cause)
            else fail(toKafkaError(staying, cause))
          },
        }),
        Effect.runPromise,
      )
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
        // else kafkajs reads it from the broker that its leader has moved to, and throws it away, again and again
        const resume = payload.pause()
        const progress = Progress.make(length, () => {
          resume()
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
              else if (progress.isHeld()) {
                committed.set(partition, next)
                // from where kafkajs reads on
                payload.resolveOffset((next - 1n).toString())
              }
              progress.handBack(until, isCommitted)
              return isCommitted
            },
          )
        }

        if (inHand.size === 0) heartbeatAt = now()
        inHand.add(held)
        const offered = PartitionBatch.make({
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
        settings.offer(offered)
      })

    /**
     * Whether a read brings again what was committed meanwhile, as one of two brokers may do when a partition moves from one to the other.
     * Refused once: it may begin there because records are gone.
     */
    const wasCommitted = (batch: Batch): boolean => {
      const until = committed.get(batch.partition)
      committed.delete(batch.partition)
      return until !== undefined && BigInt(batch.firstOffset() ?? until) < until
    }

    const throwRebalance = () => {
      if (rebalance !== undefined) throw rebalance.error
    }

    const beat = membership.ask(heartbeatCall).pipe(
      Effect.match({
        onSuccess: () => {
          heartbeatAt = now()
          joinWhereItHasMoved()
        },
        onFailure: ({ cause, isOutdated }) => {
          if (isOutdated) return
          if (needsJoin(cause)) {
            heartbeatAt = now()
            mustJoin(cause)
          } else {
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
        const { batch } = payload
        // a read that was under way while kafkajs joined may bring what is somebody else's by now
        const isOurs = () => payload.isRunning() && !payload.isStale() && assigned.has(batch.partition)
        if (wasCommitted(batch)) return
        const joins = membership.joins()
        if (!isEnding && rebalance === undefined && isOurs() && !membership.isConfirmed()) {
          heartbeat = payload.heartbeat
          confirming ??= confirm().finally(() => {
            confirming = undefined
          })
          await confirming
        }
        // kafkajs would fetch the same again and again
        if (isEnding) return drained
        if (!isOurs()) return
        throwRebalance()
        // it is read again in the generation that has begun meanwhile, or by another member
        if (membership.joins() !== joins || !membership.isConfirmed()) return
        heartbeat = payload.heartbeat
        await open(payload)
        throwRebalance()
      },
      joined: (partitions) => {
        const kept = new Set(membership.joined() ? partitions : [])
        // kafkajs may join while handlers run, when a partition moves to another broker
        for (const { partition, progress } of inHand) if (!kept.has(partition)) progress.lose()
        // after that: what is lost without having been claimed was clean
        for (const partition of clean) if (!kept.has(partition)) clean.delete(partition)
        assigned = new Set(partitions)
        rebalance = undefined
        heartbeatAt = now()
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
