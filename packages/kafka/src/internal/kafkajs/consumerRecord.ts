import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { KafkaMessage } from "kafkajs"
import type { ConsumerRecord } from "../../KafkaRecord.js"

/** Kafka's headers may have no value, which kafkajs's types leave out. */
const bytes = (value: Buffer | string | null): Uint8Array =>
  typeof value === "string" ? Buffer.from(value) : (value ?? new Uint8Array())

/** Milliseconds; brokers may take any number, such as one of nanoseconds. */
const MAX_TIME = 8.64e15

const timeOf = ({ timestamp }: KafkaMessage): DateTime.Utc =>
  DateTime.unsafeMake(Math.max(-MAX_TIME, Math.min(Number(timestamp), MAX_TIME)))

const headersOf = ({ headers = {} }: KafkaMessage): ConsumerRecord["headers"] => {
  const lists: Record<string, ReadonlyArray<Uint8Array>> = {}
  for (const [name, value = []] of Object.entries(headers))
    lists[name] = Array.isArray(value) ? value.map(bytes) : [bytes(value)]
  return lists
}

export const fromMessage = (topic: string, partition: number, message: KafkaMessage): ConsumerRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  timestamp: timeOf(message),
  key: Option.fromNullable(message.key),
  value: Option.fromNullable(message.value),
  headers: headersOf(message),
})
