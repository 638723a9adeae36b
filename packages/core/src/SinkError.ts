/**
 * How a sink fails.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A sink retries its own destination and settles doubtful writes itself, so what it fails with is final for this run:
 *
 * - `Unavailable`: the destination cannot be reached or cannot take more (network, disk full, no permission)
 * - `Fenced`: another writer of the same subscription took over; this one must not write again
 * - `RecordRejected`: the destination refuses a record, or the sink has no place for rejected ones
 * - `CheckpointRefused`: the stored checkpoint cannot be used; it was not overwritten
 * - `InUse`: another process holds the destination
 * - `Closed`: the reader of the destination is gone, as with `| head`
 * - `Other`: an error of a user's own sink, in `cause`
 *
 * @since 0.1.0
 * @category errors
 */
export class SinkError extends Schema.TaggedError<SinkError>("@effect-marketo/core/SinkError")("SinkError", {
  /** The sink's name. */
  sink: Schema.String,
  reason: Schema.Literal("Unavailable", "Fenced", "RecordRejected", "CheckpointRefused", "InUse", "Closed", "Other"),
  /** What happened, where, and what to do. No contents of records. */
  description: Schema.String,
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    return `${this.sink}: ${this.description} (${this.reason})`
  }
}
