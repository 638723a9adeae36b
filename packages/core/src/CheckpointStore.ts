/**
 * Keeps the checkpoints of sinks whose destination cannot: each under its subscription's key, as the text it was given.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { SinkError } from "./SinkError.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly get: (key: string) => Effect.Effect<Option.Option<string>, SinkError>
  /** Succeeds when the text is durable, as far as the store can promise it. */
  readonly set: (key: string, json: string) => Effect.Effect<void, SinkError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class CheckpointStore extends Context.Tag("@effect-marketo/core/CheckpointStore")<CheckpointStore, Service>() {}

/**
 * In memory: gone with the process. For tests and for reads that need no resume.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<CheckpointStore> = Layer.effect(
  CheckpointStore,
  Effect.map(Ref.make<ReadonlyMap<string, string>>(new Map()), (ref) => ({
    get: (key) => Effect.map(Ref.get(ref), (map) => Option.fromNullable(map.get(key))),
    set: (key, json) => Ref.update(ref, (map) => new Map(map).set(key, json)),
  })),
)

/** Readable where file systems take it; they stop at 255 bytes. */
const fileName = (key: string): string => {
  const name = encodeURIComponent(key)
  return name.length <= 200 ? name : createHash("sha256").update(key).digest("hex")
}

const failure = (description: string) => (cause: unknown) =>
  new SinkError({ sink: "CheckpointStore", reason: "Unavailable", description, cause })

/**
 * @since 0.1.0
 * @category models
 */
export interface FileOptions {
  /**
   * Permissions of the files, minus the umask. They include `0o600`. A directory that the store creates lets everybody
   * in who may read the files, and nobody else. Default: `0o600`.
   */
  readonly mode?: number | undefined
}

/** Whoever may read the files may enter the directory. */
const directoryMode = (mode: number): number => mode | ((mode & 0o444) >> 2)

/**
 * One file per subscription in `directory`, which is created if it is missing. A crash at any time leaves the old text
 * or the new one: the text is written to a temporary file and synced, the file gets its name, and the folder is synced.
 * The temporary file is always a new one, so a file or a link that has its name is removed and never written to.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  directory: string,
  { mode = 0o600 }: FileOptions = {},
): Layer.Layer<CheckpointStore, SinkError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    CheckpointStore,
    Effect.gen(function* () {
      if (!Number.isInteger(mode) || (mode & ~0o777) !== 0 || (mode & 0o600) !== 0o600) {
        const description = `mode ${mode} must be from 0o600 to 0o777 and let the owner read and write; write it in octal: 0o640`
        return yield* new SinkError({ sink: "CheckpointStore", reason: "Other", description })
      }
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const fail = (doing: string) => failure(`cannot ${doing} the checkpoint in ${directory}; check the folder`)
      yield* Effect.mapError(
        fs.makeDirectory(directory, { recursive: true, mode: directoryMode(mode) }),
        fail("create a folder for"),
      )
      const fileOf = (key: string) => path.join(directory, `${fileName(key)}.json`)
      const get: Service["get"] = (key) =>
        fs.readFileString(fileOf(key)).pipe(
          Effect.asSome,
          Effect.catchIf(
            (error) => error._tag === "SystemError" && error.reason === "NotFound",
            () => Effect.succeedNone,
          ),
          Effect.mapError(fail("read")),
        )
      const syncFolder = Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), (folder) => folder.sync))
      const set: Service["set"] = (key, json) =>
        Effect.gen(function* () {
          const temporary = `${fileOf(key)}.tmp`
          yield* fs.remove(temporary, { force: true })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const file = yield* fs.open(temporary, { flag: "wx", mode })
              yield* file.writeAll(new TextEncoder().encode(json))
              yield* file.sync
            }),
          )
          yield* fs.rename(temporary, fileOf(key))
          yield* syncFolder
        }).pipe(Effect.mapError(fail("write")))
      return CheckpointStore.of({ get, set })
    }),
  )

/**
 * In any `KeyValueStore`. As durable and as atomic as that store is; `KeyValueStore.layerFileSystem` is neither, use
 * `layerFile` for files.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerKeyValueStore: Layer.Layer<CheckpointStore, never, KeyValueStore.KeyValueStore> = Layer.effect(
  CheckpointStore,
  Effect.map(KeyValueStore.KeyValueStore, (store) => ({
    get: (key) => Effect.mapError(store.get(key), failure("cannot read the checkpoint from the key-value store")),
    set: (key, json) =>
      Effect.mapError(store.set(key, json), failure("cannot write the checkpoint to the key-value store")),
  })),
)
