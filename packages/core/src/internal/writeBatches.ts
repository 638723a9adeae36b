/**
 * Cuts a stream of records to write into calls: by count, by bytes and by age, in order, nothing lost on the way.
 */
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CustomActivity from "../CustomActivity.js"
import { MarketoInvalidRequest } from "../MarketoError.js"
import { JsonBytes } from "./jsonBytes.js"
import * as monotonic from "./monotonic.js"

/** Marketo's limits for one call: 300 records, 1 MB. */
export const MAX_COUNT = 300
export const MAX_BYTES = 1_000_000

const COMMA = 0x2c
const BEFORE = `{"input":[`
const AFTER = "]}"

/**
 * A record as it is sent. A class, because V8 makes what a literal makes old from the start once much of it has lived long, and
 * then moves all that it holds there too.
 */
export class Item<I> {
  constructor(
    readonly input: I,
    readonly activity: CustomActivity.CustomActivity,
    /** Where its JSON is in the body of its call. */
    readonly from: number,
    readonly until: number,
  ) {}
}

/** An input that is not sent, and why. */
export interface Refused<I> {
  readonly input: I
  readonly error: MarketoInvalidRequest
}

export type Entry<I> = Item<I> | Refused<I>

export const isItem = <I>(entry: Entry<I>): entry is Item<I> => entry instanceof Item

export interface Policy {
  readonly maxCount: number
  readonly maxBytes: number
  readonly maxWait: Duration.Duration
}

/** Why a record that can be encoded must not be sent. */
export type Check = (activity: CustomActivity.CustomActivity) => MarketoInvalidRequest | undefined

const tooLarge = (bytes: number): MarketoInvalidRequest | undefined =>
  BEFORE.length + bytes + AFTER.length <= MAX_BYTES
    ? undefined
    : new MarketoInvalidRequest({
        field: "attributes",
        limit: "the encoded record is over 1 MB, Marketo's limit for a call",
      })

/** A call that is ready to go out. The entries are the taker's own. */
export interface Batch<I> {
  readonly entries: Array<Entry<I>>
  /** The JSON of those that are sent. */
  readonly body: Uint8Array
}

/** Of a usual call. From 128 KiB on, allocators map and unmap memory for each. */
const CAPACITY = 98_304

const openBody = (): JsonBytes => {
  const json = new JsonBytes(CAPACITY)
  json.ascii(BEFORE)
  return json
}

/** The body for some records of a call, as they were in the call's own body. */
export const bodyOf = (items: ReadonlyArray<Item<unknown>>, whole: Uint8Array): Uint8Array => {
  const length = items.reduce((sum, { from, until }) => sum + until - from + 1, BEFORE.length + AFTER.length - 1)
  if (length === whole.length) return whole
  const body = new Uint8Array(length).fill(COMMA)
  body.set(whole.subarray(0, BEFORE.length))
  let at = BEFORE.length
  for (const { from, until } of items) {
    body.set(whole.subarray(from, until), at)
    at += until - from + 1
  }
  body.set(whole.subarray(-AFTER.length), at - 1)
  return body
}

/**
 * Lets the call go out whose place in line the next one takes. Effect's fibers come before what Node has to do, and undici writes
 * a request in the next turn of the event loop, so this waits for two: without it the next call would be encoded first, and then
 * nothing be done while the server works. Runtimes without `setImmediate` do it in that order.
 */
const behindIo: Effect.Effect<void> = Effect.repeatN(
  Effect.async<void>((resume) => {
    const immediate = setImmediate(() => resume(Effect.void))
    return Effect.sync(() => clearImmediate(immediate))
  }),
  1,
).pipe(Effect.when(() => typeof setImmediate === "function"))

