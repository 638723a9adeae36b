/**
 * Calls to the file system as Effects whose errors say what to do.
 *
 * @since 0.1.0
 */
import { type BigIntStats, lstatSync } from "node:fs"
import * as fs from "node:fs/promises"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

/** The sink's name in errors. */
export const sink = "ndjson"

export const refused = (description: string): SinkError =>
  new SinkError({ sink, reason: "CheckpointRefused", description })

const advice = (code: string | undefined): string => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return "the disk or the quota is full; free space and start again"
    case "EFBIG":
      return "the file has reached the size limit of the system; raise it (ulimit -f), or rotate by size, and start again"
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "this process has no permission to write there; check owner, mode and mount, and start again"
    case "ENOENT":
    case "ENOTDIR":
      return "the folder, or the target of a link, does not exist; create or mount it and start again"
    case "EEXIST":
      return "another program has created it; move it away and start again"
    case "ELOOP":
      return "a link was put in its place, and links are not followed there; remove it and start again"
    default:
      return `the system reports ${code ?? "no code"}; check the disk and start again`
  }
}

export const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException).code

export const unavailable = (doing: string, cause: unknown): SinkError =>
  new SinkError({
    sink,
    reason: "Unavailable",
    description: `cannot ${doing}: ${advice(codeOf(cause))}`,
    cause,
  })

/** `doing` completes the sentence "cannot …" and names the path. */
export const io = <A>(doing: string, run: () => Promise<A>): Effect.Effect<A, SinkError> =>
  Effect.tryPromise({ try: run, catch: (cause) => unavailable(doing, cause) })

/** The status of the name itself: links are not followed. `undefined` if nothing has this name. */
export const lookUp = (path: string): BigIntStats | undefined =>
  lstatSync(path, { bigint: true, throwIfNoEntry: false })

export const isSameFile = (one: BigIntStats, other: BigIntStats): boolean =>
  one.dev === other.dev && one.ino === other.ino

/**
 * Fails with the error that `find` returns. `find` is synchronous: it asks for the status of names and handles, which
 * the kernel has in memory. Six of them take 15 µs; through the thread pool they take 100 µs.
 */
export const verify = (path: string, find: () => SinkError | undefined): Effect.Effect<void, SinkError> =>
  Effect.try({ try: find, catch: (cause) => unavailable(`look at ${path}`, cause) }).pipe(
    Effect.flatMap((error) => error ?? Effect.void),
  )

/** The file's size in bytes, `None` if nothing has this name. Fails for anything but a regular file, so for links too. */
export const sizeOf = (path: string): Effect.Effect<Option.Option<number>, SinkError> =>
  io(`look at ${path}`, () =>
    fs.lstat(path).catch((cause) => (codeOf(cause) === "ENOENT" ? undefined : Promise.reject(cause))),
  ).pipe(
    Effect.flatMap((stat) => {
      if (stat === undefined) return Effect.succeedNone
      if (stat.isFile()) return Effect.succeedSome(stat.size)
      const description = `${path} is not a file but a folder, a link or a device; move it away, or give another path`
      return new SinkError({ sink, reason: "Unavailable", description })
    }),
  )
