/**
 * Tracks membership and the group's coordinator.
 *
 * kafkajs keeps calling the coordinator that it joined, even after that broker is gone. The new coordinator knows the members: it
 * accepts their commits and expels members without heartbeats. What is sent while kafkajs joins waits behind the join on the same
 * connection, and is refused if the join ends in another generation.
 */
import { setTimeout } from "node:timers/promises"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Broker } from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import { KafkaJSProtocolError } from "./connection.js"
import { within } from "./within.js"

/** Of kafkajs, whose types leave out most of it. */
export interface Coordinator extends Pick<Broker, "offsetCommit"> {
  heartbeat(request: Identity): Promise<unknown>
  joinGroup(request: unknown): Promise<{ readonly generationId: number; readonly memberId: string }>
  syncGroup(request: unknown): Promise<unknown>
}

/** By what the coordinator knows a member. */
export interface Identity {
  readonly groupId: string
  readonly groupGenerationId: number
  readonly memberId: string
}

export interface Settings {
  readonly groupId: string
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
  /** A join has begun or ended meanwhile, so the failure says nothing of the generation that follows. */
  readonly isOutdated: boolean
}

export interface Membership {
  /** kafkajs tells neither when it joins, nor the generation, nor that it has failed: so its requests to the coordinator are watched. */
  readonly watch: (coordinator: Coordinator) => Coordinator
  /**
   * True if the member id is unchanged and the new generation is the current one (a stable group returns it on a rejoin) or the
   * next one. Then no other member can have owned our partitions in between.
   */
  readonly joined: () => boolean
  /** How often it has joined. */
  readonly joins: () => number
  readonly isJoining: () => boolean
  /** The coordinator has taken us for a member. */
  readonly confirmed: (generation: number) => void
  /** Whether it has done so lately, in the generation that has our partitions, and no other begins. */
  readonly isConfirmed: () => boolean
  /** The coordinator that kafkajs has joined is not the coordinator any more, or does not answer where another one does. */
  readonly hasMoved: () => boolean
  /** Asks the coordinator: through kafkajs, and if that is not answered, whichever broker is the coordinator now. */
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

/** The error by which the coordinator would have told kafkajs to join again, had kafkajs asked. */
export const movedOn = () =>
  new KafkaJSProtocolError(Object.assign(new Error("the group has moved on"), { type: NOT_COORDINATOR }))

export const unanswered = (doing: string, sessionTimeout: Duration.Duration) =>
  new KafkaError({
    reason: "Unavailable",
    description: `${doing}: no broker has answered for ${Duration.format(sessionTimeout)}`,
  })

/** In one generation kafkajs may lose its connection for once. */
const MAX_MISSED = 2

/** A join that is under way. */
interface Join {
  readonly number: number
  isSyncing: boolean
}

export const make = ({ findCoordinator, groupId, now, sessionTimeout }: Settings): Membership => {
  const session = Duration.toMillis(sessionTimeout)
  /** A coordinator that is silent leaves the time to ask the one that takes over. */
  const patience = session / 3

  /** In the generation that has our partitions. */
  let identity: Identity | undefined
  /** In the one that begins. */
  let following: Identity | undefined
  let join: Join | undefined
  let joins = 0
  let confirmedAt = 0
  /** How often kafkajs was not answered since it has joined, or was answered. */
  let missed = 0
  let isDirect = false
  /** How many joins have begun. */
  let begun = 0

  const joinBegins = (): Join => {
    begun += 1
    join = { number: begun, isSyncing: false }
    return join
  }

  const joinEnds = ({ number }: Join) => {
    if (join?.number === number) join = undefined
  }

  /** Looks again after a while; kafkajs does not say that it has failed between two requests. */
  const later = (look: () => void) => void setTimeout(patience, undefined, { ref: false }).then(look)

  return {
    watch: (coordinator) =>
      Object.create(coordinator, {
        joinGroup: {
          value: async (request: unknown) => {
            const current = joinBegins()
            try {
              const answer = await coordinator.joinGroup(request)
              following = { groupId, groupGenerationId: answer.generationId, memberId: answer.memberId }
              later(() => {
                if (!current.isSyncing) joinEnds(current)
              })
              return answer
            } catch (cause) {
              joinEnds(current)
              throw cause
            }
          },
        },
        syncGroup: {
          value: async (request: unknown) => {
            const current = join ?? joinBegins()
            current.isSyncing = true
            try {
              const answer = await coordinator.syncGroup(request)
              later(() => joinEnds(current))
              return answer
            } catch (cause) {
              joinEnds(current)
              throw cause
            }
          },
        },
      }),
    joined: () => {
      const isNext =
        following !== undefined &&
        following.memberId === identity?.memberId &&
        following.groupGenerationId <= identity.groupGenerationId + 1
      identity = following
      joins += 1
      confirmedAt = now()
      missed = 0
      isDirect = false
      join = undefined
      return isNext
    },
    joins: () => joins,
    isJoining: () => join !== undefined,
    confirmed: (generation) => {
      if (generation === identity?.groupGenerationId) confirmedAt = now()
    },
    isConfirmed: () => identity !== undefined && join === undefined && now() - confirmedAt < session / 2,
    hasMoved: () => missed >= MAX_MISSED,
    ask: ({ direct, unanswered, until = Number.POSITIVE_INFINITY, viaKafkajs }) =>
      Effect.suspend(() => {
        const before = joins
        const send = Effect.suspend(() => {
          const ends = Math.min(until, now() + patience)
          const known = isDirect ? identity : undefined
          const askDirectly = async (as: Identity) => {
            // kafkajs asks a broker at random, which may be one that is silent; a slow answer counts all the same
            const searches: Array<Promise<Coordinator>> = []
            let coordinator: Coordinator | undefined
            do {
              searches.push(findCoordinator())
              const limit = Math.min(patience / 4, ends - now())
              coordinator = await Promise.race([Promise.any(searches), setTimeout(limit, undefined)])
            } while (coordinator === undefined && now() < ends)
            if (coordinator === undefined) throw unanswered()
            await direct(coordinator, as)
          }
          return within(ends - now(), known === undefined ? viaKafkajs : () => askDirectly(known), unanswered).pipe(
            Effect.tapBoth({
              onSuccess: () =>
                Effect.sync(() => {
                  if (before !== joins) return
                  if (known === undefined) missed = 0
                  else {
                    confirmedAt = now()
                    isDirect = missed >= MAX_MISSED
                  }
                }),
              onFailure: (cause) =>
                Effect.sync(() => {
                  const isElsewhere = typeOf(cause) === NOT_COORDINATOR
                  if (before !== joins || known !== undefined || (typeOf(cause) !== undefined && !isElsewhere)) return
                  missed = isElsewhere ? MAX_MISSED : missed + 1
                  isDirect = true
                }),
            }),
          )
        })
        return send.pipe(
          Effect.asVoid,
          Effect.mapError((cause) => ({ cause, isOutdated: before !== joins || join !== undefined })),
        )
      }),
  }
}
