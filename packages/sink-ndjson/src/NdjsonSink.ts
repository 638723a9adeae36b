/**
 * Activities into NDJSON files: one line each, exactly once on one disk, over a crash or `kill -9` at any instant.
 *
 * A batch is appended and synced, then the checkpoint file beside it (`<path>.checkpoint.json`) is replaced atomically.
 * It says how many bytes of the file count and how far each subscription has come. On start the file is cut back to
 * that length. What does not fit its checkpoint is refused with advice, never cut or overwritten. This is verified
 * before each batch too, so a file that was deleted, moved or truncated in the meantime fails the write.
 *
 * One layer is one file, one lock and one checkpoint file; any number of subscriptions may share it. A second layer or
 * process on the same file fails with `InUse`. For Linux and macOS, on a local disk.
 *
 * @example
 * import { NdjsonSink } from "@effect-marketo/sink-ndjson"
 *
 * // activities.ndjson.gz, and activities-000001.ndjson.gz, … for each full or ended day
 * export const sink = NdjsonSink.layer({
 *   path: "activities.ndjson.gz",
 *   gzip: true,
 *   rotation: { maxBytes: 1_000_000_000, every: "1 day" }
 * })
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import * as nodePath from "node:path"
import { promisify } from "node:util"
import * as zlib from "node:zlib"
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import * as ActivitySink from "@effect-marketo/core/ActivitySink"
import * as Checkpoint from "@effect-marketo/core/Checkpoint"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Subscription from "@effect-marketo/core/Subscription"
import type * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as checkpointFile from "./internal/checkpointFile.js"
import { io, refused, sink } from "./internal/io.js"
import * as journal from "./internal/journal.js"
import * as lock from "./internal/lock.js"
import * as paths from "./internal/paths.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The file that is written to. Its folder must exist. A symbolic link is resolved once, when the layer is built. */
  readonly path: string
  /**
   * Where elements go that could not be decoded, one a line as Marketo sent them; no two sinks may share it. It is
   * compressed as the file is, and never rotated. Default: `path` with `.rejected` before its extension, e.g.
   * `activities.rejected.ndjson`; created with its first element.
   */
  readonly rejectedPath?: string | undefined
  /** Each batch becomes one gzip member; name the file `….ndjson.gz`. Default: `false`. */
  readonly gzip?: boolean | undefined
  /**
   * Permissions of the files that this sink creates, minus the umask: `0o640` lets the group read them. They include
   * `0o600`. Existing files keep theirs, but the checkpoint file is created anew with each batch. Default: `0o600`,
   * because the files hold personal data.
   */
  readonly mode?: number | undefined
  /**
   * When a file is full, it becomes `activities-000001.ndjson` and so on, and is not touched again. Checked before each
   * batch, an empty one too. Default: never.
   */
  readonly rotation?:
    | {
        /** Largest size in bytes; only a single batch that is larger exceeds it. Default: no limit. */
        readonly maxBytes?: number | undefined
        /** Longest time between the first batch in a file and the last. Default: no limit. */
        readonly every?: Duration.DurationInput | undefined
        /**
         * Rotate at the next batch after this process received the signal. For rotation tools: they must not move the
         * file themselves. Default: none.
         */
        readonly signal?: "SIGHUP" | "SIGUSR2" | undefined
      }
    | undefined
}

/** How long the end of the layer waits for a write in progress. */
const releaseLimit = Duration.seconds(10)

const defaultMode = 0o600

const compress = promisify(zlib.gzip)

const encode = (
  records: Chunk.Chunk<{ readonly text: string }>,
  gzip: boolean,
): Effect.Effect<Uint8Array, SinkError> => {
  const lines = ActivityRecord.toNdjsonBytes(records)
  return gzip && lines.length > 0 ? io("compress a batch", () => compress(lines)) : Effect.succeed(lines)
}

