import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CheckpointStore } from "@effect-marketo/core"
import { Effect, Layer } from "effect"
import { SinkSuite } from "../src/index.js"
import { layer } from "./appendSink.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "append-sink-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true })),
)
const lines = (file: string) => (existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [])

SinkSuite.suite({
  name: "append",
  harness: Effect.gen(function* () {
    const file = join(yield* folder, "activities.ndjson")
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    return { layer: Layer.provide(layer(file), checkpoints), records: Effect.sync(() => lines(file)) }
  }),
})
