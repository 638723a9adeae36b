/**
 * The data file, the rejected file and the checkpoint file as one thing that is either before a batch or after it.
 *
 * A commit appends and syncs, then replaces the checkpoint file, which says how many bytes count. Whatever goes wrong
 * before the replacement leaves bytes that do not count, and `open` cuts them off. After any failure the journal must
 * be opened again, with new file handles: a sync that failed once may succeed the second time without having written
 * anything.
 *
 * Calls are made one at a time, and not interrupted.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as checkpointFile from "./checkpointFile.js"
import { io, refused, sink, sizeOf } from "./io.js"
import { type Paths, rotated } from "./paths.js"

export interface Options {
  readonly paths: Paths
  readonly folder: fs.FileHandle
  readonly gzip: boolean
  readonly maxBytes: number
  readonly every: Duration.Duration
}

export interface Commit {
  readonly key: string
  readonly json: string
  readonly data: Uint8Array
  readonly rejected: Uint8Array
}

export interface Journal {
  /** Each subscription's checkpoint text. */
  readonly subscriptions: Effect.Effect<Readonly<Record<string, string>>>
  readonly commit: (commit: Commit) => Effect.Effect<void, SinkError>
  readonly close: Effect.Effect<void>
}

const close = (handle: fs.FileHandle): Effect.Effect<void> =>
  Effect.ignoreLogged(io("close a file", () => handle.close()))

/** Makes a file, and its name durable. */
const openNew = (file: string): Effect.Effect<fs.FileHandle, SinkError> =>
  Effect.gen(function* () {
    const handle = yield* io(`make ${file}`, () => fs.open(file, "wx"))
    const syncFolder = io(`sync the folder of ${file}`, async () => {
      const folder = await fs.open(path.dirname(file), "r")
      await folder.sync().finally(() => folder.close())
    })
    yield* Effect.onError(syncFolder, () => close(handle))
    return handle
  })

const truncate = (file: string, handle: fs.FileHandle, length: number): Effect.Effect<void, SinkError> =>
  io(`cut ${file} back`, () => handle.truncate(length))

/** The file's size; refuses a file that is shorter than what counts of it. */
const sizeFor = (file: string, length: number): Effect.Effect<Option.Option<number>, SinkError> =>
  Effect.tap(sizeOf(file), (found) => {
    const size = Option.getOrElse(found, () => 0)
    return size < length
      ? refused(
          `${file} has ${size} bytes and its checkpoint counts ${length}: it was cut, replaced or moved away. Put it back, or use another path`,
        )
      : Effect.void
  })

/** Opens a file of which `length` bytes count and cuts off the rest. */
const openAt = (file: string, length: number): Effect.Effect<fs.FileHandle, SinkError> =>
  Effect.gen(function* () {
    const size = yield* sizeFor(file, length)
    if (Option.isNone(size)) return yield* openNew(file)
    const handle = yield* io(`open ${file}`, () => fs.open(file, "r+"))
    if (size.value > length) yield* Effect.onError(truncate(file, handle, length), () => close(handle))
    return handle
  })

const append = (file: string, handle: fs.FileHandle, bytes: Uint8Array, length: number) =>
  io(`write ${file}`, async () => {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, length + done)
      done += bytesWritten
    }
    await handle.datasync()
  })

/** Adds to an error what has become of the batch in hand. */
const andSays = (outcome: string) =>
  Effect.mapError(
    ({ cause, description, reason }: SinkError) =>
      new SinkError({ sink, reason, description: `${description}. ${outcome}`, cause }),
  )

const save = ({ folder, paths }: Options, content: checkpointFile.CheckpointFile) =>
  Effect.zipRight(checkpointFile.prepare(paths, content), checkpointFile.publish(paths, folder))

/** The checkpoint of a start from nothing; made durable before the first byte, so that a cut finds it. */
const initialize = (options: Options) =>
  Effect.gen(function* () {
    const { gzip, paths } = options
    for (const file of [paths.file, paths.rejected]) {
      if (Option.getOrElse(yield* sizeOf(file), () => 0) > 0) {
        return yield* refused(
          `${file} is not empty and ${paths.checkpoint} is missing. Put the checkpoint file back, or move ${file} away, or use another path`,
        )
      }
    }
    const content: checkpointFile.CheckpointFile = {
      v: 1,
      file: paths.name,
      gzip,
      length: 0,
      rejectedLength: 0,
      since: yield* DateTime.now,
      rotations: 0,
      renaming: false,
      subscriptions: {},
    }
    yield* save(options, content)
    return content
  })

/** Gives a complete data file its final name, never over another file. */
const rename = (options: Options, content: checkpointFile.CheckpointFile) =>
  Effect.gen(function* () {
    const { folder, paths } = options
    const target = rotated(paths, content.rotations)
    yield* refuseTaken(target)
    yield* io(`rename ${paths.file} to ${target}`, async () => {
      await fs.rename(paths.file, target)
      await folder.sync()
    })
  })

