/**
 * Reads the Activities API: types, paging tokens, and feeds as Streams of pages or of typed activities.
 *
 * Pages keep what is needed to go on after a crash (`positions`), so a read can end at any page and continue at the next
 * one, in another process if need be. Only Marketo's `moreResult: false` ends a read; an empty page never does.
 *
 * @example
 * import { Activities, Activity, Feed } from "@effect-marketo/core"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const activities = yield* Activities.Activities
 *   yield* activities
 *     .stream(Feed.leadActivities({ activityTypeIds: [1] }), { since: "2026-01-01T00:00:00Z" })
 *     .pipe(Stream.runForEach((visit) => Console.log(visit.leadId, Activity.attribute(visit, "Webpage URL"))))
 * })
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ActivityRecord } from "./ActivityRecord.js"
import { ActivityType } from "./ActivityType.js"
import { Position } from "./Checkpoint.js"
import type { AnyFeed, Feed } from "./Feed.js"
import * as chains from "./internal/chains.js"
import { count } from "./internal/count.js"
import { Handover } from "./internal/handover.js"
import * as lenient from "./internal/lenient.js"
import * as page from "./internal/page.js"
import * as permits from "./internal/permits.js"
import * as readOptions from "./internal/readOptions.js"
import { span } from "./internal/span.js"
import * as MarketoClient from "./MarketoClient.js"
import {
  type CallError,
  CheckpointRefused,
  type MarketoError,
  MarketoRejected,
  MarketoUnavailable,
} from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import type { Page } from "./Page.js"
import { type EndpointName, endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * Opaque: stands for a moment (from `pagingToken`) or a place (from a page).
 *
 * @since 0.1.0
 * @category models
 */
export type PagingToken = string & Brand.Brand<"effect-marketo/PagingToken">

/**
 * @since 0.1.0
 * @category models
 */
