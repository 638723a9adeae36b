/**
 * Writes custom activities, and never guesses what became of one.
 *
 * A custom activity cannot be deleted, and it can fire campaigns at real people. So a call whose outcome is not known (a
 * time limit, a cut connection, HTTP 5xx … see `ErrorCode.table`) is never simply repeated: it is settled by reading the
 * leads' activities back. Found means `Added { confirmedBy: "readBack" }`; what is not found is `InDoubt`, sent again or ends
 * the stream, as the policy says.
 *
 * **What reading back can tell.** With an `identity` attribute of your own, such as an event id, a match is exact. Without,
 * records are compared by type, lead, second, primary value and attributes, and counted: two records that are equal in all
 * of these cannot be told apart from one another, nor from an equal one that another program wrote. Such records are taken
 * for found. How long an added activity stays invisible is documented nowhere, and a call that was cut off may still be
 * executed for as long as the server works on it (90 s): hence the default of two minutes.
 *
 * The `HttpClient` must not repeat calls by itself: with one that does, a single `add` was executed four times.
 *
 * @example
 * import { CustomActivities, type CustomActivity } from "@effect-marketo/core"
 * import { Console, Effect, Stream } from "effect"
 *
 * declare const rentals: Stream.Stream<CustomActivity.CustomActivity>
 *
 * const program = Effect.gen(function* () {
 *   const activities = yield* CustomActivities.CustomActivities
 *   yield* activities.addAll(rentals, (rental) => rental, { unknown: { identity: "rentalId" } }).pipe(
 *     Stream.filter(([, outcome]) => outcome._tag !== "Added"),
 *     Stream.runForEach(([rental, outcome]) => Console.warn(rental.leadId, outcome._tag))
 *   )
 * })
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as Activities from "./Activities.js"
import type { CustomActivity } from "./CustomActivity.js"
import type { CustomActivityType } from "./CustomActivityType.js"
import * as ErrorCode from "./ErrorCode.js"
import { count } from "./internal/count.js"
import * as customWriter from "./internal/customWriter.js"
import { readBack } from "./internal/readBack.js"
import { toText } from "./internal/scalar.js"
import * as writeBatches from "./internal/writeBatches.js"
import * as MarketoClient from "./MarketoClient.js"
import {
  type CallError,
  type MarketoError,
  MarketoInvalidRequest,
  type MarketoRejected,
  MarketoUnavailable,
} from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import { type EndpointName, endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * Stored: Marketo said so, or it was found there.
 *
 * @since 0.1.0
 * @category models
 */
export interface Added {
  readonly _tag: "Added"
  readonly marketoGUID: string
  readonly confirmedBy: "answer" | "readBack"
}

/**
 * Refused by Marketo, with all its codes (`ErrorCode.table`). Messages of Marketo may quote values of the record.
 *
 * @since 0.1.0
 * @category models
 */
export interface Skipped {
  readonly _tag: "Skipped"
  readonly codes: ReadonlyArray<{ readonly code: string; readonly message: string }>
  /** Marketo's id of the call, for its support. */
  readonly requestId: Option.Option<string>
}

/**
 * Not written, and never will be as it is: correct the record and write it again. `MarketoInvalidRequest`: it was not sent
 * (too large, a value that JSON does not have, a type that is not approved). `MarketoRejected` with code 413: Marketo
 * refused it as too large, even alone in its call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Invalid {
  readonly _tag: "Invalid"
  readonly error: MarketoInvalidRequest | MarketoRejected
}

/**
 * May be stored: it was sent, `error` does not say what became of it, and reading back did not find it. Writing it again
 * may store it twice.
 *
 * @since 0.1.0
 * @category models
 */
export interface InDoubt {
  readonly _tag: "InDoubt"
  readonly error: MarketoError
}

/**
 * @since 0.1.0
 * @category models
 */
export type Result = Added | Skipped

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome = Result | Invalid | InDoubt

/**
 * @since 0.1.0
 * @category models
 */
export interface BatchPolicy {
  /** Records a call. Default and limit: 300. */
  readonly maxCount?: number | undefined
  /** Bytes a call. Default and limit: 1,000,000. */
  readonly maxBytes?: number | undefined
  /** How long the first record of a call may wait for others. Default: 30 seconds. */
  readonly maxWait?: Duration.DurationInput | undefined
}

