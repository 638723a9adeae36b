/**
 * A file that is only appended to, of which the checkpoint counts the first bytes.
 *
 * An open handle proves nothing about the name: the file may have been deleted, moved, replaced or truncated, and
 * writes to the handle still succeed. So `verifyInPlace` compares handle, name and length before each commit.
 *
 * @since 0.1.0
 */
import { constants, fstatSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { crc32 } from "node:zlib"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { io, isSameFile, lookUp, refused, sizeOf, verify } from "./io.js"

export interface CountedFile {
  readonly path: string
  readonly handle: fs.FileHandle
}

/** Checksum of the last bytes that count: a file that was edited or replaced between two runs does not have them. */
export const Ending = Schema.Struct({ bytes: Schema.NonNegativeInt, crc32: Schema.NonNegativeInt })

export interface Ending extends Schema.Schema.Type<typeof Ending> {}

export const emptyEnding: Ending = { bytes: 0, crc32: 0 }

const maxEndingBytes = 1024

/** The ending of a file after `appended`. */
export const endingAfter = (appended: Uint8Array, before: Ending): Ending => {
  if (appended.length === 0) return before
  const last = appended.subarray(-maxEndingBytes)
  return { bytes: last.length, crc32: crc32(last) }
}

export const close = ({ handle, path }: CountedFile): Effect.Effect<void> =>
  Effect.ignoreLogged(io(`close ${path}`, () => handle.close()))

/** Creates the file and makes its name durable. */
export const create = (file: string, mode: number): Effect.Effect<CountedFile, SinkError> =>
  Effect.gen(function* () {
    const created = { path: file, handle: yield* io(`create ${file}`, () => fs.open(file, "wx", mode)) }
    const syncFolder = io(`sync the folder of ${file}`, async () => {
      const folder = await fs.open(path.dirname(file), "r")
      await folder.sync().finally(() => folder.close())
    })
    yield* Effect.onError(syncFolder, () => close(created))
    return created
  })

const truncate = ({ handle, path }: CountedFile, length: number): Effect.Effect<void, SinkError> =>
  io(`truncate ${path}`, () => handle.truncate(length))

/** Removes the bytes after `length`. A file that is shorter stays as it is: truncating would fill it with zeros. */
export const cutBack = (file: CountedFile, length: number): Effect.Effect<void, SinkError> =>
  Effect.flatMap(
    io(`look at ${file.path}`, () => file.handle.stat()),
    ({ size }) => (size > length ? truncate(file, length) : Effect.void),
  )

/** The file's size. Refuses a file that is shorter than what counts of it. */
const sizeFor = (file: string, length: number): Effect.Effect<Option.Option<number>, SinkError> =>
  Effect.tap(sizeOf(file), (found) => {
    const size = Option.getOrElse(found, () => 0)
    return size < length
      ? refused(
          `${file} has ${size} bytes and its checkpoint counts ${length}: it was truncated, replaced or moved away. Put it back, or use another path`,
        )
      : Effect.void
  })

const verifyEnding = ({ handle, path }: CountedFile, length: number, { bytes, crc32: expected }: Ending) =>
  Effect.flatMap(
    io(`read ${path}`, () => handle.read(Buffer.alloc(bytes), 0, bytes, length - bytes)),
    ({ buffer }) =>
      crc32(buffer) === expected
        ? Effect.void
        : refused(
            `${path} does not have the bytes that this sink wrote last: it was edited or replaced. Put it back, or use another path`,
          ),
  )

/**
 * Opens a file of which `length` bytes count, with all bytes that it has; `undefined` if the file does not exist and no
 * byte of it counts.
 */
export const open = (file: string, length: number, ending: Ending): Effect.Effect<CountedFile | undefined, SinkError> =>
  Effect.gen(function* () {
    if (Option.isNone(yield* sizeFor(file, length))) return undefined
    const handle = yield* io(`open ${file}`, () => fs.open(file, constants.O_RDWR | constants.O_NOFOLLOW))
    const opened = { path: file, handle }
    yield* Effect.onError(verifyEnding(opened, length, ending), () => close(opened))
    return opened
  })

export const append = ({ handle, path }: CountedFile, bytes: Uint8Array, length: number) =>
  io(`write ${path}`, async () => {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, length + done)
      done += bytesWritten
    }
    await handle.datasync()
  })

const whatHappened = ({ handle, path }: CountedFile, length: number): string | undefined => {
  const opened = fstatSync(handle.fd, { bigint: true })
  const named = lookUp(path)
  if (named === undefined) return opened.nlink === 0n ? "was deleted" : "was moved or renamed"
  if (!isSameFile(named, opened)) return "was replaced by another file"
  if (opened.size < length) return `was truncated to ${opened.size} of ${length} bytes (copytruncate does that)`
  if (opened.size > length) return `has ${opened.size} bytes instead of ${length}: another program writes to it`
  return undefined
}

/** Refuses a file that is no longer the one at its path with exactly `length` bytes. */
export const verifyInPlace = (file: CountedFile, length: number): Effect.Effect<void, SinkError> =>
  verify(file.path, () => {
    const happened = whatHappened(file, length)
    return happened === undefined
      ? undefined
      : refused(
          `while this process was writing ${file.path}, the file ${happened}. Put it back with ${length} bytes, or use another path. To rotate it, use the option rotation, or let the rotation tool send rotation.signal instead of touching the file`,
        )
  })
