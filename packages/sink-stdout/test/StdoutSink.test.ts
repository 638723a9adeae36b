import { PassThrough, Writable } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { ActivityRecord, ActivitySink, CheckpointStore } from "@effect-marketo/core"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Effect, Fiber, Layer } from "effect"
import { StdoutSink } from "../src/index.js"

const subscription = { name: "test", instance: "123-ABC-456" }

/** Takes everything, a little later; reads as lines. */
const collecting = () => {
  let text = ""
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk, _encoding, done) => {
      text += String(chunk)
      setImmediate(done)
    },
  })
  return { stream, lines: Effect.sync(() => text.split("\n").slice(0, -1)) }
}

SinkSuite.suite({
  name: "StdoutSink",
  harness: Effect.gen(function* () {
    const records = collecting()
    const rejected = collecting()
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    const sink = StdoutSink.make({ stream: records.stream, rejected: rejected.stream })
    return {
      layer: Layer.provide(Layer.effect(ActivitySink.ActivitySink, sink), checkpoints),
      records: records.lines,
      rejected: rejected.lines,
    }
  }),
})

SinkSuite.suite({
  name: "StdoutSink without a place for rejected elements",
  harness: Effect.gen(function* () {
    const { lines, stream } = collecting()
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    const sink = StdoutSink.make({ stream })
    return { layer: Layer.provide(Layer.effect(ActivitySink.ActivitySink, sink), checkpoints), records: lines }
  }),
})

describe("StdoutSink", () => {
  const opened = (stream: Writable) =>
    Effect.flatMap(StdoutSink.make({ stream }), (sink) => sink.open(subscription)).pipe(
      Effect.provide(CheckpointStore.layerMemory),
    )

  it.scopedLive("writes a batch in one piece", () =>
    Effect.gen(function* () {
      const pieces: Array<string> = []
      const stream = new Writable({
        write: (chunk, _encoding, done) => {
          pieces.push(String(chunk))
          done()
        },
      })
      const writer = yield* opened(stream)
      const batch = SinkSuite.batch(subscription, 1, SinkSuite.texts(300))
      yield* writer.write(batch)
      assert.deepStrictEqual(pieces, [ActivityRecord.toNdjson(batch.records)])
    }),
  )

  it.scopedLive("waits for a reader that is slow, and can be interrupted while it does", () =>
    Effect.gen(function* () {
      const stream = new PassThrough({ highWaterMark: 16 })
      const writer = yield* opened(stream)
      const fiber = yield* Effect.fork(writer.write(SinkSuite.batch(subscription, 1, SinkSuite.texts(300))))
      yield* Effect.sleep("20 millis")
      assert.isNull(fiber.unsafePoll())
      assert.isTrue((yield* Fiber.interrupt(fiber))._tag === "Failure")
    }),
  )

  for (const [code, reason] of [
    ["EPIPE", "Closed"],
    ["ENOSPC", "Unavailable"],
  ] as const) {
    it.scopedLive(
      `a stream that fails with ${code} is a SinkError with the reason ${reason}, also the second time`,
      () =>
        Effect.gen(function* () {
          const stream = new Writable({
            write: (_chunk, _encoding, done) => done(Object.assign(new Error("write failed"), { code })),
          })
          const writer = yield* opened(stream)
          const error = yield* Effect.flip(writer.write(SinkSuite.batch(subscription, 1, SinkSuite.texts(1))))
          assert.strictEqual(error.reason, reason)
          const again = yield* Effect.flip(writer.write(SinkSuite.batch(subscription, 1, SinkSuite.texts(1))))
          assert.strictEqual(again.reason, "Closed")
        }),
    )
  }
})
