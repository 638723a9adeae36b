/**
 * The contract that every sink keeps, and two ways to make a sink of your own in ten lines.
 *
 * A sink takes batches of records *with* the checkpoint after them and makes both durable, together where the
 * destination can. The rules, which `@effect-marketo/sink-testing` checks:
 *
 * - **Fence, then read**: `open` first makes sure that no older writer of the subscription can still commit, then reads
 *   the newest checkpoint.
 * - `write` is called one at a time and succeeds when records, rejected elements and checkpoint are durable. A batch may
 *   have no records.
 * - The sink retries its own destination and settles a doubtful commit itself: it opens anew and reads its checkpoint.
 *   The batch's `sequence` = it was done; one less = send again; anything else = `Fenced`.
 * - A failed or interrupted writer is spent; open another. Interruption at any point equals a crash at that point.
 * - A checkpoint's text is stored verbatim; sinks look at nothing in it but `sequence`.
 *
 * Two sinks merged into one Layer compile and keep only one of them; run two pipelines instead.
 *
 * @example
 * import { ActivitySink, CheckpointStore } from "@effect-marketo/core"
 * import { Chunk, Console, Layer } from "effect"
 *
 * export const ConsoleSink = ActivitySink.layerFromWrite({
 *   name: "console",
 *   write: (records) => Console.log(Chunk.map(records, (r) => r.text).pipe(Chunk.join("\n")))
 * }).pipe(Layer.provide(CheckpointStore.layerMemory))
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type { ActivityRecord, Rejected } from "./ActivityRecord.js"
import * as Checkpoint from "./Checkpoint.js"
import { CheckpointStore } from "./CheckpointStore.js"
import { CheckpointRefused } from "./MarketoError.js"
import { SinkError } from "./SinkError.js"
import * as Subscription from "./Subscription.js"

/**
 * What is made durable together.
 *
 * @since 0.1.0
 * @category models
 */
export interface Batch<out A = unknown> {
  readonly records: Chunk.Chunk<ActivityRecord<A>>
  /** Non-empty only when the pipeline was told to keep what it cannot decode. */
  readonly rejected: Chunk.Chunk<Rejected>
  /** The state of the whole subscription after these records. */
  readonly checkpoint: Checkpoint.Checkpoint
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Writer {
  readonly subscription: Subscription.Subscription
  /** The newest durable checkpoint, read after every other writer of this subscription was shut out. */
  readonly checkpoint: Option.Option<Checkpoint.Checkpoint>
  /**
   * Succeeds when records, rejected and checkpoint are durable, together or in this order. Called one at a time.
   * Interruption at any point equals a crash at that point. After a failure or an interruption the writer is spent.
   */
  readonly write: (batch: Batch) => Effect.Effect<void, SinkError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Names the sink in errors, logs and metrics. */
  readonly name: string
  readonly delivery: "exactly-once" | "at-least-once"
  readonly open: (subscription: Subscription.Subscription) => Effect.Effect<Writer, SinkError, Scope.Scope>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class ActivitySink extends Context.Tag("@effect-marketo/core/ActivitySink")<ActivitySink, Service>() {}

const toSinkError =
  (sink: string, description: string) =>
  (cause: unknown): SinkError => {
    if (cause instanceof SinkError) return cause
    if (cause instanceof CheckpointRefused) {
      return new SinkError({ sink, reason: "CheckpointRefused", description: cause.advice, cause })
    }
    return new SinkError({ sink, reason: "Other", description, cause })
  }

const fenced = (sink: string, key: string) =>
  new SinkError({ sink, reason: "Fenced", description: `another writer of ${key} took over; this one wrote nothing` })

/**
 * Reads a checkpoint's stored text for `subscription`; what cannot be used is a `SinkError` with the reason
 * `CheckpointRefused`. For sinks that keep their own text.
 *
 * @since 0.1.0
 * @category conversions
 */
export const readCheckpoint = (
  sink: string,
  subscription: Subscription.Subscription,
  json: Option.Option<string>,
): Effect.Effect<Option.Option<Checkpoint.Checkpoint>, SinkError> =>
  Effect.transposeMapOption(json, (text) => Checkpoint.fromJson(text, subscription)).pipe(
    Effect.mapError(toSinkError(sink, "the checkpoint cannot be read")),
  )

/**
 * A destination that stores the checkpoint's text in the same transaction as the records: exactly once.
 *
 * `write` must make records, rejected elements and `commit.json` (under `commit.key`) durable in one transaction. Older
 * writers in this process are shut out here, those of other processes by `checkpoint`, if your destination can.
 * Errors and requirements are your own: the requirements are taken when the sink is made, an error becomes the `cause` of
 * a `SinkError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromTransaction = <E1, R1, E2, R2>(options: {
  readonly name: string
  /** The text stored last under `key`. Runs at `open`: shut out writers of `key` in other processes here, if you can. */
  readonly checkpoint: (key: string) => Effect.Effect<Option.Option<string>, E1, R1>
  readonly write: (batch: Batch, commit: { readonly key: string; readonly json: string }) => Effect.Effect<void, E2, R2>
  /** Default: `"exactly-once"`. */
  readonly delivery?: Service["delivery"] | undefined
}): Effect.Effect<Service, never, R1 | R2> =>
  Effect.map(Effect.context<R1 | R2>(), (context) => {
    const { name } = options
    /** The newest writer of each subscription in this process; an older one writes no more. */
    const newest = new Map<string, object>()
    return {
      name,
      delivery: options.delivery ?? "exactly-once",
      open: (subscription) =>
        Effect.gen(function* () {
          const key = Subscription.key(subscription)
          const self = {}
          newest.set(key, self)
          const json = yield* options
            .checkpoint(key)
            .pipe(
              Effect.mapError(toSinkError(name, `reading the checkpoint of ${key} failed`)),
              Effect.provide(context),
            )
          const checkpoint = yield* readCheckpoint(name, subscription, json)
          const write: Writer["write"] = (batch) =>
            Effect.suspend(
              (): Effect.Effect<void, E2 | SinkError, R2> =>
                newest.get(key) === self
                  ? options.write(batch, { key, json: Checkpoint.toJson(batch.checkpoint) })
                  : fenced(name, key),
            ).pipe(
              Effect.mapError(toSinkError(name, `writing batch ${batch.checkpoint.sequence} of ${key} failed`)),
              Effect.provide(context),
            )
          return { subscription, checkpoint, write }
        }),
    }
  })

