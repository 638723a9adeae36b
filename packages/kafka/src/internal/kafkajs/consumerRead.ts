/**
 * What kafkajs has read of a partition, as a batch of ours is made of it.
 */
import type { Batch, KafkaMessage } from "kafkajs"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import type { Settings } from "../consumerBatch.js"
import { fromMessage, messageOf } from "./consumerRecord.js"

export const make = (batch: Batch): Omit<Settings, "progress" | "first" | "commit"> => {
  const { messages, partition, topic } = batch
  // behind the last record, which may be followed by the end of its transaction
  const end = 1n + BigInt(batch.lastOffset())
  const made: Array<ConsumerRecord | undefined> = []

  const messageAt = (index: number) => messageOf(messages[index] as KafkaMessage)

  const at = (index: number) => {
    made[index] ??= fromMessage(topic, partition, messageAt(index))
    return made[index]
  }

  return {
    topic,
    partition,
    length: messages.length,
    at,
    valueAt: (index) => messageAt(index).value,
    unreadableAt: (index) => messageAt(index).unreadable,
    nextOffset: (until) => (messages[until] === undefined ? end : BigInt(messages[until].offset)),
    hasMore: BigInt(batch.highWatermark) > end,
  }
}
