/**
 * What is sent, in the form that the broker expects.
 */
import { Writer } from "../bytes.js"
import * as RecordBatch from "../recordBatch.js"

/** A record as kafkajs carries it from a send to here; it looks at the partition and at whether there is a value. */
export interface Message extends Omit<RecordBatch.NewRecord, "timestamp"> {
  /** Always given: kafkajs would send a record without one elsewhere when it tries again. */
  readonly partition: number
  readonly timestamp: number | undefined
}

/** What kafkajs gives to the encoder of its request. */
export interface Request {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string | null | undefined
  readonly producerId?: unknown
  readonly producerEpoch?: number | undefined
  /** Kafka's number of it. */
  readonly compression?: number | undefined
  readonly topicData: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly firstSequence?: number | undefined
      readonly messages: readonly [Message, ...ReadonlyArray<Message>]
    }>
  }>
}

/** The versions whose requests are written here, which are all alike. */
export const isWritable = (version: number): boolean => version >= 3 && version <= 7

const batchOf = (
  { compression = 0, producerEpoch = 0, producerId = -1, transactionalId }: Request,
  { firstSequence = 0, messages: [first, ...others] }: Request["topicData"][number]["partitions"][number],
): Promise<Buffer> => {
  const now = Date.now()
  const recordOf = ({ timestamp = now, ...record }: Message): RecordBatch.NewRecord => ({ ...record, timestamp })
  return RecordBatch.encode({
    records: [recordOf(first), ...others.map(recordOf)],
    codec: compression,
    isTransactional: Boolean(transactionalId),
    producerId: BigInt(String(producerId)),
    producerEpoch,
    firstSequence,
  })
}

const sizeOfText = (text: string | null): number => 2 + Buffer.byteLength(text ?? "")

/** The body of a Produce request. */
export const encode = async (request: Request): Promise<Buffer> => {
  const { acks, timeout, topicData, transactionalId = null } = request
  const topics = await Promise.all(
    topicData.map(async ({ partitions, topic }) => ({
      topic,
      partitions: await Promise.all(
        partitions.map(async (each) => ({ partition: each.partition, batch: await batchOf(request, each) })),
      ),
    })),
  )
  const size = topics.reduce(
    (sum, { partitions, topic }) =>
      partitions.reduce((sum, { batch }) => sum + 8 + batch.length, sum + 4 + sizeOfText(topic)),
    sizeOfText(transactionalId) + 10,
  )
  const writer = new Writer(size).text(transactionalId).int16(acks).int32(timeout).int32(topics.length)
  for (const { partitions, topic } of topics) {
    writer.text(topic).int32(partitions.length)
    for (const { batch, partition } of partitions) writer.int32(partition).int32(batch.length).bytes(batch)
  }
  return writer.buffer
}
