/**
 * Zstandard by Node, where it has it, and otherwise by its own decoder compiled to WebAssembly.
 */
import { promisify } from "node:util"
import * as zlib from "node:zlib"
import { ZSTDDecoder } from "zstddec"
import { isTooLarge } from "./gzip.js"
import { Damaged, ExceedsLimit } from "./limit.js"

/** What Node has of it since 22.15; the types are those of the oldest Node that we support. */
interface NodeZstd {
  readonly zstdCompress?: (bytes: Uint8Array, done: (error: Error | null, result: Buffer) => void) => void
  readonly zstdDecompress?: (
    bytes: Uint8Array,
    options: { readonly maxOutputLength: number },
    done: (error: Error | null, result: Buffer) => void,
  ) => void
}

const { zstdCompress, zstdDecompress } = zlib as NodeZstd

/** The size of most batches, unpacked. */
const SIZE = 2 ** 18

/**
 * The decoder unpacks only into memory of a known size, and gives nothing when that is too small; Java's client does not write
 * the size. So it is tried with more and more, up to the limit.
 */
const byWebAssembly = async (bytes: Uint8Array, limit: number): Promise<Uint8Array> => {
  const decoder = new ZSTDDecoder()
  await decoder.init()
  for (let size = Math.min(limit, SIZE + 8 * bytes.length); ; size = Math.min(limit, 8 * size)) {
    const output = decoder.decode(bytes, size)
    if (output.length > 0) return output
    if (size === limit) throw new ExceedsLimit()
  }
}

const byNode = (decompress: NonNullable<typeof zstdDecompress>) => {
  const unpack = promisify(decompress)
  return (bytes: Uint8Array, limit: number): Promise<Uint8Array> =>
    unpack(bytes, { maxOutputLength: limit }).catch((cause) => {
      throw isTooLarge(cause) ? new ExceedsLimit() : new Damaged("this is not zstd", { cause })
    })
}

export const decompress = zstdDecompress === undefined ? byWebAssembly : byNode(zstdDecompress)

export const compress: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined =
  zstdCompress === undefined ? undefined : promisify(zstdCompress)
