/**
 * Cuts a stream of records to write into calls: by count, by bytes and by age, in order, nothing lost on the way.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CustomActivity from "../CustomActivity.js"
import { InvalidRequest } from "../MarketoError.js"

/** Marketo's limits for one call: 300 records, 1 MB. */
export const MAX_COUNT = 300
export const MAX_BYTES = 1_000_000

/** Around the records: `{"input":[` … `]}`. */
const ENVELOPE_BYTES = 12

/**
 * A record as it is sent. A class, because V8 makes what a literal makes old from the start once much of it has lived long, and
 * then moves all that it holds there too.
 */
export class Item<I> {
  constructor(
    readonly input: I,
    readonly activity: CustomActivity.CustomActivity,
    readonly text: string,
  ) {}
}

/** An input that is not sent, and why. */
export interface Refused<I> {
  readonly input: I
  readonly error: InvalidRequest
}

export type Entry<I> = Item<I> | Refused<I>

export const isItem = <I>(entry: Entry<I>): entry is Item<I> => entry instanceof Item

export interface Policy {
  readonly maxCount: number
  readonly maxBytes: number
  readonly maxWait: Duration.Duration
}

const encoder = new TextEncoder()

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is that of ASCII
const beyondAscii = /[^\x00-\x7f]/

/** Bytes of a text in UTF-8, with the comma after it. */
const sizeOf = ({ text }: { readonly text: string }): number =>
  (beyondAscii.test(text) ? encoder.encode(text).length : text.length) + 1

/** At least as many; known without a look at the text. */
const boundOf = ({ text }: { readonly text: string }): number => 3 * text.length + 1

/** Whether the records fit into one call. */
export const fit = (items: ReadonlyArray<Item<unknown>>, maxBytes: number): boolean =>
  ENVELOPE_BYTES + items.reduce((sum, item) => sum + boundOf(item), 0) <= maxBytes ||
  ENVELOPE_BYTES + items.reduce((sum, item) => sum + sizeOf(item), 0) <= maxBytes

export const bodyOf = (items: ReadonlyArray<Item<unknown>>): string =>
  `{"input":[${items.map((item) => item.text).join(",")}]}`

export const toEntry = <I>(
  input: I,
  activity: CustomActivity.CustomActivity,
  check: (activity: CustomActivity.CustomActivity) => InvalidRequest | undefined,
): Entry<I> => {
  const text = CustomActivity.toJson(activity)
  if (Either.isLeft(text)) return { input, error: text.left }
  const item = new Item(input, activity, text.right)
  if (!fit([item], MAX_BYTES)) {
    const limit = "the encoded record is over 1 MB, Marketo's limit for a call"
    return { input, error: new InvalidRequest({ field: "attributes", limit }) }
  }
  const error = check(activity)
  return error === undefined ? item : { input, error }
}

/** Chunks of the input that are read ahead, so that it is read while a call is under way. */
const READ_AHEAD = 2

/** One element a call, the taker's own. When the input fails or `stop` ends, what came before goes out first. */
export const batches = <I, E, R>(
  input: Stream.Stream<I, E, R>,
  toEntry: (input: I) => Entry<I>,
  policy: Policy,
  stop: Effect.Effect<void>,
): Stream.Stream<Array<Entry<I>>, E, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(input)
      const maxWait = Duration.toMillis(policy.maxWait)
      const call = new Call<I>(policy)
      /** Inputs that were taken; those from `at` on are not in a call yet. */
      let inputs: ReadonlyArray<I> = []
      let at = 0

      // An array and latches, not a Mailbox: a wait that the clock ends loses nothing, needs no fiber of its own, and no chunk is
      // held by the closures of a suspended offer. V8 keeps those, and copies all that they hold, until its next full collection.
      let ready: Array<Chunk.Chunk<I>> = []
      let end: Exit.Exit<void, E> | undefined
      const isReady = yield* Effect.makeLatch()
      const hasRoom = yield* Effect.makeLatch(true)

      const read = Effect.flatMap(pull, (chunk) => {
        if (ready.push(chunk) === READ_AHEAD) hasRoom.unsafeClose()
        isReady.unsafeOpen()
        return hasRoom.await
      })
      yield* Effect.forever(read).pipe(
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
        inputs = Chunk.toReadonlyArray(Chunk.flatten(Chunk.unsafeFromArray(ready)))
        at = 0
        ready = []
        hasRoom.unsafeOpen()
        if (end === undefined) isReady.unsafeClose()
      }

      const next: Effect.Effect<Option.Option<Array<Entry<I>>>, E> = Effect.gen(function* () {
        for (;;) {
          const now = yield* Clock.currentTimeMillis
          while (at < inputs.length && !call.isFull && call.add(toEntry(inputs[at] as I), now)) at++
          if (call.isFull || at < inputs.length) return Option.some(call.close())
          if (ready.length > 0) {
            take()
            continue
          }
          const isWaiting = call.entries.length > 0
          if (end !== undefined) return isWaiting ? Option.some(call.close()) : yield* Effect.as(end, Option.none())
          if (!isWaiting) {
            yield* isReady.await
          } else {
            const left = call.since + maxWait - now
            if (left <= 0 || Option.isNone(yield* Effect.timeoutOption(isReady.await, left))) {
              return Option.some(call.close())
            }
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
class Call<I> {
  entries: Array<Entry<I>> = []
  #items: Array<Item<I>> = []
  /** When the first entry came, epoch milliseconds. */
  since = 0
  /** A bound on the bytes, exact while `#isExact`: only calls that come near the limit are measured. */
  #bytes = ENVELOPE_BYTES
  #isExact = false

  constructor(readonly policy: Policy) {}

  get isFull(): boolean {
    // entries that are not sent count too, or a run of them would never come back
    return this.entries.length >= this.policy.maxCount
  }

  /** False when the entry does not fit any more. */
  add(entry: Entry<I>, now: number): boolean {
    if (isItem(entry)) {
      if (!this.#fits(entry) && this.#items.length > 0) return false
      this.#bytes += this.#isExact ? sizeOf(entry) : boundOf(entry)
      this.#items.push(entry)
    }
    if (this.entries.length === 0) this.since = now
    this.entries.push(entry)
    return true
  }

  close(): Array<Entry<I>> {
    const { entries } = this
    this.entries = []
    this.#items = []
    this.#bytes = ENVELOPE_BYTES
    this.#isExact = false
    return entries
  }

  #fits(item: Item<I>): boolean {
    if (!this.#isExact) {
      if (this.#bytes + boundOf(item) <= this.policy.maxBytes) return true
      this.#isExact = true
      this.#bytes = this.#items.reduce((sum, other) => sum + sizeOf(other), ENVELOPE_BYTES)
    }
    return this.#bytes + sizeOf(item) <= this.policy.maxBytes
  }
}
