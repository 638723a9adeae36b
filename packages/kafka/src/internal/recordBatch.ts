/**
 * Record batches, the form in which records travel and are stored (magic 2, Kafka 0.11 and later), to and from bytes.
 *
 * Ours, because kafkajs reads only gzip and unpacks it without a limit, takes quadratic time for the headers of a record, keeps
 * them in objects in which a header named `constructor` meets JavaScript's own, and cannot write a header without a value.
 */
import type { Unreadable } from "../KafkaRecord.js"
import { type Bytes, Reader, sizeOfVarbytes, sizeOfVarint, Writer } from "./bytes.js"
import { codecs } from "./compression/codecs.js"
import { Damaged, ExceedsLimit } from "./compression/limit.js"
import { crc32c } from "./crc32c.js"
import type { Headers } from "./headers.js"

const MAGIC = 2

/** Of the attributes of a batch. */
const CODEC_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/** Bytes of a batch in front of its records, and those of them that its length does not count. */
const HEADER = 61
const UNCOUNTED = 12

/** Where the checksum stands, and what it is of. */
const CHECKED_FROM = 21

/** What a record and a header take in memory at least: many empty ones are not small. */
const MIN_SIZE = 128

export interface DecodedRecord {
  readonly offset: bigint
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers<Buffer | null>
  readonly unreadable: Unreadable | undefined
}

export interface Batch {
  readonly magic: number
  readonly baseOffset: bigint
  readonly lastOffset: bigint
  readonly producerId: bigint
  readonly isTransactional: boolean
  /** Not records, but the end of a transaction. */
  readonly isControl: boolean
  readonly attributes: number
  readonly firstTimestamp: number
  readonly maxTimestamp: number
  /** How many records there are. */
  readonly count: number
  /** Still compressed. */
  readonly records: Buffer
}

/** Behind the epoch of the producer and its sequence number. */
const countOf = (batch: Reader): number => {
  batch.skip(6)
  return batch.int32()
}

/** A message of Kafka before 0.11, as old logs may have them. Its offset is that of the last one inside, if it is compressed. */
const old = (magic: number, offset: bigint, message: Reader): Batch => ({
  magic,
  baseOffset: offset,
  lastOffset: offset,
  attributes: 0,
  isTransactional: false,
  isControl: false,
  firstTimestamp: 0,
  maxTimestamp: 0,
  producerId: -1n,
  count: 1,
  records: message.bytes(message.left),
})

/** What stands at the same place in all versions: offset, length, four bytes that differ, and the version. */
const PREFIX = 17

/** The next batch; `undefined` where its end is missing, as in the last one of a response. */
export const next = (reader: Reader): Batch | undefined => {
  if (reader.left < PREFIX) return undefined
  const length = reader.buffer.readInt32BE(reader.at + 8)
  if (length > reader.left - UNCOUNTED) return undefined
  const batch = new Reader(reader.bytes(UNCOUNTED + length))
  const baseOffset = batch.int64()
  batch.skip(8) // length, epoch of the leader
  const magic = batch.int8()
  if (magic !== MAGIC) return old(magic, baseOffset, batch)
  batch.skip(4) // the checksum, which the broker has checked
  const attributes = batch.int16()
  return {
    magic,
    baseOffset,
    attributes,
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    isControl: (attributes & CONTROL) !== 0,
    lastOffset: baseOffset + BigInt(batch.int32()),
    firstTimestamp: Number(batch.int64()),
    maxTimestamp: Number(batch.int64()),
    producerId: batch.int64(),
    count: countOf(batch),
    records: batch.bytes(batch.left),
  }
}

/** Whether a control batch says that a transaction was aborted: its key has a version and a type, and 0 is abort. */
export const isAbort = (batch: Batch): boolean => {
  if (batch.count === 0) return false // emptied by compaction
  const record = new Reader(batch.records)
  record.varint() // length
  record.skip(1)
  record.varint()
  record.varint()
  return record.varbytes()?.readInt16BE(2) === 0
}

const unpack = async ({ attributes, magic, records }: Batch, limit: number): Promise<Buffer> => {
  if (magic !== MAGIC) throw new Damaged(`their format, version ${magic}, is older than Kafka 0.11`)
  const number = attributes & CODEC_MASK
  if (number === 0) return records
  const codec = codecs[number]
  if (codec === undefined) throw new Damaged(`there is no codec ${number}`)
  const unpacked = await codec.decompress(records, limit)
  return Buffer.from(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength)
}

/** Spends `size` bytes of what a batch may take. */
type Spend = (size: number) => void

const headersOf = (reader: Reader, spend: Spend): Headers<Buffer | null> => {
  const count = Math.max(0, reader.varint())
  spend(count * MIN_SIZE)
  const headers: Array<readonly [string, Buffer | null]> = []
  for (let index = 0; index < count; index++) headers.push([reader.varbytes()?.toString() ?? "", reader.varbytes()])
  return headers
}

