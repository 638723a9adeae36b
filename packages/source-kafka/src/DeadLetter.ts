/**
 * A record that could not be written to Marketo, as it stands in a dead-letter topic: key, value and headers as they came, and
 * headers that say where it came from and why it is there. The names that begin with `__connect.` are those of Kafka Connect,
 * so that tools for its dead letters read these too.
 *
 * | header | is |
 * | --- | --- |
 * | `__connect.errors.topic`, `.partition`, `.offset` | where the record is in the source topic |
 * | `__connect.errors.stage` | `VALUE_CONVERTER`: it could not be decoded; `TASK_PUT`: it could not be written |
 * | `__connect.errors.exception.class.name`, `.message` | what went wrong |
 * | `marketo.error.code` | `undecodable`; `unreadable`: Kafka's batch is damaged or, unpacked, larger than `maxDecompressedBytes`, and this stands for all of its records; Marketo's codes, joined by commas; or the code of the call that had no answer |
 * | `marketo.request.id` | Marketo's id of the call, where there is one |
 * | `marketo.execution` | `Unknown`: the record may be in Marketo all the same |
 * | `marketo.activity.type.id` | the custom activity's type, where it could be read |
 * | `marketo.attempts` | how often the record has been read from the source topic: 1, and one more for each redrive |
 * | `marketo.source` | the `groupId` of the source that wrote the dead letter; without it a record is no dead letter of ours |
 * | `marketo.value.bytes` | the value's size; only where the record is too large for the dead-letter topic, which has the value's first 1,000 bytes, and where that is still too large, the key's first 1,000 and none of the record's own headers |
 *
 * Names that begin with `marketo.` or `__connect.errors.` are reserved: a record of the source topic that has them loses them
 * when it becomes a dead letter, because anybody with Write on that topic could have made them up. One is read,
 * `marketo.redrive.attempts`, which `Redrive` writes. Whoever forges it changes the attempts of that record alone, between 1 and
 * 1,000: it is redriven less or more often than others. Who may write to the dead-letter topic itself is trusted.
 *
 * @since 0.1.0
 */
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import * as Option from "effect/Option"

/**
 * The names of the headers.
 *
 * @since 0.1.0
 * @category models
 */
export const headers = {
  topic: "__connect.errors.topic",
  partition: "__connect.errors.partition",
  offset: "__connect.errors.offset",
  stage: "__connect.errors.stage",
  exception: "__connect.errors.exception.class.name",
  message: "__connect.errors.exception.message",
  code: "marketo.error.code",
  requestId: "marketo.request.id",
  execution: "marketo.execution",
  activityTypeId: "marketo.activity.type.id",
  attempts: "marketo.attempts",
  source: "marketo.source",
  valueBytes: "marketo.value.bytes",
} as const

/** @internal What `Redrive` writes on a record of the source topic. */
export const REDRIVE_ATTEMPTS = "marketo.redrive.attempts"

/**
 * Whether a header of this name is one of ours, whoever wrote it.
 *
 * @since 0.1.0
 * @category guards
 */
export const isReserved = (header: string): boolean =>
  header.startsWith("marketo.") || header.startsWith("__connect.errors.")

/**
 * @since 0.1.0
 * @category models
 */
export interface DeadLetter {
  /** The record in the dead-letter topic. */
  readonly record: KafkaRecord.ConsumerRecord
  /** Where it was in the source topic. */
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly codes: ReadonlyArray<string>
  readonly attempts: number
  /** The `groupId` of the source that wrote it. */
  readonly source: string
  readonly activityTypeId: Option.Option<number>
  /** Whether the record may be in Marketo all the same. */
  readonly mayBeStored: boolean
  /** Whether this is only the beginning of the record. */
  readonly isCut: boolean
}

const decoder = new TextDecoder()

/** The last one counts, where a header is repeated. */
const text = ({ headers }: KafkaRecord.ConsumerRecord, name: string): string | undefined => {
  const value = headers[name]?.at(-1)
  return value === undefined || value === null ? undefined : decoder.decode(value)
}

/** Of digits only, and at most `max`. */
const numberOf = (text: string | undefined, max: number): number | undefined => {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined
  const number = Number(text)
  return number <= max ? number : undefined
}

const MAX_ATTEMPTS = 1_000

const atLeastOne = (attempts: number | undefined): number => Math.max(1, attempts ?? 1)

/**
 * How often a record of the source topic has been read: 1, unless `Redrive` has put it back.
 *
 * @since 0.1.0
 * @category accessors
 */
export const attemptsOf = (record: KafkaRecord.ConsumerRecord): number =>
  atLeastOne(numberOf(text(record, REDRIVE_ATTEMPTS), MAX_ATTEMPTS))

/** Kafka's limits. */
const MAX_PARTITION = 2 ** 31 - 1
const OFFSET = /^\d{1,19}$/

/**
 * None where the record is no dead letter, or that of another program: a topic may be shared with Kafka Connect's.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromRecord = (record: KafkaRecord.ConsumerRecord): Option.Option<DeadLetter> => {
  const source = text(record, headers.source)
  const topic = text(record, headers.topic)
  const partition = numberOf(text(record, headers.partition), MAX_PARTITION)
  const offset = text(record, headers.offset) ?? ""
  const code = text(record, headers.code)
  if (source === undefined || topic === undefined || code === undefined) return Option.none()
  if (partition === undefined || !OFFSET.test(offset)) return Option.none()
  return Option.some({
    record,
    topic,
    partition,
    offset: BigInt(offset),
    codes: code.split(","),
    attempts: atLeastOne(numberOf(text(record, headers.attempts), MAX_ATTEMPTS)),
    source,
    activityTypeId: Option.fromNullable(numberOf(text(record, headers.activityTypeId), Number.MAX_SAFE_INTEGER)),
    mayBeStored: text(record, headers.execution) === "Unknown",
    isCut: text(record, headers.valueBytes) !== undefined,
  })
}