/** One element a call. When the input fails or `stop` ends, what came before goes out first. */
export const batches = <I, E, R>(
  input: Stream.Stream<I, E, R>,
  toActivity: (input: I) => CustomActivity.CustomActivity,
  check: Check,
  policy: Policy,
  stop: Effect.Effect<void>,
): Stream.Stream<Batch<I>, E, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(input)
      const maxWait = Duration.toMillis(policy.maxWait)
      const call = new Call<I>(policy, check)
      let end: Exit.Exit<void, E> | undefined
      // Latches, not a Mailbox: a wait that the clock ends loses nothing and needs no fiber of its own.
      /** Something to take, or to begin to wait for. */
      const isReady = yield* Effect.makeLatch()
      const hasRoom = yield* Effect.makeLatch()

      /** Inputs that were taken; those from `at` on are not in a call yet. Held here and not by what waits: see `handover.ts`. */
      let inputs: ReadonlyArray<I> = []
      let at = 0

      const fill = Effect.gen(function* () {
        while (at < inputs.length) {
          const now = yield* monotonic.now
          const isFirst = call.entries.length === 0
          while (at < inputs.length && !call.isComplete) {
            const input = inputs[at] as I
            if (call.add(input, toActivity(input), now)) at++
          }
          if (isFirst || call.isComplete) isReady.unsafeOpen()
          if (at === inputs.length) break
          hasRoom.unsafeClose()
          yield* hasRoom.await
          yield* behindIo
        }
        inputs = []
      })

      // the next call is filled while one is under way
      yield* Effect.flatMap(pull, (chunk) => {
        inputs = Chunk.toReadonlyArray(chunk)
        at = 0
        return fill
      }).pipe(
        Effect.forever,
        Effect.catchAll(Option.match({ onNone: () => Effect.void, onSome: Effect.fail })),
        Effect.raceFirst(stop),
        Effect.exit,
        Effect.flatMap((exit) => {
          end = exit
          return isReady.open
        }),
        Effect.forkScoped,
      )

      const take = () => {
        hasRoom.unsafeOpen()
        return Option.some(call.close())
      }

      const next: Effect.Effect<Option.Option<Batch<I>>, E> = Effect.gen(function* () {
        for (;;) {
          const isEmpty = call.entries.length === 0
          if (call.isComplete || (end !== undefined && !isEmpty)) return take()
          if (end !== undefined) return yield* Effect.as(end, Option.none())
          isReady.unsafeClose()
          if (isEmpty) {
            yield* isReady.await
          } else {
            const left = call.since + maxWait - (yield* monotonic.now)
            if (left <= 0) return take()
            yield* Effect.timeoutOption(isReady.await, left)
          }
        }
      })

      return Stream.repeatEffectOption(
        Effect.flatMap(
          Effect.mapError(next, Option.some),
          Option.match({ onNone: () => Effect.fail(Option.none()), onSome: Effect.succeed }),
        ),
      )
    }),
  )

/** The call that is being filled. */
export class Call<I> {
  entries: Array<Entry<I>> = []
  /** When the first entry came, on the monotonic clock. */
  since = 0
  /** Nothing more fits. */
  isComplete = false
  #json: JsonBytes | undefined
  /** Behind the last record. */
  #end = BEFORE.length
  #records = 0

  constructor(
    readonly limits: Pick<Policy, "maxCount" | "maxBytes">,
    readonly check: Check,
  ) {}

  /** False when the record does not fit any more. */
  add(input: I, activity: CustomActivity.CustomActivity, now: number): boolean {
    const entry = this.#encode(input, activity)
    if (entry === undefined) {
      this.isComplete = true
      return false
    }
    if (this.entries.length === 0) this.since = now
    this.entries.push(entry)
    // entries that are not sent count too, or a run of them would never come back
    this.isComplete = this.entries.length >= this.limits.maxCount
    return true
  }

  #encode(input: I, activity: CustomActivity.CustomActivity): Entry<I> | undefined {
    this.#json ??= openBody()
    const json = this.#json
    json.truncate(this.#end)
    if (this.#records > 0) json.byte(COMMA)
    const from = json.length
    const error = CustomActivity.writeJson(json, activity) ?? tooLarge(json.length - from) ?? this.check(activity)
    if (error !== undefined) return { input, error }
    if (this.#records > 0 && json.length + AFTER.length > this.limits.maxBytes) return undefined
    this.#records++
    this.#end = json.length
    return new Item(input, activity, from, this.#end)
  }

  close(): Batch<I> {
    const json = this.#json ?? openBody()
    json.truncate(this.#end)
    json.ascii(AFTER)
    const batch = { entries: this.entries, body: json.toBytes() }
    this.entries = []
    this.isComplete = false
    this.#records = 0
    this.#end = BEFORE.length
    this.#json = undefined
    return batch
  }
}