const checkOptions = ({ mode = defaultMode, rotation = {} }: Options): Effect.Effect<void, SinkError> => {
  const wrong = (description: string) => new SinkError({ sink, reason: "Other", description })
  const { every, maxBytes } = rotation
  if (maxBytes !== undefined && !(maxBytes > 0)) return wrong("rotation.maxBytes must be greater than zero")
  if (every !== undefined && Duration.lessThanOrEqualTo(every, Duration.zero)) {
    return wrong("rotation.every must be greater than zero")
  }
  if (!Number.isInteger(mode) || (mode & ~0o777) !== 0 || (mode & 0o600) !== 0o600) {
    return wrong(`mode ${mode} must be from 0o600 to 0o777 and let the owner read and write; write it in octal: 0o640`)
  }
  return Effect.void
}

/** Tells whether the signal came since it was asked last. */
const signalled = (signal: NodeJS.Signals | undefined): Effect.Effect<() => boolean, never, Scope.Scope> =>
  Effect.gen(function* () {
    let came = false
    const listener = () => {
      came = true
    }
    if (signal !== undefined) {
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on(signal, listener)),
        () => Effect.sync(() => process.off(signal, listener)),
      )
    }
    return () => {
      const answer = came
      came = false
      return answer
    }
  })

/** The open folder, and the lock on the file in it. */
const hold = (resolved: paths.Paths) =>
  Effect.gen(function* () {
    const folder = yield* io(`open ${resolved.folder}`, () => fs.open(resolved.folder, "r"))
    const close = Effect.ignoreLogged(io(`close ${resolved.folder}`, () => folder.close()))
    const held = yield* Effect.onError(lock.acquire(resolved, folder), () => close)
    return { folder, lock: held, letGo: Effect.zipRight(held.release, close) }
  })

/** One name at two instances in one file is most likely a mistake: a pipeline that reads another instance. */
const refuseOtherInstance = (
  file: string,
  subscription: Subscription.Subscription,
  subscriptions: Readonly<Record<string, string>>,
): Effect.Effect<void, SinkError> => {
  const own = Subscription.key(subscription)
  const other = Object.keys(subscriptions)
    .filter((key) => key !== own)
    .map((key) => ({ instance: key.slice(0, key.indexOf("/")), name: key.slice(key.indexOf("/") + 1) }))
    .find(({ name }) => name === subscription.name)
  return other === undefined
    ? Effect.void
    : refused(
        `${file} has the activities of "${other.name}" at ${other.instance}, and this one reads from ${subscription.instance}. Connect to ${other.instance}, or use another name or another path`,
      )
}

