/**
 * What the topic of rejected records takes: elements that could not be decoded, and records that are too large for their
 * topic. The value is what Marketo sent, as much of it as fits.
 *
 * @since 0.1.0
 */
import type { Rejected } from "@effect-marketo/core/ActivityRecord"
import type { ProducerRecord } from "@effect-marketo/kafka/KafkaRecord"
import type { Topic } from "@effect-marketo/kafka/Topic"

export interface Place {
  readonly topic: Topic
  /** Its `max.message.bytes`. */
  readonly maxBytes: number
}

type Headers = Readonly<Record<string, string | Uint8Array>>

/** More than Kafka puts around key, value and headers of one record, and around each header. */
const OVERHEAD = 256
const HEADER_OVERHEAD = 16

const encoder = new TextEncoder()

const sizeOf = (key: string | null, headers: Headers): number => {
  let size = OVERHEAD + Buffer.byteLength(key ?? "")
  for (const [name, value] of Object.entries(headers)) {
    size += HEADER_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  return size
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** At most `length` bytes, with no piece of a character at the end. */
const head = (bytes: Uint8Array, length: number): Uint8Array => {
  let end = Math.max(0, length)
  while (isContinuation(bytes[end])) end--
  return bytes.subarray(0, end)
}

const record = (place: Place, bytes: Uint8Array, key: string | null, more: Headers): ProducerRecord => {
  const headers = { ...more, "content-type": "application/json", "marketo-size": `${bytes.length}` }
  const room = place.maxBytes - sizeOf(key, headers)
  return bytes.length <= room
    ? { key, value: bytes, headers }
    : { key, value: head(bytes, room), headers: { ...headers, "marketo-truncated": "true" } }
}

export const undecodable = (place: Place, { paths, text }: Rejected, instance: string): ProducerRecord =>
  record(place, encoder.encode(text), null, {
    "marketo-rejected": "undecodable",
    "marketo-rejected-paths": paths.join(", "),
    "marketo-instance": instance,
  })

/** With the headers that it would have had in `topic`. */
export const tooLarge = (
  place: Place,
  bytes: Uint8Array,
  key: string,
  headers: Headers,
  topic: string,
): ProducerRecord =>
  record(place, bytes, key, { ...headers, "marketo-rejected": "too-large", "marketo-rejected-topic": topic })
