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
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Activities, type Service as ActivitiesService, type ReadOptions } from "./Activities.js"
import type { ActivityRecord } from "./ActivityRecord.js"
import { ActivitySink, type Writer } from "./ActivitySink.js"
import { Checkpoint, type Position } from "./Checkpoint.js"
import type { Feed } from "./Feed.js"
import { count } from "./internal/count.js"
import { InvalidRequest, type MarketoError } from "./MarketoError.js"
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
  /** Characters of the records' texts. Default: 4 Mi. */
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
): Stream.Stream<Progress, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  write(options, (activities, start) => activities.pages(options.feed, start))

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
 * For ever: reads until caught up, waits `every`, reads on. The sink's writer is held all the time.
 *
 * An idle poll costs one call for each chain of ten types; Marketo's daily quota is 50,000 calls for all integrations,
 * so a poll every 10 s spends 17 % of it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tail = <A, E = never, R = never>(
  options: Options<A, E, R> & {
    /** From the end of one read to the start of the next. */
    readonly every: Duration.DurationInput
  },
): Effect.Effect<never, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  write(options, (activities, start) =>
    Stream.unwrap(
      Effect.map(Ref.make(start.positions), (positions) =>
        Stream.unwrap(
          Effect.map(Ref.get(positions), (known) => activities.pages(options.feed, { ...start, positions: known })),
        ).pipe(
          Stream.tap((page) => Ref.set(positions, page.positions)),
          Stream.repeat(Schedule.spaced(options.every)),
        ),
      ),
    ),
  ).pipe(Stream.runDrain, Effect.zipRight(Effect.never))

/** The life of one writer: open, note the start, then write what `pagesFrom` brings. */
const write = <A, E, R>(
  options: Options<A, E, R>,
  pagesFrom: (
    activities: ActivitiesService,
    start: ReadOptions & { readonly since: DateTime.Utc | string; readonly positions: ReadonlyArray<Position> },
  ) => Stream.Stream<Page<A>, MarketoError>,
): Stream.Stream<Progress, MarketoError | SinkError | E, Activities | ActivitySink | R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const { batchSize, concurrency, feed, name, since, transform, undecodable } = options
      if (name.trim() === "" || name.length > 200) {
        return yield* new InvalidRequest({ field: "name", limit: "a pipeline's name has 1 to 200 characters" })
      }
      const activities = yield* Activities
      const sink = yield* ActivitySink
      const writer = yield* sink.open({ name, instance: activities.instance })
      const known = Option.match(writer.checkpoint, { onNone: () => [], onSome: (c) => c.positions })
      const start = { batchSize, concurrency, undecodable, since }
      const positions = yield* activities.positions(feed, { ...start, positions: known })
      const pages = pagesFrom(activities, { ...start, positions })
      const transformed: Stream.Stream<Page<unknown>, MarketoError | E, R> = transform === undefined
        ? pages
        : Stream.mapEffect(pages, (page) =>
            Chunk.isEmpty(page.records)
              ? Effect.succeed<Page<unknown>>(page)
              : Effect.map(transform(page.records), (records) => ({ ...page, records })),
          )
      if (positions.length === known.length) return into(writer, options)(transformed)
      // a page of no call: makes the start durable before the first call
      const begin: Page<unknown> = {
        records: Chunk.empty(),
        rejected: Chunk.empty(),
        positions,
        moreResult: true,
        requestId: "",
      }
      const first = yield* writeBatch(writer, options, merge([begin]), sequenceOf(writer) + 1)
      return Stream.concat(Stream.succeed(first), writeFrom(writer, options, first.sequence)(transformed))
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
    writeFrom(writer, options, sequenceOf(writer))(pages)

const sequenceOf = (writer: Writer): number =>
  Option.match(writer.checkpoint, { onNone: () => 0, onSome: (checkpoint) => checkpoint.sequence })

interface State {
  /** Batches made durable. */
  readonly sequence: number
  /** When the newest of them was, epoch milliseconds. */
  readonly written: number
  /** Pages taken and not yet durable. */
  readonly pending: ReadonlyArray<Page<unknown>>
  readonly ended: boolean
}