/**
 * How a call without an answer is settled.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnknownPolicy {
  /**
   * What becomes of records that reading back does not find: `"inDoubt"` hands them back as `InDoubt`, `"resend"` sends
   * them again (which is safe only with `identity`), `"fail"` ends the stream. Default: `"inDoubt"`. If the search itself
   * could not be finished, they are `InDoubt` under `"resend"` too.
   */
  readonly notFound?: "inDoubt" | "resend" | "fail" | undefined
  /**
   * Name or `apiName` of a secondary attribute that is different in every record, or `"primaryAttributeValue"`. Text is
   * compared as it is. A record without it cannot be looked up: if its call gets no usable answer, it is `InDoubt`, also
   * under `"resend"`.
   */
  readonly identity?: string | undefined
  /** How long a stored record may stay invisible; reading back goes on that long. Default: 2 minutes. */
  readonly visibilityDelay?: Duration.DurationInput | undefined
  /**
   * Pages read in one look; within two minutes there are about 12. An old `activityDate` may mean very many empty ones.
   * Default: 200.
   */
  readonly maxCalls?: number | undefined
  /** After 604 what is sent again goes in halves, down to this many records; smaller ones are `InDoubt`. Default: 25. */
  readonly minCount?: number | undefined
  /** How often the same record is sent again. Default: 3. */
  readonly resends?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface AddAllOptions {
  readonly batch?: BatchPolicy | undefined
  /**
   * Calls in flight. Default: 1, so that Marketo stores records in their order. With more, calls may overtake each other;
   * outcomes still come in the order of the input. `ApiLimits` bounds them too.
   */
  readonly concurrency?: number | undefined
  readonly unknown?: UnknownPolicy | undefined
  /** Described types: a record of a type that is not among them, or not approved, is `Invalid`, and not sent. */
  readonly types?: ReadonlyArray<CustomActivityType> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface AddOptions extends Pick<AddAllOptions, "types"> {
  /** Acquired before each attempt, released after each that Marketo did not execute. */
  readonly hold?: MarketoClient.Hold | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ReadBackOptions extends Pick<UnknownPolicy, "identity" | "maxCalls"> {
  /** Whether a stored activity is known to be that of another record, which may be equal to one that is looked for. */
  readonly isKnown?: ((marketoGUID: string) => boolean) | undefined
}

/**
 * What reading back found.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found {
  /** The `marketoGUID` under which each record is stored, by position. */
  readonly guids: ReadonlyArray<Option.Option<string>>
  /** False when `maxCalls` ended the search: what was not found may be there all the same. */
  readonly isComplete: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** How long Marketo may take for one call of `add`: the `timeout` of the policy of `addCustomActivities`. */
  readonly timeout: Duration.Duration
  /**
   * One call: 1 to 300 records, 1 MB encoded. A result for each record, in order. When it fails, the error's `execution`
   * says whether Marketo may have executed it; what is `NotExecuted` has been repeated within the endpoint's policy.
   */
  readonly add: (
    batch: Chunk.NonEmptyChunk<CustomActivity>,
    options?: AddOptions,
  ) => Effect.Effect<Chunk.NonEmptyChunk<Result>, CallError>
  /**
   * Any number: cut into calls by count, bytes and age. Inputs of any shape, so that an offset rides along and comes back
   * with its outcome, in order. What Marketo refuses as a whole and for good ends the stream: nothing new is begun, and what
   * calls under way have stored comes back first. Inputs that have not come back by then were not written, unless the
   * error's `execution` is `Unknown`; so an offset may be committed only up to the first that is missing.
   */
  readonly addAll: <I, E, R>(
    input: Stream.Stream<I, E, R>,
    toActivity: (input: I) => CustomActivity,
    options?: AddAllOptions,
  ) => Stream.Stream<readonly [I, Outcome], MarketoError | E, R>
  /** Looks records up, once; for programs that stopped without knowing what became of a call. */
  readonly readBack: (
    sent: Chunk.Chunk<CustomActivity>,
    options?: ReadBackOptions,
  ) => Effect.Effect<Found, MarketoError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class CustomActivities extends Context.Tag("@effect-marketo/core/CustomActivities")<
  CustomActivities,
  Service
>() {}

const ENDPOINT = "addCustomActivities"
const MAX_CALLS = 200

/** How long `sink` waits for calls under way when its input fails or is interrupted. */
const DRAIN = Duration.seconds(20)

const invalid = (field: string, limit: string) => new MarketoInvalidRequest({ field, limit })

const unchecked: writeBatches.Check = () => undefined

const checkOf = ({ types }: Pick<AddAllOptions, "types">): writeBatches.Check => {
  if (types === undefined) return unchecked
  return ({ activityTypeId }) => {
    const type = types.find(({ id }) => Option.contains(id, activityTypeId))
    if (type === undefined) {
      return invalid("activityTypeId", `${activityTypeId} is none of the custom activity types that were loaded`)
    }
    return type.status === "approved" || type.status === "approved with draft"
      ? undefined
      : invalid("activityTypeId", `${activityTypeId} ("${type.apiName}") must be approved; it is ${type.status}`)
  }
}

/** General answers say `reasons`, this endpoint `errors`; both are read. */
const codesOf = (errors: unknown, reasons: unknown): Skipped["codes"] =>
  [errors, reasons]
    .flatMap((list): ReadonlyArray<unknown> => (Array.isArray(list) ? list : []))
    .map((error) => {
      const { code, message } = Object(error) as { readonly code?: unknown; readonly message?: unknown }
      return { code: toText(code), message: toText(message) }
    })

/** None where the element says neither that the record was added nor that it was skipped. */
const toResult = (result: unknown, requestId: Skipped["requestId"]): Result | undefined => {
  const { errors, id, marketoGUID, reasons, status } = Object(result) as Readonly<Record<string, unknown>>
  const guid = marketoGUID ?? id
  if (status === "skipped") return { _tag: "Skipped", codes: codesOf(errors, reasons), requestId }
  // the swagger lists both
  return (status === "added" || status === "created") && (typeof guid === "string" || typeof guid === "number")
    ? { _tag: "Added", marketoGUID: String(guid), confirmedBy: "answer" }
    : undefined
}

/** Each input that has an outcome, with it. Behind a gap what was never sent is left out too: it can come again. */
const withOutcomes = <I>(
  entries: ReadonlyArray<writeBatches.Entry<I>>,
  outcomes: ReadonlyArray<Outcome | undefined>,
): ReadonlyArray<readonly [I, Outcome]> => {
  const settled: Array<readonly [I, Outcome]> = []
  let next = 0
  let hasGap = false
  for (const entry of entries) {
    if (writeBatches.isItem(entry)) {
      const outcome = outcomes[next++]
      if (outcome === undefined) hasGap = true
      else settled.push([entry.input, outcome])
    } else if (!hasGap) {
      settled.push([entry.input, { _tag: "Invalid", error: entry.error }])
    }
  }
  return settled
}

type Item<I> = writeBatches.Item<I>

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly policies: Readonly<Record<EndpointName, RequestPolicy>>
}): Effect.Effect<Service, never, MarketoClient.MarketoClient | Activities.Activities> =>
  Effect.gen(function* () {
    const client = yield* MarketoClient.MarketoClient
    const activities = yield* Activities.Activities

    const call: (
      items: ReadonlyArray<Item<unknown>>,
      body: Uint8Array,
      hold?: MarketoClient.Hold,
    ) => Effect.Effect<ReadonlyArray<Result>, CallError> = Effect.fnUntraced(function* (items, body, hold) {
      const { path } = endpoints[ENDPOINT]
      const call = { endpoint: ENDPOINT, policy: options.policies[ENDPOINT], hold }
      const answer = yield* client.post(path, body, call)
      const { json, requestId } = answer
      const results = Array.isArray(json.result)
        ? json.result.map((one) => toResult(one, requestId)).filter((result) => result !== undefined)
        : []
      if (results.length !== items.length || results.length !== (json.result as ReadonlyArray<unknown>).length) {
        const { code, execution } = ErrorCode.get("Client", "Result") ?? { code: "Result", execution: "Unknown" }
        return yield* new MarketoUnavailable({
          endpoint: ENDPOINT,
          requestId,
          attempts: 1,
          reason: "Malformed",
          execution,
          code: Option.some(code),
        })
      }
      const added = results.filter((result) => result._tag === "Added").length
      yield* count(Metrics.customActivities, { outcome: "added" }, added)
      yield* count(Metrics.customActivities, { outcome: "skipped" }, results.length - added)
      return results
    })

    const add: Service["add"] = Effect.fnUntraced(function* (batch, addOptions = {}) {
      if (batch.length > writeBatches.MAX_COUNT) {
        return yield* invalid(
          "input",
          `Marketo takes 1 to ${writeBatches.MAX_COUNT} records a call, not ${batch.length}`,
        )
      }
      const limits = { maxCount: writeBatches.MAX_COUNT, maxBytes: writeBatches.MAX_BYTES }
      const filling = new writeBatches.Call<CustomActivity>(limits, checkOf(addOptions))
      for (const activity of batch) {
        if (filling.add(activity, activity, 0)) continue
        return yield* invalid("input", `Marketo takes 1 MB a call, and these ${batch.length} records have more`)
      }
      const { body, entries } = filling.close()
      const items = entries.filter(writeBatches.isItem)
      if (items.length < entries.length) {
        const index = entries.findIndex((entry) => !writeBatches.isItem(entry))
        const { error } = entries[index] as writeBatches.Refused<CustomActivity>
        return yield* invalid(`${index}.${error.field}`, error.limit)
      }
      return Chunk.unsafeFromArray(yield* call(items, body, addOptions.hold)) as Chunk.NonEmptyChunk<Result>
    })

    const addAll: Service["addAll"] = <I, E, R>(
      input: Stream.Stream<I, E, R>,
      toActivity: (input: I) => CustomActivity,
      addOptions: AddAllOptions = {},
    ) => {
      const { batch = {}, concurrency = 1, unknown = {} } = addOptions
      const { maxBytes, maxCount } = batch
      for (const [field, value] of Object.entries({ maxCount, maxBytes, concurrency })) {
        if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
          return Stream.fail(invalid(field, `must be a whole number of at least 1, not ${value}`))
        }
      }
      const check = checkOf(addOptions)
      const settings = { ...unknown, concurrency, maxCalls: unknown.maxCalls ?? MAX_CALLS }
      const write = customWriter.make(activities, (items, body) => call(items, body), settings)
      const policy = {
        maxCount: Math.min(maxCount ?? writeBatches.MAX_COUNT, writeBatches.MAX_COUNT),
        maxBytes: Math.min(maxBytes ?? writeBatches.MAX_BYTES, writeBatches.MAX_BYTES),
        maxWait: Duration.decode(batch.maxWait ?? "30 seconds"),
      }
      return Stream.unwrap(
        Effect.map(Deferred.make<void>(), (stop) => {
          // after a failure nothing new is begun, and what calls under way have stored still comes back
          let failure = Option.none<MarketoError>()
          return writeBatches.batches(input, toActivity, check, policy, Deferred.await(stop)).pipe(
            Stream.mapEffect(
              Effect.fnUntraced(function* ({ body, entries }: writeBatches.Batch<I>) {
                if (Option.isSome(failure)) return Chunk.empty()
                const items = entries.filter(writeBatches.isItem)
                const written = yield* write(items, body)
                if (Option.isSome(written.failure)) {
                  failure = written.failure
                  yield* Deferred.succeed(stop, undefined)
                }
                const settled = withOutcomes(entries, written.outcomes)
                const invalid = settled.filter(([, outcome]) => outcome._tag === "Invalid").length
                yield* count(Metrics.customActivities, { outcome: "invalid" }, invalid)
                // what the ended call leaves behind points to both, and V8 would move all of their records: see `handover.ts`
                entries.length = 0
                items.length = 0
                return Chunk.unsafeFromArray(settled)
              }),
              { concurrency },
            ),
            Stream.flattenChunks,
            Stream.concat(
              Stream.suspend(() =>
                Option.match(failure, { onNone: () => Stream.empty, onSome: (e) => Stream.fail(e) }),
              ),
            ),
          )
        }),
      )
    }

    return CustomActivities.of({
      timeout: Duration.decode(options.policies[ENDPOINT].timeout),
      add,
      addAll,
      readBack: (sent, readOptions = {}) =>
        Chunk.isEmpty(sent)
          ? Effect.succeed({ guids: [], isComplete: true })
          : readBack(activities, Chunk.toReadonlyArray(sent), {
              identity: readOptions.identity,
              maxCalls: readOptions.maxCalls ?? MAX_CALLS,
              isKnown: readOptions.isKnown ?? (() => false),
            }),
    })
  })

