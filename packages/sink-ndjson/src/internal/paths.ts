/**
 * Where a sink's files are.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"
import { codeOf, io, sink, sizeOf } from "./io.js"

export interface Paths {
  readonly folder: string
  /** The file's name in `folder`. */
  readonly name: string
  readonly file: string
  readonly rejected: string
  readonly checkpoint: string
  /** The next checkpoint, until it replaces the last one. */
  readonly temporary: string
}

/** The files of a sink whose lock is held, and how new ones are created. */
export interface Place {
  readonly paths: Paths
  /** The open folder of the data file. */
  readonly folder: fs.FileHandle
  /** Permissions of new files. */
  readonly mode: number
}

/** `a.ndjson.gz` → `a` and `.ndjson.gz`. */
const split = (name: string): readonly [stem: string, extension: string] => {
  const [, stem = name, extension = ""] = /^(.+?)(\.[^.]+(?:\.gz)?)?$/.exec(name) ?? []
  return [stem, extension]
}

/** The final name of the `n`th rotated file, from 1. Names sort in the order of writing. */
export const rotated = ({ folder, name }: Paths, n: number): string => {
  const [stem, extension] = split(name)
  return path.join(folder, `${stem}-${String(n).padStart(6, "0")}${extension}`)
}

/** One file has one name here, whatever links lead to it, because lock and checkpoint are found by the name. */
const real = (given: string): Effect.Effect<string, SinkError> =>
  Effect.gen(function* () {
    const file = yield* io(`find ${given}`, async () => {
      const folder = await fs.realpath(path.dirname(given))
      const file = path.join(folder, path.basename(given))
      const isLink = await fs.lstat(file).then(
        (stat) => stat.isSymbolicLink(),
        (cause) => (codeOf(cause) === "ENOENT" ? false : Promise.reject(cause)),
      )
      return isLink ? fs.realpath(file) : file
    })
    yield* sizeOf(file)
    return file
  })

/** The folder must exist: creating it silently would hide an unmounted disk. */
export const resolve = (given: string, rejectedGiven?: string | undefined): Effect.Effect<Paths, SinkError> =>
  Effect.gen(function* () {
    const file = yield* real(given)
    const folder = path.dirname(file)
    const name = path.basename(file)
    const [stem, extension] = split(name)
    const rejected = yield* real(rejectedGiven ?? path.join(folder, `${stem}.rejected${extension}`))
    if (rejected === file) {
      return yield* new SinkError({
        sink,
        reason: "Other",
        description: `path and rejectedPath are the same file, ${file}; give rejectedPath another name`,
      })
    }
    const checkpoint = `${file}.checkpoint.json`
    return { folder, name, file, rejected, checkpoint, temporary: `${checkpoint}.tmp` }
  })