const writeFrom =
  (writer: Writer, options: WriteOptions, sequence: number) =>
  <E, R>(pages: Stream.Stream<Page<unknown>, E, R>): Stream.Stream<Progress, E | SinkError, R> =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const ready = yield* Mailbox.fromStream(pages, { capacity: READ_AHEAD })
        const checkpointEvery = Duration.toMillis(options.batch?.checkpointEvery ?? "5 seconds")

        /** Takes what is ready and writes the next batch of it, or waits for more where that can wait. */
        const next = (state: State): Effect.Effect<readonly [Progress | undefined, State], E | SinkError> =>
          Effect.gen(function* () {
            const [batch, rest] = cut(state.pending, options.batch)
            const now = yield* Clock.currentTimeMillis
            const isEmpty = batch.every((p) => Chunk.isEmpty(p.records) && Chunk.isEmpty(p.rejected))
            const isDue = state.ended || now - state.written >= checkpointEvery
            if (batch.length === 0 || (isEmpty && !isDue)) {
              const [taken, ended] = yield* ready.takeAll
              return [undefined, { ...state, pending: [...batch.slice(-1), ...taken], ended }]
            }
            const progress = yield* writeBatch(writer, options, merge(batch), state.sequence + 1)
            const written = yield* Clock.currentTimeMillis
            return [progress, { ...state, sequence: progress.sequence, written, pending: rest }]
          })

        return Stream.unfoldChunkEffect(
          { sequence, written: yield* Clock.currentTimeMillis, pending: [], ended: false } as State,
          (state) =>
            state.ended && state.pending.length === 0
              ? Effect.succeedNone
              : Effect.map(next(state), ([progress, after]) =>
                  Option.some([Chunk.fromIterable(progress === undefined ? [] : [progress]), after] as const),
                ),
        )
      }),
    )

/** The longest run of pages within the policy, and the rest. The first page with records always fits. */
const cut = (
  pages: ReadonlyArray<Page<unknown>>,
  policy: BatchPolicy = {},
): readonly [ReadonlyArray<Page<unknown>>, ReadonlyArray<Page<unknown>>] => {
  const { maxBytes = 4 * 1024 * 1024, maxCount = 3_000 } = policy
  let records = 0
  let characters = 0
  for (const [index, page] of pages.entries()) {
    const isFirst = records === 0
    records += page.records.length
    for (const { text } of Chunk.toReadonlyArray(page.records)) characters += text.length
    if (!isFirst && (records > maxCount || characters > maxBytes)) return [pages.slice(0, index), pages.slice(index)]
  }
  return [pages, []]
}

const merge = (pages: ReadonlyArray<Page<unknown>>) => {
  const last = pages[pages.length - 1]
  return {
    records: Chunk.flatten(Chunk.unsafeFromArray(pages.map((page) => page.records))),
    rejected: Chunk.flatten(Chunk.unsafeFromArray(pages.map((page) => page.rejected))),
    positions: last?.positions ?? [],
    caughtUp: last?.moreResult === false,
  }
}

const writeBatch = (
  writer: Writer,
  options: WriteOptions,
  { caughtUp, positions, records, rejected }: ReturnType<typeof merge>,
  sequence: number,
): Effect.Effect<Progress, SinkError> =>
  Effect.gen(function* () {
    const { instance, name: subscription } = writer.subscription
    const checkpoint = new Checkpoint({ v: 1, instance, subscription, sequence, positions })
    yield* drained(options.drain ?? "20 seconds")(writer.write({ records, rejected, checkpoint }))
    yield* count(Metrics.batchesWritten, { subscription })
    yield* count(Metrics.activitiesWritten, { subscription }, records.length)
    const oldest = Math.min(...positions.map((position) => DateTime.toEpochMillis(position.through)))
    const lag = ((yield* Clock.currentTimeMillis) - oldest) / 1000
    yield* Effect.tagMetrics(Metric.set(Metrics.lag, lag), { subscription })
    return { records: records.length, rejected: rejected.length, sequence, caughtUp }
  }).pipe(
    Effect.withSpan("Pipeline.write", {
      captureStackTrace: false,
      attributes: { "marketo.subscription": writer.subscription.name, "messaging.batch.message_count": records.length },
    }),
  )

/**
 * A write that an interruption lets finish within `drain`, and no longer.
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
              Effect.zipRight(Fiber.interruptFork(fiber)),
            ),
          ),
        ),
      ),
    )
