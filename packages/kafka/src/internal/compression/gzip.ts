import { promisify } from "node:util"
import * as zlib from "node:zlib"
import { Damaged, ExceedsLimit } from "./limit.js"

const gunzip = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gunzip)

export const compress: (bytes: Uint8Array) => Promise<Uint8Array> = promisify<Uint8Array, Buffer>(zlib.gzip)

/** What Node's streams fail with when `maxOutputLength` is passed; they stop there. */
export const isTooLarge = (cause: unknown): boolean =>
  cause instanceof RangeError && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE"

export const decompress = (bytes: Uint8Array, limit: number): Promise<Uint8Array> =>
  gunzip(bytes, { maxOutputLength: limit }).catch((cause) => {
    throw isTooLarge(cause) ? new ExceedsLimit() : new Damaged("this is not gzip", { cause })
  })
