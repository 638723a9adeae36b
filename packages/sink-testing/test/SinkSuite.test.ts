import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ActivitySink, CheckpointStore, SinkError } from "@effect-marketo/core"
import { Chunk, Context, Effect, Either, Layer, Option } from "effect"
import { SinkSuite, Violation } from "../src/index.js"
import { type Flaw, harness } from "./memorySink.js"

SinkSuite.suite({
  name: "ActivitySink.layerMemory",
  harness: Effect.gen(function* () {
    const memory = yield* Layer.build(ActivitySink.layerMemory)
    const { batches } = Context.get(memory, ActivitySink.Memory)
    const texts = (part: "records" | "rejected") =>
      Effect.map(batches, (all) => all.flatMap((batch) => Chunk.toReadonlyArray(batch[part]).map(({ text }) => text)))
    return { layer: Layer.succeedContext(memory), records: texts("records"), rejected: texts("rejected") }
  }),
})

SinkSuite.suite({
  name: "ActivitySink.fromWrite",
  harness: Effect.gen(function* () {
    const stored: Array<string> = []
    const rejected: Array<string> = []
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    const sink = ActivitySink.layerFromWrite({
      name: "array",
      write: (records) => Effect.sync(() => stored.push(...Chunk.map(records, (record) => record.text))),
      rejected: (elements) => Effect.sync(() => rejected.push(...Chunk.map(elements, (element) => element.text))),
    })
    return {
      layer: Layer.provide(sink, checkpoints),
      records: Effect.sync(() => stored),
      rejected: Effect.sync(() => rejected),
    }
  }),
})

SinkSuite.suite({
  name: "ActivitySink.fromWrite without a place for rejected elements",
  harness: Effect.gen(function* () {
    const stored: Array<string> = []
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    const sink = ActivitySink.layerFromWrite({
      name: "array",
      write: (records) =>
        Effect.forEach(records, (record) =>
          Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => stored.push(record.text)),
          ),
        ),
    })
    return { layer: Layer.provide(sink, checkpoints), records: Effect.sync(() => stored) }
  }),
})

SinkSuite.suite({
  name: "ActivitySink.fromTransaction",
  harness: Effect.sync(() => {
    let table: { readonly records: ReadonlyArray<string>; readonly checkpoints: ReadonlyMap<string, string> } = {
      records: [],
      checkpoints: new Map(),
    }
    const sink = ActivitySink.layerFromTransaction({
      name: "table",
      checkpoint: (key) => Effect.sync(() => Option.fromNullable(table.checkpoints.get(key))),
      write: (batch, { json, key }) =>
        Effect.gen(function* () {
          if (Chunk.isNonEmpty(batch.rejected)) {
            return yield* new SinkError.SinkError({ sink: "table", reason: "RecordRejected", description: "no place" })
          }
          yield* Effect.yieldNow()
          table = {
            records: [...table.records, ...Chunk.map(batch.records, (record) => record.text)],
            checkpoints: new Map(table.checkpoints).set(key, json),
          }
          yield* Effect.yieldNow()
        }),
    })
    return { layer: sink, records: Effect.sync(() => table.records), fences: false }
  }),
})

SinkSuite.suite({ name: "a sink that waits between its steps", harness: harness() })

/** Each flaw and the behaviours, by the start of their names, that must see it. */
const caught: Record<Flaw, ReadonlyArray<string>> = {
  "invents a checkpoint": ["a new subscription"],
  "reorders records": ["batches and the records"],
  "writes a batch twice": ["batches and the records"],
  "encodes again": ["a text is stored"],
  "splits records at line breaks": ["a record with line breaks"],
  "loses the checkpoint": ["another writer", "another process", "any sequence"],
  "alters the checkpoint": ["another writer", "another process"],
  "keeps the checkpoint in the process": ["another process"],
  "skips empty batches": ["an empty batch"],
  "cuts huge batches": ["a batch of 30,000"],
  "drops rejected elements": ["rejected elements"],
  "has rejected elements without records for nothing": ["rejected elements"],
  "fails rejected elements with another reason": ["rejected elements"],
  "quotes records in errors": ["rejected elements"],
  "writes the checkpoint before the records": ["an interrupted write"],
  "writes the checkpoint after the records": ["an interrupted write"],
  "goes on writing after an interruption": ["an interrupted write"],
  "does not fence": ["a second writer", "a second process", "a writer that takes over"],
  "fences inside the process only": ["a second process"],
  "reads before it fences": ["a writer that takes over"],
  "has one checkpoint for all": ["two subscriptions"],
}

/** A violation that names its seed has the failure as its cause, which may be the sink's own. */
const reason = (error: unknown): unknown => {
  if (error instanceof SinkError.SinkError) return error.reason
  if (error instanceof Violation.Violation) return error.cause === undefined ? "Violation" : reason(error.cause)
  return error
}

it("the README lists every behaviour", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
  for (const { name, why } of SinkSuite.behaviours) assert.include(readme, `| ${name} | ${why} |`)
})

describe("flawed sinks", () => {
  it("there is one for every behaviour", () => {
    const starts = Object.values(caught).flat()
    for (const { name } of SinkSuite.behaviours)
      assert.isTrue(
        starts.some((start) => name.startsWith(start)),
        name,
      )
  })

  for (const [flaw, names] of Object.entries(caught) as ReadonlyArray<[Flaw, ReadonlyArray<string>]>) {
    it.live(`a sink that ${flaw} is caught`, () =>
      Effect.gen(function* () {
        for (const { name, run } of SinkSuite.behaviours) {
          if (!names.some((start) => name.startsWith(start))) continue
          const outcome = yield* Effect.either(run(harness(flaw), { seed: 1 }))
          const seen = Either.isLeft(outcome) ? reason(outcome.left) : "nothing"
          assert.strictEqual(seen, flaw === "has one checkpoint for all" ? "CheckpointRefused" : "Violation", name)
        }
      }),
    )
  }
})
