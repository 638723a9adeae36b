/**
 * How the records of a batch are compressed. Whoever produces chooses the codec, so every codec of Kafka is read.
 *
 * @since 0.1.0
 */
import * as zlib from "node:zlib"

/**
 * Every codec of Kafka by the name that its own settings use. All of them are read; `canWrite` says which a producer of
 * this process may write: Node has a compressor for zstd since 22.15, and none for lz4.
 *
 * @since 0.1.0
 * @category models
 */
export const codecs = {
  none: { canWrite: true },
  gzip: { canWrite: true },
  snappy: { canWrite: true },
  lz4: { canWrite: false },
  zstd: { canWrite: "zstdCompress" in zlib },
} as const satisfies Readonly<Record<string, { readonly canWrite: boolean }>>

/**
 * @since 0.1.0
 * @category models
 */
export type Compression = keyof typeof codecs

/**
 * The codecs that this process can write.
 *
 * @since 0.1.0
 * @category accessors
 */
export const writable: ReadonlyArray<Compression> = Object.entries(codecs).flatMap(([name, { canWrite }]) =>
  canWrite ? [name as Compression] : [],
)

/**
 * Why a codec cannot be written, in words that list those that can; `undefined` if it can be. For values that the
 * compiler has not seen, such as those of a configuration file.
 *
 * @since 0.1.0
 * @category accessors
 */
export const refusal = (name: string): string | undefined =>
  (writable as ReadonlyArray<string>).includes(name)
    ? undefined
    : `compression "${name}" cannot be written here: use one of ${writable.join(", ")}`