const refuseTaken = (target: string) =>
  Effect.flatMap(sizeOf(target), (size) =>
    Option.isNone(size)
      ? Effect.void
      : new SinkError({
          sink,
          reason: "Unavailable",
          description: `the next rotated file is to be ${target}, and there is one; move it away and start again`,
        }),
  )

/** After the rename, and before there is a new data file: the next file begins. */
const begin = (options: Options, content: checkpointFile.CheckpointFile) =>
  Effect.gen(function* () {
    const begun = { ...content, length: 0, renaming: false, since: yield* DateTime.now }
    yield* save(options, begun)
    return begun
  })

/** Ends a rotation that was under way. The data file is there exactly as long as it was not renamed. */
const endRotation = (options: Options, content: checkpointFile.CheckpointFile) =>
  Effect.gen(function* () {
    const { paths } = options
    if (Option.isSome(yield* sizeOf(paths.file))) {
      yield* Effect.flatMap(openAt(paths.file, content.length), close)
      yield* rename(options, content)
    }
    return yield* begin(options, content)
  })

const recover = (options: Options) =>
  Effect.gen(function* () {
    const { folder, gzip, paths } = options
    yield* io(`remove ${paths.temporary}`, () => fs.rm(paths.temporary, { force: true }))
    const stored = yield* checkpointFile.read(paths)
    if (Option.isNone(stored)) return yield* initialize(options)
    if (stored.value.gzip !== gzip) {
      const written = stored.value.gzip ? "with gzip" : "without gzip"
      return yield* refused(`${paths.file} was begun ${written}; go on ${written}, or use another path`)
    }
    // before the data file is cut: what is refused is left as it is
    yield* sizeFor(paths.rejected, stored.value.rejectedLength)
    // what was read may still be in the page cache only
    yield* io(`sync ${paths.folder}`, () => folder.sync())
    return stored.value.renaming ? yield* endRotation(options, stored.value) : stored.value
  })

/** Brings the files to what the checkpoint file says, and opens them. */
export const open = (options: Options): Effect.Effect<Journal, SinkError> =>
  Effect.gen(function* () {
    const { paths } = options
    let content = yield* recover(options)
    let data = yield* openAt(paths.file, content.length)
    // an empty rejected file would alarm; it is made with its first element
    let rejected = Option.isSome(yield* sizeOf(paths.rejected))
      ? yield* Effect.onError(openAt(paths.rejected, content.rejectedLength), () => close(data))
      : undefined

    const isDue = (bytes: number, now: DateTime.Utc) =>
      content.length > 0 &&
      (content.length + bytes > options.maxBytes ||
        Duration.greaterThanOrEqualTo(DateTime.distanceDuration(content.since, now), options.every))

    const rotate = Effect.gen(function* () {
      yield* refuseTaken(rotated(paths, content.rotations + 1))
      content = { ...content, rotations: content.rotations + 1, renaming: true }
      yield* save(options, content)
      yield* rename(options, content)
      content = yield* begin(options, content)
      const next = yield* openNew(paths.file)
      yield* close(data)
      data = next
    })

    const cutBack = Effect.gen(function* () {
      yield* truncate(paths.file, data, content.length)
      if (rejected !== undefined) yield* truncate(paths.rejected, rejected, content.rejectedLength)
    })

    return {
      subscriptions: Effect.sync(() => content.subscriptions),
      commit: (commit) =>
        Effect.gen(function* () {
          const now = yield* DateTime.now
          if (isDue(commit.data.length, now)) yield* rotate
          const next: checkpointFile.CheckpointFile = {
            ...content,
            length: content.length + commit.data.length,
            rejectedLength: content.rejectedLength + commit.rejected.length,
            since: content.length === 0 ? now : content.since,
            subscriptions: { ...content.subscriptions, [commit.key]: commit.json },
          }
          yield* Effect.gen(function* () {
            if (commit.data.length > 0) yield* append(paths.file, data, commit.data, content.length)
            if (commit.rejected.length > 0) {
              rejected ??= yield* openNew(paths.rejected)
              yield* append(paths.rejected, rejected, commit.rejected, content.rejectedLength)
            }
            yield* checkpointFile.prepare(paths, next)
          }).pipe(
            Effect.tapError(() => Effect.ignore(cutBack)),
            andSays("Nothing of this batch is in the file"),
          )
          yield* checkpointFile
            .publish(paths, options.folder)
            .pipe(andSays("The next start settles whether this batch counts, and writes it again if not"))
          content = next
        }),
      close: Effect.suspend(() => Effect.zipRight(close(data), rejected === undefined ? Effect.void : close(rejected))),
    }
  })