const recordOf = (batch: Batch, reader: Reader, spend: Spend): DecodedRecord => {
  const record = new Reader(reader.bytes(reader.varint()))
  spend(Math.max(record.left, MIN_SIZE))
  record.skip(1) // attributes, of which there are none
  const timestampDelta = record.varint()
  return {
    timestamp: (batch.attributes & LOG_APPEND_TIME) !== 0 ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta,
    offset: batch.baseOffset + BigInt(record.varint()),
    key: record.varbytes(),
    value: record.varbytes(),
    headers: headersOf(record, spend),
    unreadable: undefined,
  }
}

const why = (batch: Batch, limit: number, cause: unknown): Unreadable => {
  const isTooLarge = cause instanceof ExceedsLimit
  const says = isTooLarge
    ? `they take ${cause.size === undefined ? "more than" : `${cause.size} bytes, and the limit is`} ${limit} bytes`
    : cause instanceof Error
      ? cause.message
      : String(cause)
  const codec = codecs[batch.attributes & CODEC_MASK]?.name ?? "none"
  return {
    reason: isTooLarge ? "TooLarge" : "Damaged",
    description: `the ${batch.count} records of the batch at offsets ${batch.baseOffset} to ${batch.lastOffset} (${batch.records.length} bytes, compression ${codec}) cannot be read: ${says}`,
    firstOffset: batch.baseOffset,
    count: batch.count,
    size: batch.records.length,
  }
}

/**
 * The records of a batch, which together may take `limit` bytes. What cannot be read is one record, at the last offset of the batch,
 * that says why: nothing else is known of them.
 */
export const decode = async (
  batch: Batch,
  limit: number,
): Promise<{ readonly records: ReadonlyArray<DecodedRecord>; readonly size: number }> => {
  let size = 0
  const spend: Spend = (more) => {
    size += more
    if (size > limit) throw new ExceedsLimit()
  }
  try {
    const reader = new Reader(await unpack(batch, limit))
    const records: Array<DecodedRecord> = []
    for (let index = 0; index < batch.count; index++) records.push(recordOf(batch, reader, spend))
    return { records, size }
  } catch (cause) {
    const lost: DecodedRecord = {
      offset: batch.lastOffset,
      timestamp: batch.maxTimestamp,
      key: null,
      value: null,
      headers: [],
      unreadable: why(batch, limit, cause),
    }
    return { records: [lost], size: Math.min(size, limit) }
  }
}

export interface NewRecord {
  readonly timestamp: number
  readonly key: Bytes
  readonly value: Bytes
  readonly headers: Headers<Bytes>
}

export interface NewBatch {
  readonly records: readonly [NewRecord, ...ReadonlyArray<NewRecord>]
  /** Kafka's number of the compression; 0 is none. */
  readonly codec: number
  readonly isTransactional: boolean
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly firstSequence: number
}

const sizeOfRecord = ({ headers, key, value }: NewRecord, timestampDelta: number, offsetDelta: number): number => {
  let size = 1 + sizeOfVarint(timestampDelta) + sizeOfVarint(offsetDelta) + sizeOfVarbytes(key) + sizeOfVarbytes(value)
  size += sizeOfVarint(headers.length)
  for (const [name, value] of headers) size += sizeOfVarbytes(name) + sizeOfVarbytes(value)
  return size
}

const encodeRecords = (records: ReadonlyArray<NewRecord>, firstTimestamp: number): Buffer => {
  const sizes = records.map((record, index) => sizeOfRecord(record, record.timestamp - firstTimestamp, index))
  const writer = new Writer(sizes.reduce((sum, size) => sum + sizeOfVarint(size) + size, 0))
  for (const [index, { headers, key, timestamp, value }] of records.entries()) {
    writer
      .varint(sizes[index] ?? 0)
      .int8(0)
      .varint(timestamp - firstTimestamp)
      .varint(index)
      .varbytes(key)
      .varbytes(value)
      .varint(headers.length)
    for (const [name, value] of headers) writer.varbytes(name).varbytes(value)
  }
  return writer.buffer
}

const pack = (number: number, bytes: Buffer): Promise<Uint8Array> => {
  const compress = codecs[number]?.compress
  return compress === undefined ? Promise.reject(new Error(`codec ${number} cannot be written`)) : compress(bytes)
}

/** A batch as it is sent: its offsets are the broker's to set. */
export const encode = async (batch: NewBatch): Promise<Buffer> => {
  const { codec, records } = batch
  const firstTimestamp = records[0].timestamp
  const maxTimestamp = records.reduce((max, { timestamp }) => Math.max(max, timestamp), firstTimestamp)
  const plain = encodeRecords(records, firstTimestamp)
  const body = codec === 0 ? plain : await pack(codec, plain)
  const writer = new Writer(HEADER + body.byteLength)
  writer
    .int64(0n)
    .int32(HEADER - UNCOUNTED + body.byteLength)
    .int32(-1)
    .int8(MAGIC)
    .uint32(0)
    .int16(codec | (batch.isTransactional ? TRANSACTIONAL : 0))
    .int32(records.length - 1)
    .int64(BigInt(firstTimestamp))
    .int64(BigInt(maxTimestamp))
    .int64(batch.producerId)
    .int16(batch.producerEpoch)
    .int32(batch.firstSequence)
    .int32(records.length)
    .bytes(body)
  writer.buffer.writeUInt32BE(crc32c(writer.buffer.subarray(CHECKED_FROM)), CHECKED_FROM - 4)
  return writer.buffer
}