/**
 * The service, holding the lock until its scope closes. Fails when the files do not fit their checkpoint
 * (`CheckpointRefused`), when another process or layer writes them (`InUse`, after about a second), and when the
 * folder cannot be written (`Unavailable`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<ActivitySink.Service, SinkError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* checkOptions(options)
    const { gzip = false, mode = defaultMode, rotation = {} } = options
    const resolved = yield* paths.resolve(options.path, options.rejectedPath)

    const semaphore = yield* Effect.makeSemaphore(1)
    let opened: journal.Journal | undefined
    let released = false
    const closeJournal = Effect.suspend(() => {
      const closing = opened?.close ?? Effect.void
      opened = undefined
      return closing
    })

    const held = yield* Effect.acquireRelease(hold(resolved), ({ letGo }) =>
      Effect.gen(function* () {
        yield* Effect.timeout(Effect.interruptible(semaphore.take(1)), releaseLimit)
        released = true
        yield* closeJournal
        yield* letGo
        yield* semaphore.release(1)
      }).pipe(
        Effect.catchAll(() =>
          Effect.logWarning(`a write to ${resolved.file} hangs; the file stays locked until this process ends`),
        ),
      ),
    )

    const isSignalled = yield* signalled(rotation.signal)

    const journalOptions: journal.Options = {
      place: { paths: resolved, folder: held.folder, mode },
      lock: held.lock,
      gzip,
      maxBytes: rotation.maxBytes ?? Number.POSITIVE_INFINITY,
      every: Duration.decode(rotation.every ?? Duration.infinity),
    }

    // Uninterruptible, so that an orderly end leaves no partial batch in the file. The wait is uninterruptible too: a
    // semaphore loses its permit if it is interrupted between taking and using it.
    const withJournal = <A>(use: (journal: journal.Journal) => Effect.Effect<A, SinkError>) =>
      Effect.gen(function* () {
        if (released) {
          const description = `the layer that writes ${resolved.file} has ended; write while it is provided`
          return yield* new SinkError({ sink, reason: "Unavailable", description })
        }
        opened ??= yield* journal.open(journalOptions)
        return yield* use(opened)
      }).pipe(semaphore.withPermits(1), Effect.uninterruptible)

    yield* withJournal(() => Effect.void)

    const writers = new Map<string, object>()

    const open: ActivitySink.Service["open"] = (subscription) =>
      Effect.gen(function* () {
        const key = Subscription.key(subscription)
        const token = {}
        const spend = Effect.sync(() => {
          if (writers.get(key) === token) writers.delete(key)
        })
        yield* Effect.addFinalizer(() => spend)
        const json = yield* withJournal((journal) =>
          Effect.gen(function* () {
            const subscriptions = yield* journal.subscriptions
            yield* refuseOtherInstance(resolved.file, subscription, subscriptions)
            writers.set(key, token)
            return Option.fromNullable(subscriptions[key])
          }),
        )
        const write: ActivitySink.Writer["write"] = (batch) =>
          Effect.gen(function* () {
            const data = yield* encode(batch.records, gzip)
            const rejected = yield* encode(batch.rejected, gzip)
            const json = Checkpoint.toJson(batch.checkpoint)
            yield* withJournal((journal) => {
              if (writers.get(key) === token) {
                const commit = { key, json, data, rejected, rotate: isSignalled() }
                return Effect.onError(journal.commit(commit), () => closeJournal)
              }
              const description = `this writer of ${key} cannot be used again, because another one took over, or an earlier write failed or was interrupted. This batch was not written; open a new writer`
              return new SinkError({ sink, reason: "Fenced", description })
            })
          }).pipe(Effect.onError(() => spend))
        return { subscription, checkpoint: yield* ActivitySink.readCheckpoint(sink, subscription, json), write }
      })

    return ActivitySink.ActivitySink.of({ name: sink, delivery: "exactly-once", open })
  })

/**
 * See `make`. Bind it to a `const` when several pipelines share it: each call is a layer of its own, and the second one
 * on a file fails with `InUse`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ActivitySink.ActivitySink, SinkError> =>
  Layer.scoped(ActivitySink.ActivitySink, make(options))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>,
): Layer.Layer<ActivitySink.ActivitySink, SinkError | ConfigError> =>
  Layer.scoped(ActivitySink.ActivitySink, Effect.flatMap(Config.unwrap(options), make))

/**
 * The files of a sink in the order of writing: the rotated ones that are still in the folder, then, if there is one, the
 * file that is written to. Rotated files are complete and yours to move. The last one may end, while a sink is running
 * or after a crash, in bytes of a batch that does not count yet.
 *
 * @since 0.1.0
 * @category accessors
 */
export const files = (path: string): Effect.Effect<ReadonlyArray<string>, SinkError> =>
  Effect.gen(function* () {
    const resolved = yield* paths.resolve(path)
    const stored = yield* checkpointFile.read(resolved)
    const rotations = Option.match(stored, { onNone: () => 0, onSome: ({ content }) => content.rotations })
    const names = new Set(yield* io(`list ${resolved.folder}`, () => fs.readdir(resolved.folder)))
    const all = Array.from({ length: rotations }, (_, i) => paths.rotated(resolved, i + 1))
    return [...all, resolved.file].filter((file) => names.has(nodePath.basename(file)))
  })
