/**
 * Snappy as Kafka's clients write it: blocks in the frames of Java's snappy library (xerial), or one block without any.
 */
import snappyjs from "snappyjs"
import { Damaged, ExceedsLimit } from "./limit.js"

const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])

/** The magic bytes, the version of the frames, and the oldest version that can read them. */
const HEADER = Buffer.concat([MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])

/** The size of a frame's content before compression, as Java's library has it. */
const FRAME = 32 * 1024

/** Three bytes of input stand for at most 64 of output: a block that claims more than that is damaged. */
const MAX_RATIO = 64

/** What a block says that it unpacks to: a varint in front of it. */
const sizeOf = (block: Uint8Array): number => {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = block[at] ?? 0x80
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return size
  }
  throw new Damaged("a snappy block has no size")
}

const uncompress = (block: Uint8Array, limit: number): Uint8Array => {
  const size = sizeOf(block)
  if (size > block.length * MAX_RATIO) throw new Damaged("a snappy block claims more than it can hold")
  if (size > limit) throw new ExceedsLimit(size)
  try {
    return snappyjs.uncompress(block)
  } catch (cause) {
    throw new Damaged("a snappy block cannot be unpacked", { cause })
  }
}

export const decompress = async (bytes: Uint8Array, limit: number): Promise<Uint8Array> => {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!input.subarray(0, MAGIC.length).equals(MAGIC)) return uncompress(input, limit)
  const blocks: Array<Uint8Array> = []
  let size = 0
  for (let at = HEADER.length; at < input.length; ) {
    const end = at + 4 <= input.length ? at + 4 + input.readUInt32BE(at) : Number.POSITIVE_INFINITY
    if (end > input.length) throw new Damaged("a snappy frame is cut")
    const block = uncompress(input.subarray(at + 4, end), limit - size)
    blocks.push(block)
    size += block.length
    at = end
  }
  return Buffer.concat(blocks, size)
}

export const compress = async (bytes: Uint8Array): Promise<Uint8Array> => {
  const parts: Array<Uint8Array> = [HEADER]
  for (let at = 0; at < bytes.length; at += FRAME) {
    const block = snappyjs.compress(bytes.subarray(at, at + FRAME))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}
