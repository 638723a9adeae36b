/**
 * The checkpoint file: which bytes of the data files count, and how far each subscription has come.
 *
 * @since 0.1.0
 */
import { type BigIntStats, constants, fstatSync } from "node:fs"
import * as fs from "node:fs/promises"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Ending } from "./countedFile.js"
import { codeOf, io, isSameFile, lookUp, refused, verify } from "./io.js"
import type { Paths, Place } from "./paths.js"

export const CheckpointFile = Schema.Struct({
  v: Schema.Literal(1),
  /** The data file's name, so that a checkpoint is not used for another file. */
  file: Schema.String,
  gzip: Schema.Boolean,
  /** Bytes of the data file that count. */
  length: Schema.NonNegativeInt,
  ending: Ending,
  /** Bytes of the rejected file that count. */
  rejectedLength: Schema.NonNegativeInt,
  rejectedEnding: Ending,
  /** When the data file got its first byte; if it is empty, when it was created. */
  since: Schema.DateTimeUtc,
  /** Files rotated so far: the number in the name of the last one. */
  rotations: Schema.NonNegativeInt,
  /** The data file is complete and waits for the name of rotation number `rotations`. */
  renaming: Schema.Boolean,
  /** The checkpoint of each subscription, as the text that `write` was given. */
  subscriptions: Schema.Record({ key: Schema.String, value: Schema.String }),
})

export interface CheckpointFile extends Schema.Schema.Type<typeof CheckpointFile> {}

/** What the checkpoint file says, and the status it had when it was read or written. */
export interface Stored {
  readonly content: CheckpointFile
  readonly status: BigIntStats
}

const encode = Schema.encodeSync(Schema.parseJson(CheckpointFile))
const decode = Schema.decodeUnknownEither(Schema.parseJson(CheckpointFile))
const decodeVersion = Schema.decodeUnknownEither(Schema.parseJson(Schema.Struct({ v: Schema.Number })))

const readText = async (file: string) => {
  const handle = await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const status = await handle.stat({ bigint: true })
    return { status, text: await handle.readFile("utf8") }
  } finally {
    await handle.close()
  }
}

/** Refuses what it cannot read; never repairs or replaces it. */
export const read = (paths: Paths): Effect.Effect<Option.Option<Stored>, SinkError> =>
  Effect.gen(function* () {
    const found = yield* io(`read ${paths.checkpoint}`, () =>
      readText(paths.checkpoint).catch((cause) => (codeOf(cause) === "ENOENT" ? undefined : Promise.reject(cause))),
    )
    if (found === undefined) return Option.none()
    const { status, text } = found
    const version = decodeVersion(text)
    if (Either.isRight(version) && version.right.v > 1) {
      return yield* refused(
        `${paths.checkpoint} was written by a newer release (format ${version.right.v}, this one reads 1); upgrade, or use another path`,
      )
    }
    const decoded = decode(text)
    if (Either.isLeft(decoded)) {
      return yield* refused(
        `${paths.checkpoint} is damaged; restore it from a backup, or use another path and the \`since\` you want`,
      )
    }
    const content = decoded.right
    if (content.file !== paths.name) {
      return yield* refused(
        `${paths.checkpoint} belongs to a file named ${content.file}; give both files their old names back, or use another path`,
      )
    }
    return Option.some({ content, status })
  })

/**
 * Refuses a checkpoint file that another program has changed or replaced. A missing one is no error: the next commit
 * writes it again, and nothing is lost.
 */
export const verifyUnchanged = (paths: Paths, { status }: Stored): Effect.Effect<void, SinkError> =>
  verify(paths.checkpoint, () => {
    const found = lookUp(paths.checkpoint)
    return found === undefined ||
      (isSameFile(found, status) && found.size === status.size && found.mtimeNs === status.mtimeNs)
      ? undefined
      : refused(
          `${paths.checkpoint} was changed by another program since this process wrote it. Stop that program (it may be a sink on another machine), see that the checkpoint is the one you want, and start again`,
        )
  })

/**
 * Makes the text durable under the temporary name; it counts only after `publish`. The file is always a new one, so a
 * file or a link that has this name is never written to.
 */
export const prepare = ({ mode, paths }: Place, content: CheckpointFile): Effect.Effect<Stored, SinkError> =>
  io(`write ${paths.temporary}`, async () => {
    const handle = await fs.open(paths.temporary, "wx", mode)
    try {
      await handle.writeFile(encode(content))
      await handle.datasync()
      return { content, status: fstatSync(handle.fd, { bigint: true }) }
    } finally {
      await handle.close()
    }
  })

export const publish = ({ folder, paths }: Place): Effect.Effect<void, SinkError> =>
  io(`replace ${paths.checkpoint}`, async () => {
    await fs.rename(paths.temporary, paths.checkpoint)
    await folder.sync()
  })

export const replace = (place: Place, content: CheckpointFile): Effect.Effect<Stored, SinkError> =>
  Effect.zipLeft(prepare(place, content), publish(place))
