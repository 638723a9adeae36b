import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import kafkajs from "kafkajs"
import { Partitioner } from "../src/index.js"

/** kafkajs's, which its users compare with Java's. */
const reference = (key: Buffer, partitions: number) =>
  kafkajs.Partitioners.DefaultPartitioner()({
    topic: "topic",
    partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 1,
      replicas: [1],
      isr: [1],
    })),
    message: { key, value: null },
  })

describe("Partitioner", () => {
  // the hashes are in the tests of Java's client (UtilsTest.testMurmur2)
  for (const [key, hash] of [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ] as const) {
    it(`gives ${key} the partition of Java's client`, () => {
      assert.strictEqual(Partitioner.partition(key, 1_000_003), (hash & 0x7fffffff) % 1_000_003)
    })
  }

  it("agrees with kafkajs on every key", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.uint8Array({ maxLength: 50 }),
        FastCheck.integer({ min: 1, max: 100 }),
        (key, partitions) => {
          assert.strictEqual(Partitioner.partition(key, partitions), reference(Buffer.from(key), partitions))
        },
      ),
      { numRuns: 500 },
    )
  })

  it("takes a text as UTF-8, and bytes from the middle of a buffer", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "grapheme", maxLength: 20 }), FastCheck.nat(3), (text, offset) => {
        const bytes = new TextEncoder().encode(text)
        const shifted = new Uint8Array(offset + bytes.length + 1)
        shifted.set(bytes, offset)
        assert.strictEqual(Partitioner.partition(text, 1000), Partitioner.partition(bytes, 1000))
        assert.strictEqual(
          Partitioner.partition(shifted.subarray(offset, offset + bytes.length), 1000),
          Partitioner.partition(bytes, 1000),
        )
      }),
      { numRuns: 200 },
    )
  })
})
