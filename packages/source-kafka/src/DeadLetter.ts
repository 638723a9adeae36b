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
 * | `marketo.error.code` | `undecodable`; Marketo's codes, joined by commas; or the code of the call that had no answer |
 * | `marketo.request.id` | Marketo's id of the call, where there is one |
 * | `marketo.execution` | `Unknown`: the record may be in Marketo all the same |
 * | `marketo.activity.type.id` | the custom activity's type, where it could be read |
 * | `marketo.attempts` | how often the record has been read from the source topic: 1, and one more for each redrive |
 * | `marketo.value.bytes` | the value's size; only where the record is too large for the dead-letter topic, which has the value's first 1,000 bytes, and where that is still too large, the key's first 1,000 and none of the record's own headers |
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
  valueBytes: "marketo.value.bytes",
} as const

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
  return value === undefined ? undefined : decoder.decode(value ?? undefined)
}

/**
 * How often a record has been read from its source topic; 1 where it does not say.
 *
 * @since 0.1.0
 * @category accessors
 */
export const attemptsOf = (record: KafkaRecord.ConsumerRecord): number => {
  const attempts = Number(text(record, headers.attempts))
  return Number.isSafeInteger(attempts) && attempts >= 1 ? attempts : 1
}

/**
 * None where the record is no dead letter, or that of another program: a topic may be shared with Kafka Connect's.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromRecord = (record: KafkaRecord.ConsumerRecord): Option.Option<DeadLetter> => {
  const topic = text(record, headers.topic)
  const partition = Number(text(record, headers.partition) ?? Number.NaN)
  const offset = text(record, headers.offset) ?? ""
  const code = text(record, headers.code)
  if (topic === undefined || code === undefined || !Number.isSafeInteger(partition) || !/^\d+$/.test(offset))
    return Option.none()
  const activityTypeId = text(record, headers.activityTypeId)
  return Option.some({
    record,
    topic,
    partition,
    offset: BigInt(offset),
    codes: code.split(","),
    attempts: attemptsOf(record),
    activityTypeId: Option.map(Option.fromNullable(activityTypeId), Number),
    mayBeStored: text(record, headers.execution) === "Unknown",
    isCut: text(record, headers.valueBytes) !== undefined,
  })
}
