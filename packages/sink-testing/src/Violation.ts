/**
 * How a behaviour fails.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A sink broke its contract.
 *
 * @since 0.1.0
 * @category errors
 */
export class Violation extends Schema.TaggedError<Violation>("@effect-marketo/sink-testing/Violation")("Violation", {
  /** What was found and what was expected. Quotes the suite's own records, which are nobody's. */
  description: Schema.String,
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    return this.description
  }
}
