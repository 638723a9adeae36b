/**
 * Sends to one partition in turn, each cut to what a request may hold.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
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

/** One request of kafkajs, for one partition; succeeds with the offset of its first record. */
export type Request = (to: TopicPartition, messages: ReadonlyArray<Message>) => Effect.Effect<bigint, KafkaError>

export const inTurn = (request: Request): Producer["send"] => {
  const turns = new Map<string, ReturnType<typeof lock.make>>()
  const turnOf = ({ partition, topic }: TopicPartition) => {
    const key = `${partition} ${topic}`
    const turn = turns.get(key) ?? lock.make()
    turns.set(key, turn)
    return turn
  }

  return (to, records) => {
    const sendRange = (from: number, until: number): Effect.Effect<bigint, KafkaError> =>
      request(
        to,
        records.slice(from, until).map((record) => messageOf(record, to.partition)),
      ).pipe(
        Effect.map((offset) => offset + BigInt(until - from - 1)),
        Effect.catchAll((error) => {
          if (error.index === undefined && error.reason === "RecordTooLarge") {
            if (until - from === 1) return tooLarge(to, from, records[from], error)
            // the topic's limit is lower than ours, and nothing was written: smaller requests
            const middle = from + Math.ceil((until - from) / 2)
            return Effect.zipRight(sendRange(from, middle), sendRange(middle, until))
          }
          return error.reason === "RecordRejected" && until - from === 1
            ? new KafkaError({ ...error, index: from })
            : error
        }),
      )

    return turnOf(to)(
      Effect.uninterruptible(
        Effect.flatMap(cut(to, records), (ends) =>
          Effect.reduce(ends, 0n, (_, until, index) => sendRange(ends[index - 1] ?? 0, until)),
        ),
      ),
    )
  }
}
