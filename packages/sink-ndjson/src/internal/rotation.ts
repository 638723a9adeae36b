/**
 * A rotation in three steps, each of which a start can finish: the checkpoint says that the data file is complete, the
 * data file gets its final name, the checkpoint begins the next file.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as checkpointFile from "./checkpointFile.js"
import { emptyEnding } from "./countedFile.js"
import { io, lookUp, refused, sink, sizeOf, verify } from "./io.js"
import { type Place, rotated } from "./paths.js"

type Content = checkpointFile.CheckpointFile

const refuseTaken = (target: string) =>
  verify(target, () =>
    lookUp(target) === undefined
      ? undefined
      : new SinkError({
          sink,
          reason: "Unavailable",
          description: `cannot rotate: ${target} already exists; move it away and start again`,
        }),
  )

/** Never over another file. */
const rename = ({ folder, paths }: Place, { rotations }: Content) =>
  Effect.gen(function* () {
    const target = rotated(paths, rotations)
    yield* refuseTaken(target)
    yield* io(`rename ${paths.file} to ${target}`, async () => {
      await fs.rename(paths.file, target)
      await folder.sync()
    })
  })

/** A missing data file was renamed only if the new name is there, with all bytes. */
const refuseMissing = ({ paths }: Place, { length, rotations }: Content) =>
  Effect.gen(function* () {
    const target = rotated(paths, rotations)
    const size = yield* sizeOf(target)
    if (Option.contains(size, length)) return
    const found = Option.match(size, { onNone: () => "is missing too", onSome: (size) => `has ${size} bytes` })
    return yield* refused(
      `${paths.file} is missing. It was complete with ${length} bytes and about to become ${target}, which ${found}. Put the file back as ${target}, or use another path`,
    )
  })

/** After the rename, and before there is a new data file. */
const begin = (place: Place, content: Content) =>
  Effect.flatMap(DateTime.now, (since) =>
    checkpointFile.replace(place, { ...content, length: 0, ending: emptyEnding, renaming: false, since }),
  )

/** Rotates the data file. The caller then creates the next one. */
export const rotate = (place: Place, content: Content): Effect.Effect<checkpointFile.Stored, SinkError> =>
  Effect.gen(function* () {
    const complete = { ...content, rotations: content.rotations + 1, renaming: true }
    yield* refuseTaken(rotated(place.paths, complete.rotations))
    yield* checkpointFile.replace(place, complete)
    yield* rename(place, complete)
    return yield* begin(place, complete)
  })

/** Finishes a rotation that a crash interrupted: before the rename if the data file `isThere`, else after it. */
export const finish = (
  place: Place,
  content: Content,
  isThere: boolean,
): Effect.Effect<checkpointFile.Stored, SinkError> =>
  Effect.zipRight(isThere ? rename(place, content) : refuseMissing(place, content), begin(place, content))
