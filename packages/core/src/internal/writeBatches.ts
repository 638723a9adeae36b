/**
 * Cuts a stream of records to write into calls: by count, by bytes and by age, in order, nothing lost on the way.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CustomActivity from "../CustomActivity.js"
import { InvalidRequest } from "../MarketoError.js"

/** Marketo's limits for one call: 300 records, 1 MB. */
export const MAX_COUNT = 300
export const MAX_BYTES = 1_000_000

/** Around the records: `{"input":[` … `]}`. */
const ENVELOPE_BYTES = 12

/** A record as it is sent. */
export interface Item<I> {
  readonly input: I
  readonly activity: CustomActivity.CustomActivity
  readonly text: string
}

/** An input that is sent, or what is wrong with it. */
export type Entry<I> = Either.Either<Item<I>, { readonly input: I; readonly error: InvalidRequest }>

export interface Policy {
  readonly maxCount: number
  readonly maxBytes: number
  readonly maxWait: Duration.Duration
}

const encoder = new TextEncoder()

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is that of ASCII
const beyondAscii = /[^\x00-\x7f]/

/** Bytes of a text in UTF-8, with the comma after it. */
export const bytesOf = (text: string): number =>
  (beyondAscii.test(text) ? encoder.encode(text).length : text.length) + 1

export const bodyOf = (items: ReadonlyArray<Item<unknown>>): string =>
  `{"input":[${items.map((item) => item.text).join(",")}]}`

export const toEntry = <I>(
  input: I,
  activity: CustomActivity.CustomActivity,
  check: (activity: CustomActivity.CustomActivity) => Option.Option<InvalidRequest>,
): Entry<I> => {
  const text = CustomActivity.toJson(activity)
  if (Either.isLeft(text)) return Either.left({ input, error: text.left })
  if (bytesOf(text.right) + ENVELOPE_BYTES > MAX_BYTES) {
    const limit = "the encoded record is over 1 MB, Marketo's limit for a call"
    return Either.left({ input, error: new InvalidRequest({ field: "attributes", limit }) })
  }
  return Option.match(check(activity), {
    onNone: () => Either.right({ input, activity, text: text.right }),
    onSome: (error) => Either.left({ input, error }),
  })
}

interface State<I, E> {
  readonly pending: ReadonlyArray<Entry<I>>
  /** When the first of `pending` came, epoch milliseconds. */
  readonly since: number
  readonly end: Option.Option<Either.Either<void, E>>
}

/** The entries of the next call, and the rest; none while they would fit in one call with room to spare. */
const cut = <I>(
  pending: ReadonlyArray<Entry<I>>,
  policy: Policy,
): readonly [Option.Option<ReadonlyArray<Entry<I>>>, ReadonlyArray<Entry<I>>] => {
  let count = 0
  let bytes = ENVELOPE_BYTES
  for (let i = 0; i < pending.length; i++) {
    const entry = pending[i]
    if (entry === undefined || Either.isLeft(entry)) continue
    const size = bytesOf(entry.right.text)
    if (count === policy.maxCount || (count > 0 && bytes + size > policy.maxBytes)) {
      return [Option.some(pending.slice(0, i)), pending.slice(i)]
    }
    count++
    bytes += size
  }
  return count === policy.maxCount ? [Option.some(pending), []] : [Option.none(), pending]
}

/** One element a call. When the input fails, what came before goes out first. */
export const batches = <I, E, R>(
  input: Stream.Stream<I, E, R>,
  toEntry: (input: I) => Entry<I>,
  policy: Policy,
): Stream.Stream<ReadonlyArray<Entry<I>>, E, R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const ready = yield* Mailbox.fromStream(Stream.chunks(input), { capacity: 2 })
      const maxWait = Duration.toMillis(policy.maxWait)

      const take = Effect.map(Effect.either(ready.takeAll), (taken) =>
        Either.match(taken, {
          onLeft: (error) => ({ entries: [], end: Option.some(Either.left(error)) }),
          onRight: ([chunks, ended]) => ({
            entries: Chunk.toReadonlyArray(Chunk.flatten(chunks)).map(toEntry),
            end: ended ? Option.some(Either.void) : Option.none(),
          }),
        }),
      )

      type Step = readonly [ReadonlyArray<Entry<I>>, State<I, E>]

      const next = (state: State<I, E>): Effect.Effect<Option.Option<Step>, E> =>
        Effect.gen(function* () {
          const [full, rest] = cut(state.pending, policy)
          const now = yield* Clock.currentTimeMillis
          if (Option.isSome(full)) return Option.some([full.value, { ...state, pending: rest, since: now }] as const)
          const isWaiting = state.pending.length > 0
          if (Option.isSome(state.end)) {
            if (isWaiting) return Option.some([state.pending, { ...state, pending: [] }] as const)
            return yield* Either.match(state.end.value, { onLeft: Effect.fail, onRight: () => Effect.succeedNone })
          }
          const more = isWaiting
            ? yield* Effect.timeoutOption(take, Math.max(0, state.since + maxWait - now))
            : Option.some(yield* take)
          if (Option.isNone(more)) return Option.some([state.pending, { ...state, pending: [] }] as const)
          const { end, entries } = more.value
          const since = isWaiting ? state.since : yield* Clock.currentTimeMillis
          return yield* next({ pending: isWaiting ? [...state.pending, ...entries] : entries, since, end })
        })

      const start: State<I, E> = { pending: [], since: 0, end: Option.none() }
      return Stream.unfoldEffect(start, next)
    }),
  )
