/**
 * Why a source ends by a decision of its own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `TooManyDeadLetters`: more than the guard allows; something is wrong that dead letters do not cure. None of the last batch
 *   was written
 * - `Refused`: Marketo skipped a record with a code for which the policy says `fail`
 *
 * Offsets stay where they are, so the next run begins with the same records.
 *
 * @since 0.1.0
 * @category errors
 */
export class SourceError extends Schema.TaggedError<SourceError>("@effect-marketo/source-kafka/SourceError")(
  "SourceError",
  {
    reason: Schema.Literal("TooManyDeadLetters", "Refused"),
    /** What happened, where, and what to do. No contents of records. */
    description: Schema.String,
  },
) {
  override get message(): string {
    return `${this.description} (${this.reason})`
  }
}
