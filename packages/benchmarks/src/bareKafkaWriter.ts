/**
 * The bare loop that the Kafka sink is compared with: kafkajs, and the same transactions. Nothing is found out about a commit
 * whose answer is lost, nobody is told who took over, and nothing is ever too large.
 *
 *     node bareKafkaWriter.js BROKERS TOPIC PAGES PAGES_A_TRANSACTION
 */
import { ActivityRecord } from "@effect-marketo/core"
import { Chunk, DateTime } from "effect"
import kafkajs, { type Message } from "kafkajs"
import { pages } from "./kafkaPages.js"
import { measure } from "./measured.js"

const [brokers = "", topic = "", count = "", together = ""] = process.argv.slice(2)
const PARTITIONS = 6
const checkpointTopic = `${topic}-checkpoints`

const retry = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 1_000, retries: 60 }
const kafka = new kafkajs.Kafka({ brokers: brokers.split(","), logLevel: kafkajs.logLevel.NOTHING, retry })
const admin = kafka.admin()
await admin.connect()
await admin.createTopics({ topics: [{ topic: checkpointTopic, numPartitions: 1 }] })
await admin.disconnect()

const producer = kafka.producer({
  transactionalId: topic,
  idempotent: true,
  maxInFlightRequests: 1,
  createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  retry,
})
await producer.connect()

const partitionOf = kafkajs.Partitioners.DefaultPartitioner()
const partitionMetadata = Array.from({ length: PARTITIONS }, (_, partitionId) => ({
  partitionId,
  leader: 1,
  partitionErrorCode: 0,
  replicas: [],
  isr: [],
}))

const distinct = (await pages).map((records) =>
  Chunk.toReadonlyArray(records).map((record) => ({
    key: record.leadId,
    value: Buffer.from(ActivityRecord.toBytes(record)),
    identity: record.identity,
    type: record.activityTypeId,
    date: record.activityDate,
  })),
)

await measure(async () => {
  let written = 0
  for (let page = 0, sequence = 1; page < Number(count); page += Number(together), sequence++) {
    const byPartition = new Map<number, Array<Message>>()
    for (let i = 0; i < Number(together); i++) {
      for (const { date, identity, key, type, value } of distinct[(page + i) % distinct.length] ?? []) {
        const message = {
          key,
          value,
          headers: {
            "content-type": "application/json",
            "marketo-guid": identity,
            "marketo-activity-type-id": `${type}`,
            "marketo-activity-date": DateTime.formatIso(date),
            "marketo-instance": "bench",
            "marketo-schema-version": "1",
          },
        }
        const partition = partitionOf({ topic, partitionMetadata, message })
        const messages = byPartition.get(partition) ?? []
        byPartition.set(partition, messages)
        messages.push({ ...message, partition })
        written++
      }
    }
    const transaction = await producer.transaction()
    await Promise.all(Array.from(byPartition.values(), (messages) => transaction.send({ topic, messages })))
    const checkpoint = JSON.stringify({ sequence, token: `${sequence}`.padStart(52, "A") })
    await transaction.send({ topic: checkpointTopic, messages: [{ key: "bench", value: checkpoint, partition: 0 }] })
    await transaction.commit()
  }
  return written
})
await producer.disconnect()