/**
 * Your write, then the checkpoint in a `CheckpointStore`: at least once. A crash between the two writes the batch again.
 *
 * Without `rejected`, a batch with elements that could not be decoded fails instead of losing them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromWrite = <E, R>(options: {
  readonly name: string
  /** Succeeds when every record is durable at the destination. */
  readonly write: (records: Chunk.NonEmptyChunk<ActivityRecord<unknown>>) => Effect.Effect<void, E, R>
  readonly rejected?: ((rejected: Chunk.NonEmptyChunk<Rejected>) => Effect.Effect<void, E, R>) | undefined
}): Effect.Effect<Service, never, R | CheckpointStore> =>
  fromTransaction({
    name: options.name,
    delivery: "at-least-once",
    checkpoint: (key) => Effect.flatMap(CheckpointStore, (store) => store.get(key)),
    write: ({ records, rejected }, { json, key }) =>
      Effect.gen(function* () {
        if (Chunk.isNonEmpty(records)) yield* options.write(records)
        if (Chunk.isNonEmpty(rejected)) {
          if (options.rejected === undefined) {
            return yield* new SinkError({
              sink: options.name,
              reason: "RecordRejected",
              description: `${rejected.length} elements could not be decoded and this sink has no place for them: give it \`rejected\`, or read with \`undecodable: "fail"\``,
            })
          }
          yield* options.rejected(rejected)
        }
        const store = yield* CheckpointStore
        yield* store.set(key, json)
      }),
  })

/**
 * `fromWrite` as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFromWrite = <E, R>(
  options: Parameters<typeof fromWrite<E, R>>[0],
): Layer.Layer<ActivitySink, never, R | CheckpointStore> => Layer.effect(ActivitySink, fromWrite(options))

/**
 * `fromTransaction` as a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFromTransaction = <E1, R1, E2, R2>(
  options: Parameters<typeof fromTransaction<E1, R1, E2, R2>>[0],
): Layer.Layer<ActivitySink, never, R1 | R2> => Layer.effect(ActivitySink, fromTransaction(options))

/**
 * What `layerMemory` holds, for assertions.
 *
 * @since 0.1.0
 * @category testing
 */
export class Memory extends Context.Tag("@effect-marketo/core/ActivitySink/Memory")<
  Memory,
  {
    /** Every batch made durable, oldest first, of all subscriptions. */
    readonly batches: Effect.Effect<ReadonlyArray<Batch>>
  }
>() {}

interface MemoryState {
  readonly batches: ReadonlyArray<Batch>
  readonly subscriptions: ReadonlyMap<
    string,
    { readonly writer: number; readonly sequence: number; readonly json: Option.Option<string> }
  >
}

/**
 * In memory, exactly once, with fencing: a model of a good sink, for tests of pipelines. Grows with what is written.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerMemory: Layer.Layer<ActivitySink | Memory> = Layer.effectContext(
  Effect.gen(function* () {
    const state = yield* Ref.make<MemoryState>({ batches: [], subscriptions: new Map() })
    const name = "memory"
    const open: Service["open"] = (subscription) =>
      Effect.gen(function* () {
        const key = Subscription.key(subscription)
        const { json, writer } = yield* Ref.modify(state, (s) => {
          const before = s.subscriptions.get(key) ?? { writer: 0, sequence: 0, json: Option.none() }
          const entry = { ...before, writer: before.writer + 1 }
          return [entry, { ...s, subscriptions: new Map(s.subscriptions).set(key, entry) }] as const
        })
        const write: Writer["write"] = (batch) =>
          Effect.flatten(
            Ref.modify(state, (s): readonly [Effect.Effect<void, SinkError>, MemoryState] => {
              const entry = s.subscriptions.get(key)
              if (entry?.writer !== writer) {
                return [fenced(name, key), s]
              }
              const { sequence } = batch.checkpoint
              if (sequence !== entry.sequence + 1) {
                const description = `batch ${sequence} of ${key} does not follow batch ${entry.sequence}`
                return [new SinkError({ sink: name, reason: "Other", description }), s]
              }
              const next = { writer, sequence, json: Option.some(Checkpoint.toJson(batch.checkpoint)) }
              const subscriptions = new Map(s.subscriptions).set(key, next)
              return [Effect.void, { batches: [...s.batches, batch], subscriptions }]
            }),
          )
        return { subscription, checkpoint: yield* readCheckpoint(name, subscription, json), write }
      })
    return Context.make(ActivitySink, ActivitySink.of({ name, delivery: "exactly-once", open })).pipe(
      Context.add(Memory, Memory.of({ batches: Effect.map(Ref.get(state), (s) => s.batches) })),
    )
  }),
)
