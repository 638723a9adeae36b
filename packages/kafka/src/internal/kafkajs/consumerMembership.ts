/**
 * What a member and the coordinator of its group know of each other.
 *
 * kafkajs asks the coordinator that it has joined, also when that is gone. The one that takes over knows the members: it takes
 * their commits, and expels those of whom it hears nothing. And kafkajs may join beside running handlers: what is sent in the old
 * generation then waits on the connection behind the request to join, and is refused once that is answered.
 */
import { setTimeout } from "node:timers/promises"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Broker } from "kafkajs"
import { within } from "./within.js"

/** Of kafkajs, whose types leave out the heartbeat. */
export interface Coordinator extends Pick<Broker, "offsetCommit"> {
  heartbeat(request: Identity): Promise<unknown>
}

/** By what the coordinator knows a member. */
export interface Identity {
  readonly groupId: string
  readonly groupGenerationId: number
  readonly memberId: string
}

export interface Settings {
  readonly sessionTimeout: Duration.Duration
  /** Whichever broker is the coordinator now. */
  readonly findCoordinator: () => Promise<Coordinator>
  readonly now: () => number
}

export interface Call {
  readonly viaKafkajs: () => Promise<unknown>
  readonly direct: (coordinator: Coordinator, identity: Identity) => Promise<unknown>
  /** What it fails with when it was not answered. */
  readonly unanswered: () => unknown
  /** No longer than until then. */
  readonly until?: number
}

export interface Failure {
  readonly cause: unknown
  /** A join has begun or ended meanwhile: in the generation that follows the answer may be another. */
  readonly isOutdated: boolean
}

export interface Membership {
  /** How often it has joined. */
  readonly joins: () => number
  /** kafkajs sends a request to join. */
  readonly joinBegins: () => void
  /** That was answered. */
  readonly joinAnswered: () => void
  /** Returns whether the generation follows ours directly: nobody can have had the partitions in between. */
  readonly joined: (memberId: string) => boolean
  /** kafkajs tells the generation not when it has joined, but with what it does as a member. */
  readonly actedAs: (identity: Identity) => void
  readonly isJoining: () => boolean
  readonly generationIsKnown: () => boolean
  /** Whether the coordinator has lately taken us for a member of a generation that we know. */
  readonly isConfirmed: () => boolean
  /** The coordinator that kafkajs has joined did not answer, or is not the coordinator any more. */
  readonly hasMoved: () => boolean
  /**
   * Asks the coordinator: through kafkajs, and once that was not answered in this generation, whichever broker is the coordinator
   * now. A join is waited for, but not for ever, because kafkajs does not tell when it has given up to join.
   */
  readonly ask: (call: Call) => Effect.Effect<void, Failure>
}

// what a coordinator answers, by the `type` of kafkajs's error

export const typeOf = (cause: unknown): unknown => (cause as { readonly type?: unknown } | undefined)?.type

export const REBALANCING = "REBALANCE_IN_PROGRESS"
export const NOT_COORDINATOR = "NOT_COORDINATOR_FOR_GROUP"

/** It does not know the member. */
const expelled: ReadonlyArray<unknown> = ["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"]

export const isExpelled = (cause: unknown): boolean => expelled.includes(typeOf(cause))

export const needsJoin = (cause: unknown): boolean =>
  isExpelled(cause) || typeOf(cause) === REBALANCING || typeOf(cause) === NOT_COORDINATOR

export const make = ({ findCoordinator, now, sessionTimeout }: Settings): Membership => {
  const session = Duration.toMillis(sessionTimeout)
  /** A coordinator that is silent leaves the time to ask the one that takes over. */
  const patience = session / 3

  let memberId: string | undefined
  /** Unknown in a new generation until kafkajs has acted in it. */
  let identity: Identity | undefined
  let answers = 0
  let joins = 0
  let confirmedAt = 0
  let hasMoved = false
  let join: { readonly over: Promise<void>; readonly end: () => void } | undefined

  const waitForJoin = (over: Promise<void>) =>
    Effect.ignore(
      within(
        patience,
        () => over,
        () => undefined,
      ),
    )

  return {
    joins: () => joins,
    joinBegins: () => {
      if (join !== undefined) return
      let end = () => {}
      const over = new Promise<void>((resolve) => {
        end = resolve
      })
      join = { over, end }
    },
    joinAnswered: () => {
      answers += 1
    },
    joined: (id) => {
      const isNext = id === memberId && answers === 1
      memberId = id
      identity = undefined
      answers = 0
      joins += 1
      confirmedAt = now()
      hasMoved = false
      join?.end()
      join = undefined
      return isNext
    },
    actedAs: (current) => {
      identity = current
      confirmedAt = now()
    },
    isJoining: () => join !== undefined,
    generationIsKnown: () => identity !== undefined,
    isConfirmed: () => identity !== undefined && now() - confirmedAt < session / 2,
    hasMoved: () => hasMoved,
    ask: ({ direct, unanswered, until = Number.POSITIVE_INFINITY, viaKafkajs }) =>
      Effect.suspend(() => {
        const before = joins
        const send = Effect.suspend(() => {
          const known = hasMoved ? identity : undefined
          const ends = Math.min(until, now() + patience)
          const askDirectly = async (as: Identity) => {
            // kafkajs asks a broker at random, which may be one that is silent
            let coordinator: Coordinator | undefined
            do {
              const limit = Math.min(patience / 4, ends - now())
              coordinator = await Promise.race([findCoordinator(), setTimeout(limit, undefined)])
            } while (coordinator === undefined && now() < ends)
            if (coordinator === undefined) throw unanswered()
            await direct(coordinator, as)
            confirmedAt = now()
          }
          return within(ends - now(), known === undefined ? viaKafkajs : () => askDirectly(known), unanswered)
        })
        return (join === undefined ? send : Effect.zipRight(waitForJoin(join.over), send)).pipe(
          Effect.asVoid,
          Effect.mapError((cause) => {
            const isAnswer = typeOf(cause) !== undefined && typeOf(cause) !== NOT_COORDINATOR
            if (before === joins && !isAnswer) hasMoved = true
            return { cause, isOutdated: before !== joins || join !== undefined }
          }),
        )
      }),
  }
}
