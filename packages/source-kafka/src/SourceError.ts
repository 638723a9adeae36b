/**
 * Why a source ends by a decision of its own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `TooManyDeadLetters`: more than the guard allows; something is wrong that dead letters do not cure. The last ones are not
 *   written, except those of a partition of which Marketo has stored records in the same call
 * - `Refused`: Marketo skipped a record with a code for which the policy says `fail`
 *
 * The next run begins with the first record that is neither in Marketo nor a dead letter.
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
