/**
 * How Kafka fails, and what is to be done about it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The reasons, as data: whether the same thing may succeed when it is tried again, and what a caller should do.
 *
 * @since 0.1.0
 * @category models
 */
export const reasons = {
  Unavailable: { isRetryable: true, advice: "wait and try again" },
  ProducerSpent: { isRetryable: true, advice: "make a new producer and read what is there" },
  TransactionExpired: { isRetryable: true, advice: "see whether somebody else took over, then make a new producer" },
  OutcomeUnknown: { isRetryable: true, advice: "make a new producer and read what is there before sending again" },
  Fenced: { isRetryable: false, advice: "another producer of this transactional id took over: stop" },
  RecordTooLarge: { isRetryable: false, advice: "raise max.message.bytes of the topic, or keep the record elsewhere" },
  RecordRejected: { isRetryable: false, advice: "the broker refuses the record as it is" },
  RecordUnreadable: {
    isRetryable: false,
    advice: "raise maxDecompressedBytes, or ask for what is unreadable and pass it over",
  },
  OffsetOutOfRange: { isRetryable: false, advice: "records are gone: see why, then set the group's offset" },
  UnknownTopic: { isRetryable: false, advice: "create the topic" },
  Misconfigured: { isRetryable: false, advice: "a person has to change the configuration" },
} as const

/**
 * @since 0.1.0
 * @category models
 */
export type Reason = keyof typeof reasons

/**
 * @since 0.1.0
 * @category errors
 */
export class KafkaError extends Schema.TaggedError<KafkaError>("@effect-marketo/kafka/KafkaError")("KafkaError", {
  reason: Schema.Literal(...(Object.keys(reasons) as [Reason, ...Array<Reason>])),
  /** What happened, where, and what to do. No contents of records, no secrets. */
  description: Schema.String,
  /** Kafka's name of the error, such as `TOPIC_AUTHORIZATION_FAILED`; else the connection's code, or the client's name for it. */
  code: Schema.optional(Schema.String),
  /** The place in the list of a send of a record that is too large, or was refused when it was sent alone. */
  index: Schema.optional(Schema.Number),
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    return `${this.description}${this.code === undefined ? "" : ` [${this.code}]`} (${this.reason})`
  }

  /** Whether the same thing may succeed when it is tried again, on a new producer where the reason says so. */
  get isRetryable(): boolean {
    return reasons[this.reason].isRetryable
  }
}
