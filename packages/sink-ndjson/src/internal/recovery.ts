/**
 * Brings the files to what the checkpoint file says. What does not fit it is refused before anything is changed.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as checkpointFile from "./checkpointFile.js"
import * as countedFile from "./countedFile.js"
import { io, refused, sizeOf } from "./io.js"
import type { Place } from "./paths.js"
import * as rotation from "./rotation.js"

export interface Recovered {
  readonly stored: checkpointFile.Stored
  readonly data: countedFile.CountedFile
  /** Created with its first element: an empty rejected file would alarm. */
  readonly rejected: countedFile.CountedFile | undefined
}

/** The first checkpoint. It is durable before the first byte of data, so that a file without one is never ours. */
const initialize = (place: Place, gzip: boolean) =>
  Effect.gen(function* () {
    const { paths } = place
    for (const file of [paths.file, paths.rejected]) {
      if (Option.getOrElse(yield* sizeOf(file), () => 0) > 0) {
        return yield* refused(
          `${file} is not empty and ${paths.checkpoint} is missing. Put the checkpoint file back, or move ${file} away, or use another path`,
        )
      }
    }
    return yield* checkpointFile.replace(place, {
      v: 1,
      file: paths.name,
      gzip,
      length: 0,
      ending: countedFile.emptyEnding,
      rejectedLength: 0,
      rejectedEnding: countedFile.emptyEnding,
      since: yield* DateTime.now,
      rotations: 0,
      renaming: false,
      subscriptions: {},
    })
  })

const readCheckpoint = (place: Place, gzip: boolean) =>
  Effect.gen(function* () {
    const { folder, paths } = place
    yield* io(`remove ${paths.temporary}`, () => fs.rm(paths.temporary, { force: true }))
    const found = yield* checkpointFile.read(paths)
    if (Option.isNone(found)) return yield* initialize(place, gzip)
    const { content } = found.value
    if (content.gzip !== gzip) {
      const written = content.gzip ? "with gzip" : "without gzip"
      return yield* refused(`${paths.file} was begun ${written}; go on ${written}, or use another path`)
    }
    // the checkpoint that was read may be in the page cache only
    yield* io(`sync ${paths.folder}`, () => folder.sync())
    return found.value
  })

/** `undefined` if the file does not exist and no byte of it counts, or if a rotation has just renamed it. */
const openData = ({ paths }: Place, { ending, length, renaming }: checkpointFile.CheckpointFile) =>
  Effect.gen(function* () {
    if (renaming && Option.isNone(yield* sizeOf(paths.file))) return undefined
    return yield* countedFile.open(paths.file, length, ending)
  })

export const recover = (place: Place, gzip: boolean): Effect.Effect<Recovered, SinkError> =>
  Effect.gen(function* () {
    const { mode, paths } = place
    const stored = yield* readCheckpoint(place, gzip)
    const { content } = stored
    const data = yield* openData(place, content)
    const closeData = data === undefined ? Effect.void : countedFile.close(data)
    const rejected = yield* countedFile
      .open(paths.rejected, content.rejectedLength, content.rejectedEnding)
      .pipe(Effect.onError(() => closeData))
    const closeRejected = rejected === undefined ? Effect.void : countedFile.close(rejected)

    return yield* Effect.gen(function* () {
      if (data !== undefined) yield* countedFile.cutBack(data, content.length)
      if (rejected !== undefined) yield* countedFile.cutBack(rejected, content.rejectedLength)
      if (!content.renaming) return { stored, data: data ?? (yield* countedFile.create(paths.file, mode)), rejected }
      const begun = yield* rotation.finish(place, content, data !== undefined)
      yield* closeData
      return { stored: begun, data: yield* countedFile.create(paths.file, mode), rejected }
    }).pipe(Effect.onError(() => Effect.zipRight(closeData, closeRejected)))
  })