/**
 * `addAll` as a Sink. Outcomes go to `onOutcomes`, a call's at a time, because what was not added must not be lost.
 * When the input fails or is interrupted, what came before is written within 20 seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const sink = <E, R>(
  onOutcomes: (outcomes: Chunk.Chunk<readonly [CustomActivity, Outcome]>) => Effect.Effect<void, E, R>,
  options?: AddAllOptions,
): Sink.Sink<void, CustomActivity, never, MarketoError | E, CustomActivities | R> =>
  Sink.unwrapScoped(
    Effect.gen(function* () {
      const service = yield* CustomActivities
      const mailbox = yield* Mailbox.make<CustomActivity>({ capacity: writeBatches.MAX_COUNT })
      const outcomes = service.addAll(Mailbox.toStream(mailbox), (activity) => activity, options)
      // when the input fails, what it gave before is still written and its outcomes are handed on
      const writing = yield* Effect.acquireRelease(
        Effect.forkDaemon(Effect.interruptible(Stream.runForEachChunk(outcomes, onOutcomes))),
        (fiber) =>
          mailbox.end.pipe(
            Effect.zipRight(Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), DRAIN)),
            Effect.zipRight(Fiber.interruptFork(fiber)),
          ),
      )
      const failed = Effect.zipRight(Fiber.join(writing), Effect.never)
      return Sink.forEachChunk((chunk: Chunk.Chunk<CustomActivity>) =>
        Effect.raceFirst(mailbox.offerAll(chunk), failed),
      ).pipe(Sink.mapEffect(() => Effect.zipRight(mailbox.end, Fiber.join(writing))))
    }),
  )

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Parameters<typeof make>[0],
): Layer.Layer<CustomActivities, never, MarketoClient.MarketoClient | Activities.Activities> =>
  Layer.effect(CustomActivities, make(options))
