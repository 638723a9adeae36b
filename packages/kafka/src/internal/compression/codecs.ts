/**
 * What packs and unpacks the records of a batch, by the number that the batch has for it.
 */
import type { Compression } from "../../Compression.js"
import * as gzip from "./gzip.js"
import * as lz4 from "./lz4.js"
import * as snappy from "./snappy.js"
import * as zstd from "./zstd.js"

export interface Codec {
  readonly name: Exclude<Compression, "none">
  /** Only where `Compression.codecs` says that it can be written. */
  readonly compress?: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined
  /** Fails with `ExceedsLimit` before it has taken much more memory than `limit`, and with `Damaged`. */
  readonly decompress: (bytes: Uint8Array, limit: number) => Promise<Uint8Array>
}

/** By Kafka's numbers; 0 is none. */
export const codecs: Readonly<Record<number, Codec>> = {
  1: { name: "gzip", compress: gzip.compress, decompress: gzip.decompress },
  2: { name: "snappy", compress: snappy.compress, decompress: snappy.decompress },
  3: { name: "lz4", decompress: lz4.decompress },
  4: { name: "zstd", compress: zstd.compress, decompress: zstd.decompress },
}

/** The number of a compression. */
export const numberOf = (compression: Compression): number =>
  Number(Object.keys(codecs).find((number) => codecs[Number(number)]?.name === compression) ?? 0)
