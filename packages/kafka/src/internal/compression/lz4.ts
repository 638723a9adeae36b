/**
 * LZ4 in the frame format, as Kafka has it since 0.10. The library unpacks the blocks. The frame around them is read here, because
 * the library's reader has no limit. It is not written: brokers refuse the library's blocks, which have matches too near to their end.
 */
import lz4js from "lz4js"
import { Damaged, ExceedsLimit } from "./limit.js"

const MAGIC = 0x184d2204

const VERSION_MASK = 0xc0
const VERSION = 0x40
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08

/** In front of a block's size: that the block is not compressed. */
const STORED = 0x80000000

const maxBlockSizes: Readonly<Record<number, number>> = { 4: 2 ** 16, 5: 2 ** 18, 6: 2 ** 20, 7: 2 ** 22 }

/** Room for one more block, taken in steps: what a frame claims is not believed. */
const grown = (output: Uint8Array, used: number, more: number): Uint8Array => {
  if (used + more <= output.length) return output
  const larger = Buffer.alloc(Math.max(2 * output.length, used + more))
  larger.set(output.subarray(0, used))
  return larger
}

const unpack = (input: Buffer, limit: number): Uint8Array => {
  if (input.readUInt32LE(0) !== MAGIC) throw new Damaged("this is no LZ4 frame")
  const flags = input.readUInt8(4)
  const maxBlock = maxBlockSizes[(input.readUInt8(5) >> 4) & 7]
  if ((flags & VERSION_MASK) !== VERSION || maxBlock === undefined) throw new Damaged("an LZ4 frame of an unknown kind")
  let at = 6
  if ((flags & CONTENT_SIZE) !== 0) {
    const size = Number(input.readBigUInt64LE(at))
    if (size > limit) throw new ExceedsLimit(size)
    at += 8
  }
  at += 1
  let output: Uint8Array = Buffer.alloc(maxBlock)
  let used = 0
  for (;;) {
    const header = input.readUInt32LE(at)
    at += 4
    if (header === 0) return output.subarray(0, used)
    const isStored = header >= STORED
    const size = isStored ? header - STORED : header
    if (size > maxBlock || at + size > input.length) throw new Damaged("an LZ4 block is cut")
    output = grown(output, used, maxBlock)
    if (isStored) output.set(input.subarray(at, at + size), used)
    const end = isStored ? used + size : lz4js.decompressBlock(input, output, at, size, used)
    if (end > used + maxBlock) throw new Damaged("an LZ4 block is larger than its frame allows")
    if (end > limit) throw new ExceedsLimit()
    used = end
    at += size + ((flags & BLOCK_CHECKSUM) !== 0 ? 4 : 0)
  }
}

export const decompress = async (bytes: Uint8Array, limit: number): Promise<Uint8Array> => {
  try {
    return unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), limit)
  } catch (cause) {
    // a read behind the end of the input
    throw cause instanceof RangeError ? new Damaged("an LZ4 frame is cut", { cause }) : cause
  }
}
