/**
 * Feed → transform → sink: resumes where the sink stands, reads ahead while the sink writes, and makes every batch
 * durable together with the position after it.
 *
 * A pipeline has a name, as a consumer group has: the position hangs on instance and name, so the feed may gain and lose
 * activity types under a name that stays. The first checkpoint is written before the first page is asked for, so that
 * `since` means the first start of the name and nothing later.
 *
 * **Delivery** is the sink's: exactly once where the sink says so. A crash, a kill and an interruption are one thing: the
 * next run reads the sink's newest checkpoint and goes on after it. When interrupted, a write in hand may finish within
 * `drain`, and no longer.
 *
 * @example
 * import { Feed, Pipeline } from "@effect-marketo/core"
 * import { Chunk, Effect } from "effect"
 *
 * // needs Activities | ActivitySink
 * const program = Pipeline.run({
 *   name: "opens-and-clicks",
 *   feed: Feed.leadActivities({ activityTypeIds: [10, 11] }),
 *   since: "2026-01-01T00:00:00Z",
 *   transform: (records) => Effect.succeed(Chunk.filter(records, (r) => r.value.attributes.length > 0))
 * })
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Activities, oldest, type ReadOptions } from "./Activities.js"
import type { ActivityRecord, Rejected } from "./ActivityRecord.js"
import { ActivitySink, type Writer } from "./ActivitySink.js"
import { Checkpoint, type Position } from "./Checkpoint.js"
import type { Feed } from "./Feed.js"
import { count } from "./internal/count.js"
import * as monotonic from "./internal/monotonic.js"
import * as readOptions from "./internal/readOptions.js"
import { type MarketoError, MarketoInvalidRequest } from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import type { Page } from "./Page.js"
import type { SinkError } from "./SinkError.js"

/**
 * Pages that are ready when a write ends go out together, up to these. No timer. A page is never split, so one page may
 * exceed them.
 *
 * @since 0.1.0
 * @category models
 */
export interface BatchPolicy {
  /** Records. Default: 3,000. */
  readonly maxCount?: number | undefined
  /** Bytes of the records' texts, about. Default: 4 Mi. */
  readonly maxBytes?: number | undefined
  /** A batch without records is written at most this often, and at the end. Default: 5 seconds. */
  readonly checkpointEvery?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface WriteOptions {
  readonly batch?: BatchPolicy | undefined
  /** How long a write in hand may take once the pipeline is interrupted. Default: 20 seconds. */
  readonly drain?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<A, E = never, R = never> extends ReadOptions, WriteOptions {
  /** Names the position, as a consumer group does. Change the feed freely, the name never. 1 to 200 characters. */
  readonly name: string
  readonly feed: Feed<A>
  /** Where a new name, or a type that is new under the name, starts. Text must carry a zone. */
  readonly since: DateTime.Utc | string
  /** Records in, records out, a page at a time; the checkpoint is not in its hands. Not called for empty pages. */
  readonly transform?:
    | ((records: Chunk.Chunk<ActivityRecord<A>>) => Effect.Effect<Chunk.Chunk<ActivityRecord<unknown>>, E, R>)
    | undefined
}

/**
 * One durable batch.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly records: number
  readonly rejected: number
  /** Batches made durable under this name, over all runs. */
  readonly sequence: number
  /** Marketo said that there is no more for now. */
  readonly caughtUp: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Summary {
  readonly records: number
  readonly rejected: number
  readonly batches: number
}

/** Pages read ahead while a write runs. */
const READ_AHEAD = 8

/**
 * Reads until caught up: a Stream of `Progress`, one element a durable batch. What is emitted is durable.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = <A, E = never, R = never>(
  options: Options<A, E, R>,
): Stream.Stream<Progress, MarketoError | SinkError | E, Activities | ActivitySink | R> => write(options, undefined)

/**
 * Reads until caught up, and says how much that was.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = <A, E = never, R = never>(
  options: Options<A, E, R>,
): Effect.Effect<Summary, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  Stream.runFold(stream(options), { records: 0, rejected: 0, batches: 0 }, (sum, { records, rejected }) => ({
    records: sum.records + records,
    rejected: sum.rejected + rejected,
    batches: sum.batches + 1,
  }))

/**
 * For ever: reads until caught up, and asks again after `every`; each chain of ten types by itself, so that one which is far
 * behind does not hold up the others. The sink's writer is held all the time.
 *
 * An idle poll costs one call for each chain; Marketo's daily quota is 50,000 calls for all integrations, so a poll every
 * 10 s spends 17 % of it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tail = <A, E = never, R = never>(
  options: Options<A, E, R> & {
    /** From an answer without more results to the next call. At least 1 second. */
    readonly every: Duration.DurationInput
  },
): Effect.Effect<never, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  Effect.zipRight(Stream.runDrain(write(options, options.every)), Effect.dieMessage("a read that follows has ended"))

