import { assert, describe, it } from "@effect/vitest"
import { Writer } from "../src/internal/bytes.js"
import { decode } from "../src/internal/kafkajs/fetch.js"

/** A control batch at offset 5, of which compaction has left nothing but the header. */
const emptied = new Writer(61)
  .int64(5n)
  .int32(49)
  .int32(-1)
  .int8(2)
  .uint32(0)
  .int16(0x30)
  .int32(0)
  .int64(0n)
  .int64(0n)
  .int64(7n)
  .int16(0)
  .int32(-1)
  .int32(0).buffer

/** What a broker answers to a Fetch request of version 11, where producer 7 has aborted what it wrote from offset 0 on. */
const answer = (batch: Buffer): Buffer => {
  const writer = new Writer(200).int32(0).int16(0).int32(0).int32(1).text("topic").int32(1)
  writer.int32(0).int16(0).int64(6n).int64(6n).int64(0n).int32(1).int64(7n).int64(0n).int32(-1)
  writer.int32(batch.length).bytes(batch)
  return writer.buffer.subarray(0, writer.at)
}

describe("fetch", () => {
  it("reads past the end of a transaction that compaction has emptied", async () => {
    const { responses } = await decode(answer(emptied), 11, 2 ** 20)
    const messages = responses[0]?.partitions[0]?.messages ?? []
    assert.deepStrictEqual(
      messages.map(({ isControlRecord, offset }) => ({ offset, isControlRecord })),
      [{ offset: "5", isControlRecord: true }],
    )
  })
})
