/**
 * The same failure, seen from where more is known about it.
 *
 * @since 0.1.0
 */
import { KafkaError, type Reason } from "../KafkaError.js"

export const reclassify = ({ cause, code, description, index }: KafkaError, reason: Reason): KafkaError =>
  new KafkaError({ reason, description, code, index, cause })
