import { KafkaError } from "../../KafkaError.js"
import type { TopicPartition, Unreadable } from "../../KafkaRecord.js"

/** Of a reader that did not ask for what is unreadable. */
export const refusal = (doing: string, { partition }: Pick<TopicPartition, "partition">, { description }: Unreadable) =>
  new KafkaError({ reason: "RecordUnreadable", description: `${doing}: partition ${partition}: ${description}` })
