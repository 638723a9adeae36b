/**
 * Which partition a key belongs to: the one that Java's client chooses, so that programs of both kinds agree.
 *
 * @example
 * import { Partitioner } from "@effect-marketo/kafka"
 *
 * export const partition = Partitioner.partition("4711", 6) // 4
 *
 * @since 0.1.0
 */

const encoder = new TextEncoder()

const m = 0x5bd1e995

/** MurmurHash2 with the seed of Java's client, as a signed 32-bit number. */
const murmur2 = (data: Uint8Array): number => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const rest = data.length & 3
  const end = data.length - rest
  let hash = 0x9747b28c ^ data.length
  for (let at = 0; at < end; at += 4) {
    const k = Math.imul(view.getInt32(at, true), m)
    hash = Math.imul(hash, m) ^ Math.imul(k ^ (k >>> 24), m)
  }
  if (rest > 0) {
    for (let at = 0; at < rest; at++) hash ^= view.getUint8(end + at) << (8 * at)
    hash = Math.imul(hash, m)
  }
  hash = Math.imul(hash ^ (hash >>> 13), m)
  return hash ^ (hash >>> 15)
}

/**
 * From 0 to `partitions` − 1. A text is taken as UTF-8. More partitions later give most keys another one.
 *
 * @since 0.1.0
 * @category accessors
 */
export const partition = (key: string | Uint8Array, partitions: number): number =>
  (murmur2(typeof key === "string" ? encoder.encode(key) : key) & 0x7fffffff) % partitions
