/**
 * Programs that run to their end.
 *
 * @since 0.1.0
 */
import { execFile } from "node:child_process"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Output {
  readonly stdout: string
  readonly stderr: string
}

export class CommandError extends Data.TaggedError("CommandError")<{
  /** There is no such program on the `PATH`. */
  readonly notFound: boolean
  /** What the program said last, or that its time was up. */
  readonly description: string
}> {}

/** The end of a text, for an error. */
export const lastLines = (text: string): string => text.trimEnd().split("\n").slice(-15).join("\n")

/** Runs a program from the `PATH`; one that is not done within `limit` is killed. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  limit: Duration.DurationInput,
): Effect.Effect<Output, CommandError> =>
  Effect.async((resume) => {
    const timeout = Duration.toMillis(limit)
    const child = execFile(program, args, { timeout, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (error === null) return resume(Effect.succeed({ stdout, stderr }))
      const description = error.killed === true ? `not done after ${Duration.format(limit)}` : stdout + stderr
      resume(new CommandError({ notFound: error.code === "ENOENT", description: lastLines(description) }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })
