import { assert, describe, it } from "@effect/vitest"
import { type KafkaRecord, PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, DateTime, Effect, FastCheck, Option } from "effect"
import type { Slice } from "../src/internal/batch.js"
import { Gatherer } from "../src/internal/gatherer.js"

const batch = (
  partition: number,
  count: number,
  options: Partial<Pick<PartitionBatch.PartitionBatch, "first" | "hasMore" | "claim">> & {
    readonly bytes?: number
  } = {},
): PartitionBatch.PartitionBatch => {
  const at = (n: number): KafkaRecord.ConsumerRecord => ({
    topic: "t",
    partition,
    offset: BigInt(n),
    timestamp: DateTime.unsafeMake(0),
    key: Option.none(),
    value: Option.some(new Uint8Array(options.bytes ?? 10)),
    headers: {},
  })
  return PartitionBatch.make({
    topic: "t",
    partition,
    length: count,
    at,
    valueAt: (n) => Option.getOrNull(at(n).value),
    unreadableAt: () => undefined,
    records: Chunk.makeBy(count, at),
    first: options.first ?? false,
    hasMore: options.hasMore ?? false,
    claim: options.claim ?? (() => true),
    commit: () => Effect.succeed(true),
    release: Effect.void,
  })
}

const policy = { maxCount: 300, maxBytes: 1_000_000, maxWait: 1_000, firstWait: 0 }

const sizeOf = (slices: ReadonlyArray<Slice>) => slices.reduce((sum, { from, until }) => sum + until - from, 0)

const done = (gatherer: Gatherer, slices: ReadonlyArray<Slice>, now: number) => {
  for (const { batch } of slices) gatherer.done(batch.partition, now)
}

const taken = (result: ReadonlyArray<Slice> | number): ReadonlyArray<Slice> => {
  if (typeof result === "number") throw new Error(`nothing to take for ${result} ms`)
  return result
}

describe("gathering records into calls", () => {
  it.prop(
    "takes every record once, in the order of its partition, no partition into two calls at a time, none too large",
    [
      FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
      FastCheck.integer({ min: 1, max: 12 }),
      FastCheck.integer({ min: 10, max: 120 }),
      FastCheck.array(FastCheck.nat({ max: 4 }), { minLength: 1, maxLength: 400 }),
    ],
    ([sizes, maxCount, maxBytes, choices]) => {
      const gatherer = new Gatherer({ ...policy, maxCount, maxBytes })
      for (const [partition, size] of sizes.entries()) gatherer.offer(batch(partition, size), 0)
      const next = sizes.map(() => 0)
      const inFlight: Array<ReadonlyArray<Slice>> = []
      let now = 0
      const end = (at: number) => {
        const [slices] = inFlight.splice(at % Math.max(1, inFlight.length), 1)
        if (slices !== undefined) done(gatherer, slices, now)
      }
      const take = () => {
        const result = gatherer.take(now)
        if (typeof result === "number") return result
        const busy = inFlight.flat().map(({ batch }) => batch.partition)
        for (const { batch, from, until } of result) {
          assert.notInclude(busy, batch.partition)
          assert.strictEqual(from, next[batch.partition])
          assert.isAbove(until, from)
          next[batch.partition] = until
        }
        assert.isAtMost(sizeOf(result), maxCount)
        assert.isAtMost(11 * sizeOf(result), Math.max(11, maxBytes))
        assert.strictEqual(new Set(result.map(({ batch }) => batch.partition)).size, result.length)
        inFlight.push(result)
        return 0
      }
      for (const choice of choices) {
        if (choice === 0) end(choice)
        else if (choice === 1) now += 400
        else take()
      }
      // what is left comes out
      for (let rounds = 0; rounds < 1_000; rounds++) {
        const wait = take()
        if (wait > 0 && inFlight.length > 0) end(0)
        else now += Number.isFinite(wait) ? wait : 0
      }
      while (inFlight.length > 0) end(0)
      assert.deepStrictEqual(next, sizes)
    },
  )

  it("fills calls from several partitions, the one that has waited longest first", () => {
    const gatherer = new Gatherer(policy)
    for (const partition of [0, 1, 2]) gatherer.offer(batch(partition, 200), partition)
    const first = taken(gatherer.take(10))
    assert.deepStrictEqual(
      first.map(({ batch, from, until }) => [batch.partition, from, until]),
      [
        [0, 0, 200],
        [1, 0, 100],
      ],
    )
    // partition 1 is in a call; what is left of it is on its way
    assert.strictEqual(gatherer.take(10), 992)
    done(gatherer, first, 20)
    assert.deepStrictEqual(
      taken(gatherer.take(20 + 1_000)).map(({ batch, from, until }) => [batch.partition, from, until]),
      [
        [2, 0, 200],
        [1, 100, 200],
      ],
    )
  })

  it("waits for a fuller call only where the topic has no more to give", () => {
    const caughtUp = new Gatherer(policy)
    caughtUp.offer(batch(0, 5), 0)
    assert.strictEqual(caughtUp.take(400), 600)
    assert.strictEqual(sizeOf(taken(caughtUp.take(1_000))), 5)
    const behind = new Gatherer(policy)
    behind.offer(batch(0, 5, { hasMore: true }), 0)
    assert.strictEqual(sizeOf(taken(behind.take(0))), 5)
  })

  it("does not wait for what is behind a record that is waited for", () => {
    const gatherer = new Gatherer(policy)
    gatherer.offer(batch(0, 400, { hasMore: true }), 0)
    const stalled = taken(gatherer.take(0))
    gatherer.offer(batch(1, 5, { hasMore: true }), 0)
    assert.strictEqual(gatherer.take(0), 1_000)
    gatherer.stall(0, true)
    assert.strictEqual(sizeOf(taken(gatherer.take(0))), 5)
    gatherer.stall(0, false)
    gatherer.offer(batch(2, 5, { hasMore: true }), 0)
    assert.strictEqual(gatherer.take(0), 1_000)
    done(gatherer, stalled, 0)
    assert.strictEqual(sizeOf(taken(gatherer.take(0))), 105)
  })

  it("waits before the first records of a partition that somebody may have worked on", () => {
    const gatherer = new Gatherer({ ...policy, maxCount: 3, firstWait: 120_000 })
    gatherer.offer(batch(0, 6, { first: true }), 0)
    gatherer.offer(batch(1, 3), 0)
    const others = taken(gatherer.take(0))
    assert.deepStrictEqual(
      others.map(({ batch }) => batch.partition),
      [1],
    )
    done(gatherer, others, 0)
    assert.strictEqual(gatherer.take(20_000), 100_000)
    const first = taken(gatherer.take(120_000))
    done(gatherer, first, 120_100)
    assert.strictEqual(sizeOf(taken(gatherer.take(120_100))), 3)
  })

  it("forgets a batch that was taken away, and takes the new one of the partition", () => {
    const gatherer = new Gatherer(policy)
    let isMine = true
    gatherer.offer(batch(0, 400, { claim: () => isMine }), 0)
    const slices = taken(gatherer.take(0))
    isMine = false
    done(gatherer, slices, 0)
    assert.strictEqual(gatherer.take(5_000), Number.POSITIVE_INFINITY)
    gatherer.offer(batch(0, 300), 6_000)
    const again = taken(gatherer.take(6_000))
    assert.deepStrictEqual([again[0]?.from, again[0]?.until], [0, 300])
    // and not before an older call of the partition is over
    gatherer.offer(batch(0, 300), 7_000)
    assert.strictEqual(gatherer.take(9_000), Number.POSITIVE_INFINITY)
    done(gatherer, again, 9_000)
    assert.strictEqual(sizeOf(taken(gatherer.take(9_000))), 300)
  })
})