export interface ReadOptions {
  /** Records a page: 1 to 300. Default: Marketo's, 300. */
  readonly batchSize?: number | undefined
  /** Chains of a feed with more than ten types that are read at once. Default: 5. `ApiLimits` bounds the calls. */
  readonly concurrency?: number | undefined
  /**
   * What happens to an element that is not what its schema says: `"fail"` ends the read with its position and the paths
   * at fault; `"keep"` hands it on in `Page.rejected`. Default: `"fail"`.
   */
  readonly undecodable?: "fail" | "keep" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Start extends ReadOptions {
  /**
   * Where chains start that `positions` does not know; not in the future. Text must carry a zone. Marketo resolves
   * seconds, and the lower bound is inclusive.
   */
  readonly since: DateTime.Utc | string
  /** From an earlier page or checkpoint. */
  readonly positions?: ReadonlyArray<Position> | undefined
  /**
   * Follows: a chain that has no more for now is asked again after this time, each chain by itself, and the stream does
   * not end. At least 1 second. Default: the stream ends.
   */
  readonly every?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Munchkin id or host; part of every subscription, so that two instances never share a position. */
  readonly instance: string
  /** Every activity type of the instance, custom ones included. One call; Marketo advises to keep it for a day. */
  readonly types: Effect.Effect<ReadonlyArray<ActivityType>, CallError>
  /** A token for what happened at or after `since`. */
  readonly pagingToken: (since: DateTime.Utc | string) => Effect.Effect<PagingToken, CallError>
  /** Where a read would start: the known positions, and a token at `since` for each chain that they lack. */
  readonly positions: <A>(feed: Feed<A>, start: Start) => Effect.Effect<ReadonlyArray<Position>, MarketoError>
  /** Every page until Marketo says that there is no more for now; with `every` for ever. */
  readonly pages: <A>(feed: Feed<A>, start: Start) => Stream.Stream<Page<A>, MarketoError>
  /** The typed activities of `pages`, one chunk a page. An element that cannot be decoded fails it. */
  readonly stream: <A>(feed: Feed<A>, start: Omit<Start, "undecodable">) => Stream.Stream<A, MarketoError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Activities extends Context.Tag("@effect-marketo/core/Activities")<Activities, Service>() {}

/** Codes that Marketo may use for a paging token it does not take; which one it uses is documented nowhere. */
const tokenRefusals: ReadonlySet<string> = new Set(["1001", "1003", "702", "704", "709"])

/** Where every chain stands, and which have more. */
interface State {
  readonly positions: ReadonlyArray<Position>
  readonly behind: ReadonlySet<number>
}

type Kind = (typeof chains.kinds)[keyof typeof chains.kinds]

const decodeTypes = lenient.elements(ActivityType)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly instance: string
  readonly policies: Readonly<Record<EndpointName, RequestPolicy>>
}): Effect.Effect<Service, never, MarketoClient.MarketoClient> =>
  Effect.gen(function* () {
    const client = yield* MarketoClient.MarketoClient
    const call = (
      endpoint: EndpointName,
      query: Readonly<Record<string, string>>,
      isComplete?: (json: MarketoClient.Answer["json"]) => boolean,
    ) =>
      client.get(endpoints[endpoint].path, query, {
        endpoint,
        policy: options.policies[endpoint],
        isComplete,
        unreadable: "keep",
      })

    const types: Service["types"] = Effect.flatMap(
      call("activityTypes", {}, (json) => Array.isArray(json.result)),
      ({ json }) => {
        const found = decodeTypes(json.result)
        const unreadable = (json.result as ReadonlyArray<unknown>).length - found.length
        return unreadable === 0
          ? Effect.succeed(found)
          : Effect.logWarning("activity types without an id or a name were left out").pipe(
              Effect.annotateLogs({ endpoint: "activityTypes", count: unreadable }),
              Effect.as(found),
            )
      },
    )

    const tokenAt = (instant: DateTime.Utc) =>
      Effect.map(
        call("pagingToken", { sinceDatetime: readOptions.format(instant) }, (json) => page.isToken(json.nextPageToken)),
        ({ json }) => json.nextPageToken as PagingToken,
      )

    const startOf = <A>(feed: Feed<A>, start: Start) =>
      Effect.gen(function* () {
        yield* readOptions.check(feed, start)
        const plan = yield* chains.plan(feed as AnyFeed, start.positions ?? [])
        if (plan.chains.every((chain) => chain.position !== undefined)) {
          return { plan, positions: start.positions ?? [] }
        }
        const instant = yield* readOptions.past(start.since)
        const token = yield* tokenAt(instant)
        const begin = (query: string) => new Position({ query, token, through: instant, answered: false })
        return { plan, positions: plan.chains.map((chain) => chain.position ?? begin(chain.query)) }
      })

    /** One call for a page of a chain. */
    const fetchAt = (kind: Kind, chain: chains.Chain, nextPageToken: string, read: ReadOptions) =>
      Effect.gen(function* () {
        const { endpoint } = kind
        const batchSize = read.batchSize === undefined ? {} : { batchSize: String(read.batchSize) }
        const query = { ...chain.parameters, ...batchSize, nextPageToken }
        const answer = yield* call(endpoint, query, page.isPage)
        if (page.moreResultOf(answer) && page.tokenOf(answer) === nextPageToken) {
          const { requestId } = answer
          const reason = "Stalled"
          return yield* new MarketoUnavailable({ endpoint, requestId, attempts: 1, reason, execution: "Unknown" })
        }
        return answer
      }).pipe(span("Activities.page", { "marketo.endpoint": kind.endpoint }))

    const pages = <A>(feed: Feed<A>, start: Start): Stream.Stream<Page<A>, MarketoError> =>
      Stream.unwrap(
        Effect.map(startOf(feed, start), ({ plan, positions }) => {
          const kind = chains.kinds[feed._tag]
          const { concurrency = 5, every, undecodable = "fail" } = start
          const reads = plan.chains.flatMap((chain, index) => {
            const first = positions[index]
            return chain.isRead && first !== undefined ? [{ chain, first, index }] : []
          })
          const reading = permits.make(concurrency)

          /** A chain's answers, and at its end the error, if there is one. */
          const answersOf = ({ chain, first, index }: (typeof reads)[number]) =>
            Stream.paginateChunkEffect({ token: first.token, isIdle: false }, ({ isIdle, token }) =>
              Effect.gen(function* () {
                if (isIdle && every !== undefined) yield* Effect.sleep(every)
                const answer = yield* Effect.either(reading(fetchAt(kind, chain, token, start)))
                const next = Option.flatMap(Either.getRight(answer), (right) => {
                  const isIdle = !page.moreResultOf(right)
                  const isLast = isIdle && every === undefined
                  return isLast ? Option.none() : Option.some({ token: page.tokenOf(right), isIdle })
                })
                return [Chunk.of(new Handover({ answer, first, index })), next] as const
              }),
            )

          const origin: State = { positions, behind: new Set(reads.map(({ index }) => index)) }
          return Stream.fromIterable(reads).pipe(
            Stream.flatMap(answersOf, { concurrency: Math.max(1, reads.length), bufferSize: 1 }),
            Stream.mapAccumEffect(origin, (state, handover) =>
              Effect.gen(function* () {
                const { answer, first, index } = handover.take()
                const position = state.positions[index] ?? first
                if (Either.isLeft(answer)) {
                  const error = answer.left
                  const { parameters } = plan.chains[index] as chains.Chain
                  return yield* error._tag === "MarketoRejected" ? refusal(error, position, parameters) : error
                }
                const { requestId, time } = answer.right
                const { newest, records, rejected } = yield* page.decode(kind, answer.right, undecodable, plan.wanted)
                const { endpoint } = kind
                yield* count(Metrics.pagesRead, { endpoint })
                yield* count(Metrics.activitiesRead, { endpoint }, records.length)
                yield* count(Metrics.activitiesRejected, { endpoint }, rejected.length)
                const moreResult = page.moreResultOf(answer.right)
                // an activity may be dated in the future; the chain has not come that far
                const seen = moreResult ? Math.min(newest, DateTime.toEpochMillis(time)) : DateTime.toEpochMillis(time)
                const through = DateTime.unsafeMake(Math.max(DateTime.toEpochMillis(position.through), seen))
                const next = new Position({ query: position.query, token: page.tokenOf(answer.right), through })
                const after = state.positions.with(index, next)
                const behind = new Set(state.behind)
                if (moreResult) behind.add(index)
                else behind.delete(index)
                const result: Page<A> = {
                  // the feed's phantom type says what its elements are
                  records: records as Chunk.Chunk<ActivityRecord<A>>,
                  rejected,
                  positions: after,
                  through: oldest(reads.map((r) => after[r.index] ?? r.first)),
                  moreResult: behind.size > 0,
                  requestId,
                }
                return [{ positions: after, behind }, result] as const
              }),
            ),
          )
        }),
      )

    return Activities.of({
      instance: options.instance,
      types,
      pagingToken: (instant) => Effect.flatMap(readOptions.past(instant), tokenAt),
      positions: (feed, start) => Effect.map(startOf(feed, start), ({ positions }) => positions),
      pages,
      stream: (feed, start) =>
        Stream.mapConcatChunk(pages(feed, { ...start, undecodable: "fail" }), (p) =>
          Chunk.map(p.records, (record) => record.value),
        ),
    })
  })