/** The life of one writer: open, note the start, then write what is read. */
const write = <A, E, R>(
  options: Options<A, E, R>,
  every: Duration.DurationInput | undefined,
): Stream.Stream<Progress, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const { batchSize, concurrency, feed, name, since, transform, undecodable } = options
      const start = { batchSize, concurrency, undecodable, since, every }
      if (name.trim() === "" || name.length > 200) {
        return yield* new MarketoInvalidRequest({ field: "name", limit: "a pipeline's name has 1 to 200 characters" })
      }
      // before the sink shuts another writer out
      yield* readOptions.check(feed, start)
      const activities = yield* Activities
      const sink = yield* ActivitySink
      const writer = yield* sink.open({ name, instance: activities.instance })
      const known = Option.match(writer.checkpoint, { onNone: () => [], onSome: (c) => c.positions })
      const positions = yield* activities.positions(feed, { ...start, positions: known })
      const pages = activities.pages(feed, { ...start, positions })
      const transformed: Stream.Stream<Page<unknown>, MarketoError | E, R> = transform === undefined
        ? pages
        : Stream.mapEffect(pages, (page) =>
            Chunk.isEmpty(page.records)
              ? Effect.succeed<Page<unknown>>(page)
              : Effect.map(transform(page.records), (records) => ({ ...page, records })),
          )
      const written = into(writer, options)(transformed)
      if (positions.length === known.length) return written
      // durable before the first page is asked for, so that `since` means the first start
      const begin = { records: Chunk.empty(), rejected: Chunk.empty(), positions, through: oldest(positions) }
      return Stream.concat(Stream.fromEffect(writeBatch(writer, options, { ...begin, caughtUp: false })), written)
    }),
  )

/**
 * For programs that make their own stream of pages: writes them, and makes the checkpoint of each batch from the pages'
 * positions and the next sequence. Anything may stand between as long as it keeps the pages' order.
 *
 * @since 0.1.0
 * @category combinators
 */
export const into =
  (writer: Writer, options: WriteOptions = {}) =>
  <E, R>(pages: Stream.Stream<Page<unknown>, E, R>): Stream.Stream<Progress, E | SinkError, R> =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const ready = yield* Mailbox.fromStream(pages, { capacity: READ_AHEAD })
        const checkpointEvery = Duration.toMillis(options.batch?.checkpointEvery ?? "5 seconds")

        /** Takes what is ready and writes the next batch of it, or waits for more where that can wait. */
        const next = (state: State): Effect.Effect<readonly [Progress | undefined, State], E | SinkError> =>
          Effect.gen(function* () {
            const [batch, rest] = cut(state.pending, options.batch)
            const now = yield* monotonic.now
            const isEmpty = batch.every((p) => sizeOf(p) === 0)
            const isDue = state.ended || now - state.written >= checkpointEvery
            if (batch.length === 0 || (isEmpty && !isDue)) {
              const [taken, ended] = yield* ready.takeAll
              return [undefined, { ...state, pending: [...batch.slice(-1), ...taken], ended }]
            }
            const progress = yield* writeBatch(writer, options, merge(batch))
            return [progress, { ...state, written: yield* monotonic.now, pending: rest }]
          })

        const start: State = { written: yield* monotonic.now, pending: [], ended: false }
        return Stream.unfoldChunkEffect(start, (state) =>
          state.ended && state.pending.length === 0
            ? Effect.succeedNone
            : Effect.map(next(state), ([progress, after]) =>
                Option.some([Chunk.fromIterable(progress === undefined ? [] : [progress]), after] as const),
              ),
        )
      }),
    )

