/**
 * The log of a partition in memory, and what a reader may see of it.
 */
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { ConsumerRecord, ProducerRecord, TopicPartition } from "../../KafkaRecord.js"
import { fromList, toList } from "../headers.js"

export interface Transaction {
  state: "open" | "committed" | "aborted"
  readonly partitions: Set<Partition>
  /** When the broker aborts it, in milliseconds. Counts from the first send. */
  expiresAt: number
}

export interface Entry {
  /** Undefined is the mark that a transaction leaves where it ends; it takes an offset, as in Kafka. */
  readonly record: ConsumerRecord | undefined
  readonly transaction: Transaction | undefined
}

export interface Partition extends TopicPartition {
  readonly entries: Array<Entry>
  /** Offset of the first entry that is left. */
  start: number
}

const encoder = new TextEncoder()
const bytes = (text: string | Uint8Array): Uint8Array => (typeof text === "string" ? encoder.encode(text) : text)

export const consumed = (
  { topic, partition }: TopicPartition,
  offset: number,
  now: DateTime.Utc,
  record: ProducerRecord,
): ConsumerRecord => ({
  topic,
  partition,
  offset: BigInt(offset),
  timestamp: record.timestamp ?? now,
  key: Option.map(Option.fromNullable(record.key), bytes),
  value: Option.map(Option.fromNullable(record.value), bytes),
  headers: fromList(
    toList(record.headers ?? {}).map(([name, value]) => [name, value === null ? null : bytes(value)] as const),
  ),
})

export const endOf = (partition: Partition): number => partition.start + partition.entries.length

export const end = (transaction: Transaction, state: "committed" | "aborted"): void => {
  transaction.state = state
  for (const { entries } of transaction.partitions) entries.push({ record: undefined, transaction: undefined })
}

export const isOver = (transaction: Transaction, now: number): boolean =>
  transaction.partitions.size > 0 && now > transaction.expiresAt

/** Where it ends for readers: at the first record of an open transaction. */
export const stableEnd = ({ entries, start }: Partition): number => {
  const open = entries.findIndex(({ transaction }) => transaction?.state === "open")
  return start + (open < 0 ? entries.length : open)
}

export interface Read {
  readonly records: ReadonlyArray<ConsumerRecord>
  /** Where reading goes on: behind the last record, and behind what nobody may see after it. */
  readonly next: number
}

/** What a reader may see from an offset on, at most `limit` records. */
export const read = (partition: Partition, from: number, limit = Number.POSITIVE_INFINITY): Read => {
  const records: Array<ConsumerRecord> = []
  const end = stableEnd(partition)
  let next = from
  for (; next < end; next++) {
    const { record, transaction } = partition.entries[next - partition.start] as Entry
    if (record === undefined || transaction?.state === "aborted") continue
    if (records.length === limit) break
    records.push(record)
  }
  return { records, next }
}