/** @internal The least that positions have come through. */
export const oldest = (positions: ReadonlyArray<Position>): DateTime.Utc =>
  positions.map((position) => position.through).reduce(DateTime.min)

/** Of every page of a feed with a list: Adobe's August 2026 release notes. */
const LIST_REFUSED =
  "the list of this feed may be gone, or have 10,000 members or more, which Marketo refuses from 2026-09-30 on: split it, or read without `listId`"

/** What Marketo means when it refuses a page: the list, the filter or the paging token. */
const refusal = (error: MarketoRejected, position: Position, parameters: chains.Chain["parameters"]) => {
  if (error.codes.includes("1003") && "listId" in parameters) {
    const other = position.answered
      ? `. If the list is as it should be, the paging token is refused: start under another name with \`since\` ${DateTime.formatIso(position.through)} or earlier`
      : ""
    return new MarketoRejected({ ...error, advice: Option.some(`${LIST_REFUSED}${other}`) })
  }
  return position.answered && error.codes.some((code) => tokenRefusals.has(code))
    ? new CheckpointRefused({
        reason: "TokenRefused",
        advice: `Marketo refused the paging token of the chain "${chains.describe(position.query)}", which stood at ${DateTime.formatIso(position.through)}. Nothing was skipped. To go on, start under another name with that instant, or an earlier one, as \`since\`; activities at the seam may come twice. ${error.message}`,
        cause: error,
      })
    : error
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Parameters<typeof make>[0],
): Layer.Layer<Activities, never, MarketoClient.MarketoClient> => Layer.effect(Activities, make(options))
