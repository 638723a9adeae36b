/** What packages.mjs runs with the project's own vitest: the behaviour suite over a sink of the user's. */
import { ActivitySink, CheckpointStore } from "@effect-marketo/core"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Chunk, Effect, Layer } from "effect"

SinkSuite.suite({
  name: "a sink of my own",
  harness: Effect.gen(function* () {
    /** @type {Array<string>} */
    const stored = []
    const sink = ActivitySink.layerFromWrite({
      name: "mine",
      write: (records) => Effect.sync(() => stored.push(...Chunk.map(records, ({ text }) => text))),
    })
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    return { layer: Layer.provide(sink, checkpoints), records: Effect.sync(() => stored) }
  }),
})
