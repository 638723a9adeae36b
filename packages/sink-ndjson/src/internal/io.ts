/**
 * Calls to the file system as Effects whose errors say what to do.
 *
 * @since 0.1.0
 */
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
      return "the file is as large as the system lets it be; raise the limit (ulimit -f), or rotate by size, and start again"
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "this process may not write there; check owner, mode and mount, and start again"
    case "ENOENT":
    case "ENOTDIR":
      return "the folder, or what a link points to, is not there; create or mount it and start again"
    default:
      return `the system says ${code ?? "nothing more"}; check the disk and start again`
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

/** The file's size in bytes, `None` when there is no such file. Fails for what is there and is not a file. */
export const sizeOf = (path: string): Effect.Effect<Option.Option<number>, SinkError> =>
  io(`look at ${path}`, () =>
    fs.stat(path).catch((cause) => (codeOf(cause) === "ENOENT" ? undefined : Promise.reject(cause))),
  ).pipe(
    Effect.flatMap((stat) => {
      if (stat === undefined) return Effect.succeedNone
      if (stat.isFile()) return Effect.succeedSome(stat.size)
      const description = `${path} is not a file but a folder or a device; give the path of a file`
      return new SinkError({ sink, reason: "Unavailable", description })
    }),
  )
