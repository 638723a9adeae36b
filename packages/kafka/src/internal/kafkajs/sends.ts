/**
 * Sends to one partition in turn, each cut to what a request may hold.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { KafkaError } from "../../KafkaError.js"
import type { ProducerRecord, TopicPartition } from "../../KafkaRecord.js"
import type { Producer } from "../../Producer.js"
import * as headers from "../headers.js"
import * as lock from "../lock.js"
import { sizeOf } from "../recordSize.js"
import type { Message } from "./produce.js"

/** A topic takes 1,048,588 bytes in one request unless it is told otherwise. */
const maxBytes = 900_000

/** kafkajs copies the list of a request once for each of its messages. */
const maxCount = 1000

/** Beyond this a broker does not answer, it cuts the connection: its default of `socket.request.max.bytes`. */
const maxRecordBytes = 100 * 1024 * 1024

const messageOf = ({ key, timestamp, value, ...record }: ProducerRecord, partition: number): Message => ({
  partition,
  key,
  value,
  headers: headers.toList(record.headers ?? {}),
  timestamp: timestamp === undefined ? undefined : DateTime.toEpochMillis(timestamp),
})

const tooLarge = ({ topic }: TopicPartition, index: number, record: ProducerRecord | undefined, cause?: KafkaError) =>
  new KafkaError({
    reason: "RecordTooLarge",
    description: `record ${index} of a send to topic ${topic} is too large: ${record === undefined ? 0 : sizeOf(record)} bytes before compression`,
    index,
    ...(cause?.code === undefined ? {} : { code: cause.code }),
    ...(cause === undefined ? {} : { cause }),
  })

/** Where each request ends. */
const cut = (
  to: TopicPartition,
  records: ReadonlyArray<ProducerRecord>,
): Effect.Effect<ReadonlyArray<number>, KafkaError> => {
  const ends: Array<number> = []
  let bytes = 0
  let count = 0
  for (const [index, record] of records.entries()) {
    const size = sizeOf(record)
    if (size > maxRecordBytes) return tooLarge(to, index, record)
    if (count > 0 && (bytes + size > maxBytes || count === maxCount)) {
      ends.push(index)
      bytes = 0
      count = 0
    }
    bytes += size
    count++
  }
  return Effect.succeed([...ends, records.length])
}

/**
 * One request of kafkajs, for one partition; succeeds with the offset of its first record. It has `limit` milliseconds, more
 * than none.
 */
export type Request = (
  to: TopicPartition,
  messages: ReadonlyArray<Message>,
  limit: number,
) => Effect.Effect<bigint, KafkaError>

/** A send fails when no request of it was acknowledged for `limit` milliseconds; waiting for its turn counts. */
export const inTurn = (request: Request, limit: number): Producer["send"] => {
  const turns = new Map<string, ReturnType<typeof lock.make>>()
  const turnOf = ({ partition, topic }: TopicPartition) => {
    const key = `${partition} ${topic}`
    const turn = turns.get(key) ?? lock.make()
    turns.set(key, turn)
    return turn
  }

  const tooLate = ({ partition, topic }: TopicPartition) =>
    new KafkaError({
      reason: "Unavailable",
      description: `cannot send to partition ${partition} of topic ${topic}: earlier sends to it took ${Duration.format(limit)}; nothing was sent`,
    })

  return (to, records) =>
    Effect.suspend(() => {
      let until = performance.now() + limit
      const sendRange = (from: number, end: number): Effect.Effect<bigint, KafkaError> =>
        Effect.suspend(() => {
          const left = until - performance.now()
          const messages = records.slice(from, end).map((record) => messageOf(record, to.partition))
          return left > 0 ? request(to, messages, left) : tooLate(to)
        }).pipe(
          Effect.map((offset) => {
            until = performance.now() + limit
            return offset + BigInt(end - from - 1)
          }),
          Effect.catchAll((error) => {
            if (error.index === undefined && error.reason === "RecordTooLarge") {
              if (end - from === 1) return tooLarge(to, from, records[from], error)
              // the topic's limit is lower than ours, and nothing was written: smaller requests
              const middle = from + Math.ceil((end - from) / 2)
              return Effect.zipRight(sendRange(from, middle), sendRange(middle, end))
            }
            return error.reason === "RecordRejected" && end - from === 1
              ? new KafkaError({ ...error, index: from })
              : error
          }),
        )

      return turnOf(to)(
        Effect.uninterruptible(
          Effect.flatMap(cut(to, records), (ends) =>
            Effect.reduce(ends, 0n, (_, end, index) => sendRange(ends[index - 1] ?? 0, end)),
          ),
        ),
      )
    })
}
