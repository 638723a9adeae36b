/**
 * Why there is no broker.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `JavaMissing`: there is no Java on the `PATH`, or it is older than 17;
 * - `JarsMissing`: Kafka's jars are not in the cache, and Maven is missing or could not get them;
 * - `Failed`: with all that in place, a node could not be prepared, started or stopped.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokerError extends Schema.TaggedError<BrokerError>("@effect-marketo/kafka-broker/BrokerError")(
  "BrokerError",
  {
    reason: Schema.Literal("JavaMissing", "JarsMissing", "Failed"),
    description: Schema.String,
  },
) {
  override get message(): string {
    return this.description
  }
}
