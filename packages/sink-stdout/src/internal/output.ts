/**
 * Writes text to a stream of the process and knows when it is out.
 *
 * @since 0.1.0
 */
import { fdatasync, fstatSync, write as writeFd } from "node:fs"
import type { Writable } from "node:stream"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"

const isGone = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"])

const toSinkError = (error: NodeJS.ErrnoException): SinkError =>
  isGone.has(error.code ?? "")
    ? new SinkError({
        sink: "stdout",
        reason: "Closed",
        description: "the reader of the output is gone; the batch in hand is written again at the next start",
        cause: error,
      })
    : new SinkError({
        sink: "stdout",
        reason: "Unavailable",
        description: `the output takes no more (${error.code ?? error.message}); look at the disk, or at the program that reads, and start again: the batch in hand is written again, after what is there of it`,
        cause: error,
      })

/** Errors reach the callback of the write; the same ones as events would end the process with a stack trace. */
const ignore = (): void => {}

/** Resumes when the operating system has everything, which for a pipe is when the reader has made room. */
const toStream =
  (stream: Writable) =>
  (text: string): Effect.Effect<void, SinkError> =>
    Effect.async((resume) => {
      stream.write(text, (error) => resume(error ? Effect.fail(toSinkError(error)) : Effect.void))
    })

/**
 * Node's stream for `> file` takes a write that the disk cut short for a whole one (seen on 20.20: no error, half a
 * record), and never syncs, so that a power failure takes records whose checkpoint stays.
 */
const toFile =
  (fd: number) =>
  (text: string): Effect.Effect<void, SinkError> =>
    Effect.async((resume) => {
      const done = (error: NodeJS.ErrnoException | null) =>
        resume(error === null ? Effect.void : Effect.fail(toSinkError(error)))
      const from = (rest: Uint8Array): void =>
        writeFd(fd, rest, (error, written) => {
          if (error !== null) done(error)
          else if (written < rest.length) from(rest.subarray(written))
          else fdatasync(fd, done)
        })
      from(Buffer.from(text))
    })

export const make = (stream: Writable): ((text: string) => Effect.Effect<void, SinkError>) => {
  // for the life of the process: the event of a failed write comes after its callback
  if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore)
  const fd = stream === process.stdout ? process.stdout.fd : stream === process.stderr ? process.stderr.fd : undefined
  return fd !== undefined && fstatSync(fd).isFile() ? toFile(fd) : toStream(stream)
}
