/**
 * Commits an offset, as long as the partition is held: through kafkajs, and where the coordinator has moved to.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { KafkaError } from "../../KafkaError.js"
import { isExpelled, type Membership, needsJoin, REBALANCING, typeOf, unanswered } from "./consumerMembership.js"
import { toKafkaError } from "./errors.js"

export interface Settings {
  readonly topic: string
  readonly sessionTimeout: Duration.Duration
  readonly membership: Membership
  readonly now: () => number
  /** The coordinator has answered. */
  readonly onAnswer: () => void
  /** kafkajs has to join again, as its error says. */
  readonly mustJoin: (error: unknown) => void
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

type Topics = Array<{ topic: string; partitions: Array<{ partition: number; offset: string }> }>

export interface Commit {
  readonly partition: number
  readonly offset: bigint
  /** Whether the commit still has a meaning: no longer when the batch was given up after `rebalanceTimeout`. */
  readonly isHeld: () => boolean
  readonly viaKafkajs: (topics: Topics) => Promise<void>
}

/** Between attempts, in milliseconds: the first, doubled each time, and the longest. */
const PAUSE = 100
const MAX_PAUSE = 1_000

/** Succeeds with false if the offset is not known to be committed. */
export const make = (settings: Settings): ((commit: Commit) => Effect.Effect<boolean>) => {
  const { fail, membership, mustJoin, now, onAnswer, topic } = settings
  const sessionMillis = Duration.toMillis(settings.sessionTimeout)

  return ({ isHeld, offset, partition, viaKafkajs }) => {
    const topics = [{ topic, partitions: [{ partition, offset: offset.toString() }] }]
    const doing = `cannot commit partition ${partition} of topic ${topic}`
    const late = () => unanswered(doing, settings.sessionTimeout)

    const whileHeld = async (send: () => Promise<unknown>) => {
      if (!isHeld()) throw late()
      await send()
    }

    const send = (until: number) =>
      membership.ask({
        viaKafkajs: () => whileHeld(() => viaKafkajs(topics)),
        direct: (coordinator, identity) => whileHeld(() => coordinator.offsetCommit({ ...identity, topics })),
        unanswered: late,
        until,
      })

    const mayBeSentAgain = (cause: unknown) =>
      !isExpelled(cause) && (needsJoin(cause) || toKafkaError(doing, cause).isRetryable)

    const attempt = (until: number, pause: number): Effect.Effect<boolean> =>
      Effect.matchEffect(send(until), {
        onSuccess: () => {
          onAnswer()
          return Effect.succeed(true)
        },
        onFailure: ({ cause }) => {
          if (!isHeld()) return Effect.succeed(false)
          // REBALANCE_IN_PROGRESS lasts only a moment, while members receive their partitions: no reason to join again
          if (needsJoin(cause) && typeOf(cause) !== REBALANCING) mustJoin(cause)
          if (now() < until && mayBeSentAgain(cause)) {
            return Effect.flatMap(Effect.sleep(pause), () => attempt(until, Math.min(2 * pause, MAX_PAUSE)))
          }
          const error = toKafkaError(doing, cause)
          if (!needsJoin(cause) && !error.isRetryable) fail(error)
          return Effect.succeed(false)
        },
      })

    // if no broker has answered for that long the session is over
    return Effect.suspend(() => attempt(now() + sessionMillis, PAUSE))
  }
}
