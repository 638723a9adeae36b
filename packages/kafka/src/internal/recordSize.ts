/**
 * What a record takes in a request, before compression.
 *
 * @since 0.1.0
 */
import type { HeaderValue, ProducerRecord } from "../KafkaRecord.js"

const bytesOf = (part: HeaderValue): number => {
  if (part === null) return 0
  return typeof part === "string" ? Buffer.byteLength(part) : part.byteLength
}

/** Lengths, offset and time of a record, at most; the lengths of a header. */
const overhead = 40
const headerOverhead = 10

const headerOf = (name: string, value: HeaderValue): number => headerOverhead + Buffer.byteLength(name) + bytesOf(value)

/** Rather a little too much than too little. Asked for each record: plain loops. */
export const sizeOf = ({ headers, key, value }: ProducerRecord): number => {
  let size = overhead + bytesOf(key) + bytesOf(value)
  for (const name in headers) {
    const values = headers[name] ?? null
    if (values === null || typeof values === "string" || values instanceof Uint8Array) size += headerOf(name, values)
    else for (const each of values) size += headerOf(name, each)
  }
  return size
}
