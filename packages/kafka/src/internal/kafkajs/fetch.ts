/**
 * What a fetch has brought, in the form that kafkajs expects of its own decoder.
 *
 * kafkajs moves on by the messages that it is given, so each batch without a visible record at its end (an aborted one, the end of a
 * transaction, one that compaction has emptied) leaves a message there that kafkajs keeps to itself. Aborted records are
 * taken out here: kafkajs ends that at the first record whose key is four zero bytes, as an int32 key 0 is.
 */
import { Reader } from "../bytes.js"
import * as RecordBatch from "../recordBatch.js"

/** A record as kafkajs hands it on; it looks at the offset and at whether it is a control record, and at no more. */
export interface Message extends Omit<RecordBatch.DecodedRecord, "offset"> {
  readonly offset: string
  readonly isControlRecord: boolean
}

export interface Partition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: string
  readonly lastStableOffset: string
  /** Its name in kafkajs: where the log begins. */
  readonly lastStartOffset: string
  /** Always empty: what is aborted is not among the messages. */
  readonly abortedTransactions: ReadonlyArray<never>
  readonly preferredReadReplica: number
  readonly messages: ReadonlyArray<Message>
}

export interface Response {
  readonly throttleTime: number
  /** For how long the broker wants no request. */
  readonly clientSideThrottleTime: number
  readonly errorCode: number
  readonly sessionId: number
  readonly responses: ReadonlyArray<{ readonly topicName: string; readonly partitions: ReadonlyArray<Partition> }>
}

interface Aborted {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/** So that a large fetch does not block the process, in bytes. */
const PAUSE_EVERY = 2 ** 20

/** The batches that one fetch may unpack, in bytes: beyond it they are left for the next one, except the first. */
class Budget {
  private untilPause = PAUSE_EVERY
  constructor(
    readonly limit: number,
    private left = limit,
  ) {}

  get isSpent(): boolean {
    return this.left <= 0
  }

  async spend(size: number): Promise<void> {
    this.left -= size
    this.untilPause -= size
    if (this.untilPause > 0) return
    this.untilPause = PAUSE_EVERY
    await new Promise((resume) => setImmediate(resume))
  }
}

const marker = (offset: bigint): Message => ({
  offset: String(offset),
  isControlRecord: true,
  timestamp: 0,
  key: null,
  value: null,
  headers: [],
  unreadable: undefined,
})

/** As Java's consumer does: a producer's transactional batches count as aborted from the first offset to its abort marker. */
const abortedFilter = (aborted: Array<Aborted>) => {
  const byOffset = aborted.sort((one, other) => Number(one.firstOffset - other.firstOffset))
  const producers = new Set<bigint>()
  let next = 0
  return (batch: RecordBatch.Batch): boolean => {
    for (
      let entry = byOffset[next];
      entry !== undefined && entry.firstOffset <= batch.lastOffset;
      entry = byOffset[next]
    ) {
      producers.add(entry.producerId)
      next++
    }
    if (batch.isControl) {
      if (producers.has(batch.producerId) && RecordBatch.isAbort(batch)) producers.delete(batch.producerId)
      return true
    }
    return batch.isTransactional && producers.has(batch.producerId)
  }
}

const messagesOf = async (bytes: Buffer, aborted: Array<Aborted>, budget: Budget): Promise<Array<Message>> => {
  const messages: Array<Message> = []
  const isHidden = abortedFilter(aborted)
  const reader = new Reader(bytes)
  while (!budget.isSpent) {
    const batch = RecordBatch.next(reader)
    if (batch === undefined) break
    let last: bigint | undefined
    if (!isHidden(batch)) {
      const { records, size } = await RecordBatch.decode(batch, budget.limit)
      for (const record of records) messages.push({ ...record, offset: String(record.offset), isControlRecord: false })
      last = records.at(-1)?.offset
      await budget.spend(size)
    }
    if (last !== batch.lastOffset) messages.push(marker(batch.lastOffset))
  }
  return messages
}

const partitionOf = async (reader: Reader, version: number, budget: Budget): Promise<Partition> => {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = String(reader.int64())
  const lastStableOffset = String(reader.int64())
  const lastStartOffset = version >= 5 ? String(reader.int64()) : "-1"
  const aborted = reader.list((each): Aborted => ({ producerId: each.int64(), firstOffset: each.int64() }))
  const preferredReadReplica = version >= 11 ? reader.int32() : -1
  const messages = await messagesOf(reader.bytes(Math.max(0, reader.int32())), aborted, budget)
  return {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    lastStartOffset,
    abortedTransactions: [],
    preferredReadReplica,
    messages,
  }
}

/** The versions whose answers are read here; kafkajs asks for none that is newer, and brokers since 0.11 for none that is older. */
export const isReadable = (version: number): boolean => version >= 4 && version <= 11

/** `limit` is what a batch may take unpacked, in bytes; a whole response takes less than twice as much. */
export const decode = async (bytes: Buffer, version: number, limit: number): Promise<Response> => {
  const reader = new Reader(bytes)
  const clientSideThrottleTime = reader.int32()
  const errorCode = version >= 7 ? reader.int16() : 0
  const sessionId = version >= 7 ? reader.int32() : 0
  const budget = new Budget(limit)
  const responses: Array<Response["responses"][number]> = []
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topicName = reader.text()
    const partitions: Array<Partition> = []
    for (let left = reader.int32(); left > 0; left--) partitions.push(await partitionOf(reader, version, budget))
    responses.push({ topicName, partitions })
  }
  return { throttleTime: 0, clientSideThrottleTime, errorCode, sessionId, responses }
}