interface State {
  /** When the newest batch was made durable, epoch milliseconds. */
  readonly written: number
  /** Pages taken and not yet durable. */
  readonly pending: ReadonlyArray<Page<unknown>>
  readonly ended: boolean
}

const sizeOf = (page: Page<unknown>) => page.records.length + page.rejected.length

/** Batches made durable by a writer, which may be written to by several streams in turn. */
const sequences = new WeakMap<Writer, number>()

const sequenceOf = (writer: Writer): number =>
  sequences.get(writer) ??
  Option.match(writer.checkpoint, { onNone: () => 0, onSome: (checkpoint) => checkpoint.sequence })

/** The longest run of pages within the policy, and the rest. The first page with records always fits. */
const cut = (
  pages: ReadonlyArray<Page<unknown>>,
  policy: BatchPolicy = {},
): readonly [ReadonlyArray<Page<unknown>>, ReadonlyArray<Page<unknown>>] => {
  const { maxBytes = 4 * 1024 * 1024, maxCount = 3_000 } = policy
  let count = 0
  let bytes = 0
  for (const [index, page] of pages.entries()) {
    const isFirst = count === 0
    count += sizeOf(page)
    for (const { size } of Chunk.toReadonlyArray(page.records)) bytes += size
    for (const { text } of Chunk.toReadonlyArray(page.rejected)) bytes += text.length
    if (!isFirst && (count > maxCount || bytes > maxBytes)) return [pages.slice(0, index), pages.slice(index)]
  }
  return [pages, []]
}

/** What one write makes durable. */
interface Written {
  readonly records: Chunk.Chunk<ActivityRecord<unknown>>
  readonly rejected: Chunk.Chunk<Rejected>
  readonly positions: ReadonlyArray<Position>
  readonly through: DateTime.Utc
  readonly caughtUp: boolean
}

const merge = (pages: ReadonlyArray<Page<unknown>>): Written => {
  const { moreResult, positions, through } = pages[pages.length - 1] as Page<unknown>
  return {
    records: Chunk.flatten(Chunk.unsafeFromArray(pages.map((page) => page.records))),
    rejected: Chunk.flatten(Chunk.unsafeFromArray(pages.map((page) => page.rejected))),
    positions,
    through,
    caughtUp: !moreResult,
  }
}

const writeBatch = (
  writer: Writer,
  options: WriteOptions,
  { caughtUp, positions, records, rejected, through }: Written,
): Effect.Effect<Progress, SinkError> =>
  Effect.gen(function* () {
    const { instance, name: subscription } = writer.subscription
    const sequence = sequenceOf(writer) + 1
    const checkpoint = new Checkpoint({ v: 1, instance, subscription, sequence, positions })
    yield* drained(options.drain ?? "20 seconds")(writer.write({ records, rejected, checkpoint }))
    sequences.set(writer, sequence)
    yield* count(Metrics.batchesWritten, { subscription })
    yield* count(Metrics.activitiesWritten, { subscription }, records.length)
    const lag = ((yield* Clock.currentTimeMillis) - DateTime.toEpochMillis(through)) / 1000
    yield* Effect.tagMetrics(Metric.set(Metrics.lag, lag), { subscription })
    return { records: records.length, rejected: rejected.length, sequence, caughtUp }
  }).pipe(
    Effect.withSpan("Pipeline.write", {
      captureStackTrace: false,
      attributes: { "marketo.subscription": writer.subscription.name, "messaging.batch.message_count": records.length },
    }),
  )

/**
 * A write that an interruption lets finish within `drain`. After that it is interrupted, and has 5 seconds to end.
 *
 * @since 0.1.0
 * @category combinators
 */
export const drained =
  (drain: Duration.DurationInput) =>
  <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDaemon(restore(write)), (fiber) =>
        restore(Fiber.join(fiber)).pipe(
          Effect.onInterrupt(() =>
            Fiber.await(fiber).pipe(
              Effect.interruptible,
              Effect.timeoutOption(drain),
              // the sink's own clean-up must not meet a write that still goes on
              Effect.zipRight(Effect.timeoutOption(Effect.interruptible(Fiber.interrupt(fiber)), "5 seconds")),
            ),
          ),
        ),
      ),
    )
