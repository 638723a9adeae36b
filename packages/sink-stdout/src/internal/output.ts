/**
 * Writes text to a stream of the process and knows when it is out.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs"
import type { Writable } from "node:stream"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"

export interface Output {
  /** Fails if the output can take nothing, before there is anything to write. */
  readonly check: Effect.Effect<void, SinkError>
  readonly write: (text: string) => Effect.Effect<void, SinkError>
}

const isGone = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"])

const unavailable = (description: string, cause?: unknown): SinkError =>
  new SinkError({ sink: "stdout", reason: "Unavailable", description, ...(cause === undefined ? {} : { cause }) })

const writeError = (cause: NodeJS.ErrnoException): SinkError =>
  isGone.has(cause.code ?? "")
    ? new SinkError({
        sink: "stdout",
        reason: "Closed",
        description: "the reader closed the output; the current batch is written again at the next start",
        cause,
      })
    : unavailable(
        `cannot write to the output (${cause.code ?? cause.message}). Check the disk or the reading program, then start again: the current batch is written again, after the part that is already there`,
        cause,
      )

const nameOf = (fd: number): string => (fd === 1 ? "standard output" : "standard error")

const checkError = (fd: number, cause: NodeJS.ErrnoException): SinkError => {
  if (isGone.has(cause.code ?? "")) return writeError(cause)
  const what = cause.code === "EBADF" ? "it is open for reading only" : (cause.code ?? cause.message)
  return unavailable(`cannot write to ${nameOf(fd)}: ${what}. Connect it to a file, a pipe or a terminal`, cause)
}

const isNull = (fd: number): boolean => {
  const [opened, device] = [fs.fstatSync(fd), fs.statSync("/dev/null")]
  return opened.isCharacterDevice() && opened.rdev === device.rdev
}

/**
 * If a descriptor is closed at the start (`>&-`), Node opens `/dev/null` for it, for reading and writing; so does a parent
 * that ignores it (`stdio: "ignore"`). A redirection to `/dev/null` is for writing only, so that reading from it fails.
 */
const wasClosed = (fd: number): boolean => {
  if (!isNull(fd)) return false
  try {
    fs.readSync(fd, Buffer.alloc(1))
    return true
  } catch {
    return false
  }
}

/** An empty write fails if `fd` is open for reading only, or is a device that takes nothing. */
const checkDescriptor = (fd: number): Effect.Effect<void, SinkError> =>
  Effect.suspend(() => {
    try {
      fs.writeSync(fd, Buffer.alloc(0))
    } catch (cause) {
      return checkError(fd, cause as NodeJS.ErrnoException)
    }
    return wasClosed(fd)
      ? unavailable(
          `${nameOf(fd)} is closed or ignored, so records sent to it would be lost. Connect it to a file, a pipe or a terminal`,
        )
      : Effect.void
  })

/** Errors reach the callback of the write. As unhandled events they would also end the process with a stack trace. */
const ignore = (): void => {}

/** Resumes when the operating system has everything; for a pipe, that is when the reader has made room. */
const toStream =
  (stream: Writable): Output["write"] =>
  (text) =>
    Effect.async((resume) => {
      stream.write(text, (error) => resume(error ? writeError(error) : Effect.void))
    })

/**
 * For `> file`, Node's stream reports success even if the disk wrote only a part (seen on Node 20.20), and it never
 * syncs, so a power failure can lose records whose checkpoint survives. So we write and sync ourselves.
 *
 * Nor does a write fail if the file was deleted, or truncated by a rotation tool. So that is checked before and after
 * each write; a file that was renamed, or that other programs append to, is no error.
 */
const toFile = (fd: number): Output => {
  let size = 0
  const check = Effect.suspend(() => {
    const found = fs.fstatSync(fd)
    if (found.nlink === 0) {
      return unavailable("the output file was deleted, so what is written to it is lost; start again with a new file")
    }
    if (found.size < size) {
      return unavailable(
        `the output file was truncated from ${size} to ${found.size} bytes by another program, as copytruncate does; start again with a new file, or use @effect-marketo/sink-ndjson, which rotates its files`,
      )
    }
    size = found.size
    return Effect.void
  })
  const append = (text: string) =>
    Effect.async<void, SinkError>((resume) => {
      const done = (error: NodeJS.ErrnoException | null) => resume(error === null ? Effect.void : writeError(error))
      const from = (rest: Uint8Array): void =>
        fs.write(fd, rest, (error, written) => {
          if (error !== null) done(error)
          else if (written < rest.length) from(rest.subarray(written))
          else fs.fdatasync(fd, done)
        })
      from(Buffer.from(text))
    })
  return {
    check: Effect.zipRight(checkDescriptor(fd), check),
    write: (text) => check.pipe(Effect.zipRight(append(text)), Effect.zipRight(check)),
  }
}

export const make = (stream: Writable): Output => {
  // for the life of the process: the event of a failed write comes after its callback
  if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore)
  const fd = stream === process.stdout ? process.stdout.fd : stream === process.stderr ? process.stderr.fd : undefined
  if (fd === undefined) return { check: Effect.void, write: toStream(stream) }
  return fs.fstatSync(fd).isFile() ? toFile(fd) : { check: checkDescriptor(fd), write: toStream(stream) }
}
