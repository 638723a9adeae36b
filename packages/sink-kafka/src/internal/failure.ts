/**
 * What goes wrong, in the words of a sink, and what is worth another try.
 *
 * @since 0.1.0
 */
import { SinkError } from "@effect-marketo/core/SinkError"
import { KafkaError, type Reason, reasons } from "@effect-marketo/kafka/KafkaError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

export const sink = "kafka"

const sinkReasons: Readonly<Record<Reason, SinkError["reason"]>> = {
  Unavailable: "Unavailable",
  ProducerSpent: "Unavailable",
  TransactionExpired: "Unavailable",
  OutcomeUnknown: "Unavailable",
  Fenced: "Fenced",
  RecordTooLarge: "RecordRejected",
  RecordRejected: "RecordRejected",
  RecordUnreadable: "CheckpointRefused",
  UnknownTopic: "Unavailable",
  OffsetOutOfRange: "Unavailable",
  Misconfigured: "Unavailable",
}

/** `doing` completes "cannot …". */
export const cannot =
  (doing: string) =>
  <A, R>(effect: Effect.Effect<A, KafkaError, R>): Effect.Effect<A, SinkError, R> =>
    Effect.mapError(
      effect,
      (cause) =>
        new SinkError({
          sink,
          reason: sinkReasons[cause.reason],
          description: `cannot ${doing}: ${reasons[cause.reason].advice}`,
          cause,
        }),
    )

export const failure = (reason: SinkError["reason"], description: string, cause?: unknown): SinkError =>
  new SinkError({ sink, reason, description, cause })

/** What Kafka said, if the same thing may succeed when it is tried again. */
const retryable = ({ cause }: SinkError): KafkaError | undefined =>
  cause instanceof KafkaError && cause.isRetryable ? cause : undefined

/**
 * 0.5 s, 1 s, … 5 s between attempts. The first delay gives a copy that takes over the time to write its checkpoint after its producer
 * has started, so that our next read sees it.
 */
const delays = Schedule.exponential("500 millis").pipe(Schedule.union(Schedule.spaced("5 seconds")), Schedule.jittered)

/** Tries again while Kafka is away, and begins no try later than `limit` after the first. */
export const whileUnavailable =
  (limit: Duration.DurationInput) =>
  <A, R>(effect: Effect.Effect<A, SinkError, R>): Effect.Effect<A, SinkError, R> =>
    effect.pipe(
      Effect.tapError((error) => {
        const cause = retryable(error)
        return cause === undefined ? Effect.void : Effect.logWarning(`${error.message}: ${cause.message}`)
      }),
      Effect.retry({ schedule: Schedule.upTo(delays, limit), while: (error) => retryable(error) !== undefined }),
    )
