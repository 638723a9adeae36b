/**
 * What a record takes in a request, before compression.
 *
 * @since 0.1.0
 */
import type { ProducerRecord } from "../KafkaRecord.js"

const bytesOf = (part: string | Uint8Array | null): number => {
  if (part === null) return 0
  return typeof part === "string" ? Buffer.byteLength(part) : part.byteLength
}

/** Lengths, offset and time of a record, at most; the same for a header's lengths. */
const overhead = 40
const headerOverhead = 10

/** Rather a little too much than too little. */
export const sizeOf = ({ headers, key, value }: ProducerRecord): number => {
  let size = overhead + bytesOf(key) + bytesOf(value)
  for (const [name, values] of Object.entries(headers ?? {})) {
    for (const value of [values].flat()) size += headerOverhead + Buffer.byteLength(name) + bytesOf(value)
  }
  return size
}
