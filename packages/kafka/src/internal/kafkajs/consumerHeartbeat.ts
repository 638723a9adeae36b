/**
 * Heartbeats of our own, beside those that kafkajs sends between two fetches: while batches are held, kafkajs may be waiting in a
 * join, or for a broker that does not answer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { KafkaError } from "../../KafkaError.js"
import { type Call, type Membership, movedOn, needsJoin, unanswered } from "./consumerMembership.js"
import { toKafkaError } from "./errors.js"

export interface Settings {
  readonly groupId: string
  readonly sessionTimeout: Duration.Duration
  readonly membership: Membership
  readonly now: () => number
  /** Sends one through kafkajs, if the last one is older than the interval. */
  readonly viaKafkajs: () => Promise<void>
  /** The coordinator has answered. */
  readonly onAnswer: () => void
  /** kafkajs has to join again, as its error says. */
  readonly mustJoin: (error: unknown) => void
  readonly isEnding: () => boolean
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

export interface Heartbeat {
  readonly beat: Effect.Effect<void>
  /** The time without an answer counts from now on. */
  readonly restart: () => void
  /** Asks the coordinator, which may have forgotten the member while there was nothing to do. */
  readonly confirm: () => Promise<void>
}

/** Between attempts to confirm, in milliseconds. */
const PAUSE = 100

export const make = (settings: Settings): Heartbeat => {
  const { fail, groupId, isEnding, membership, mustJoin, now, onAnswer, sessionTimeout } = settings
  const sessionMillis = Duration.toMillis(sessionTimeout)
  const doing = `cannot stay a member of group ${groupId}`
  let answeredAt = 0
  let confirming: Promise<void> | undefined

  const call: Call = {
    viaKafkajs: settings.viaKafkajs,
    direct: (coordinator, identity) => coordinator.heartbeat(identity),
    unanswered: () => unanswered(doing, sessionTimeout),
  }

  const confirm = () => {
    const ends = now() + sessionMillis
    return membership.ask(call).pipe(
      Effect.retry({
        schedule: Schedule.spaced(PAUSE),
        while: ({ cause, isOutdated }) =>
          !isOutdated && !isEnding() && !needsJoin(cause) && toKafkaError(doing, cause).isRetryable && now() < ends,
      }),
      Effect.match({
        onSuccess: () => {
          onAnswer()
          // the coordinator knows the member in another generation than the one that has our partitions
          if (!membership.isConfirmed() && !membership.isJoining()) mustJoin(movedOn())
        },
        onFailure: ({ cause, isOutdated }) => {
          if (isOutdated || isEnding()) return
          if (needsJoin(cause)) mustJoin(cause)
          else fail(toKafkaError(doing, cause))
        },
      }),
      Effect.runPromise,
    )
  }

  return {
    restart: () => {
      answeredAt = now()
    },
    confirm: () => {
      confirming ??= confirm().finally(() => {
        confirming = undefined
      })
      return confirming
    },
    beat: Effect.match(membership.ask(call), {
      onSuccess: () => {
        answeredAt = now()
        onAnswer()
      },
      onFailure: ({ cause, isOutdated }) => {
        if (isOutdated) return
        if (needsJoin(cause)) {
          answeredAt = now()
          mustJoin(cause)
          return
        }
        const error = toKafkaError(doing, cause)
        if (!error.isRetryable || now() - answeredAt > sessionMillis) fail(error)
      },
    }),
  }
}
