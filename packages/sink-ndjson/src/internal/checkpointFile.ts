/**
 * The checkpoint file: what of the data files counts, and how far each subscription has come.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { codeOf, io, refused } from "./io.js"
import type { Paths } from "./paths.js"

export const CheckpointFile = Schema.Struct({
  v: Schema.Literal(1),
  /** The data file's name, so that a checkpoint is not taken for another file's. */
  file: Schema.String,
  gzip: Schema.Boolean,
  /** Bytes of the data file that count. */
  length: Schema.NonNegativeInt,
  /** Bytes of the rejected file that count. */
  rejectedLength: Schema.NonNegativeInt,
  /** When the data file got its first byte; of an empty one, when it was made. */
  since: Schema.DateTimeUtc,
  /** Files rotated so far: the number in the name of the last one. */
  rotations: Schema.NonNegativeInt,
  /** The data file is complete, and is to get the name of rotation number `rotations`. */
  renaming: Schema.Boolean,
  /** Each subscription's checkpoint, as the text it was given. */
  subscriptions: Schema.Record({ key: Schema.String, value: Schema.String }),
})

export interface CheckpointFile extends Schema.Schema.Type<typeof CheckpointFile> {}

const encode = Schema.encodeSync(Schema.parseJson(CheckpointFile))
const decode = Schema.decodeUnknownEither(Schema.parseJson(CheckpointFile))
const decodeVersion = Schema.decodeUnknownEither(Schema.parseJson(Schema.Struct({ v: Schema.Number })))

/** Refuses what it cannot read; never repairs or replaces it. */
export const read = (paths: Paths): Effect.Effect<Option.Option<CheckpointFile>, SinkError> =>
  Effect.gen(function* () {
    const text = yield* io(`read ${paths.checkpoint}`, () =>
      fs
        .readFile(paths.checkpoint, "utf8")
        .catch((cause) => (codeOf(cause) === "ENOENT" ? undefined : Promise.reject(cause))),
    )
    if (text === undefined) return Option.none()
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
    const { file } = decoded.right
    if (file !== paths.name) {
      return yield* refused(
        `${paths.checkpoint} belongs to a file named ${file}; give both files their old names back, or use another path`,
      )
    }
    return Option.some(decoded.right)
  })

/** Makes the text durable under the temporary name. It counts once `publish` gave it its name. */
export const prepare = (paths: Paths, content: CheckpointFile): Effect.Effect<void, SinkError> =>
  io(`write ${paths.temporary}`, async () => {
    const handle = await fs.open(paths.temporary, "w")
    try {
      await handle.writeFile(encode(content))
      await handle.datasync()
    } finally {
      await handle.close()
    }
  })

export const publish = (paths: Paths, folder: fs.FileHandle): Effect.Effect<void, SinkError> =>
  io(`replace ${paths.checkpoint}`, async () => {
    await fs.rename(paths.temporary, paths.checkpoint)
    await folder.sync()
  })
