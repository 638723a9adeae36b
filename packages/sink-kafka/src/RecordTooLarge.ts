/**
 * A record that its topic does not take.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The `cause` of a `SinkError` with the reason `RecordRejected`.
 *
 * @since 0.1.0
 * @category errors
 */
export class RecordTooLarge extends Schema.TaggedError<RecordTooLarge>("@effect-marketo/sink-kafka/RecordTooLarge")(
  "RecordTooLarge",
  {
    topic: Schema.String,
    /** The record's `identity`: its `marketoGUID`, else its id, else a hash of its text. */
    identity: Schema.String,
    /** Bytes of its value. */
    size: Schema.Number,
  },
) {
  override get message(): string {
    return `record ${this.identity} has ${this.size} bytes, more than the topic ${this.topic} takes`
  }
}
