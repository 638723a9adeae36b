import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { gunzipSync } from "node:zlib"
import { assert, it } from "@effect/vitest"
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Effect } from "effect"
import { crashBatch } from "./fixtures/batches.js"
import { startWriter } from "./fixtures/child.js"
import { temporaryFolder } from "./fixtures/folder.js"

const kills = 25

const readCheckpoint = (file: string) => {
  const stored = JSON.parse(fs.readFileSync(`${file}.checkpoint.json`, "utf8"))
  const [subscription = "{}"] = Object.values<string>(stored.subscriptions)
  const sequence: number = JSON.parse(subscription).sequence ?? 0
  return { sequence, stored }
}

/** What the checkpoint counts of the files must be exactly the batches up to its sequence. Returns the sequence. */
const check = (options: NdjsonSink.Options) =>
  Effect.gen(function* () {
    const file = options.path
    const { sequence, stored } = readCheckpoint(file)
    const text = (name: string, length?: number) => {
      const bytes = fs.existsSync(name) ? fs.readFileSync(name).subarray(0, length) : Buffer.alloc(0)
      return options.gzip === true && bytes.length > 0 ? gunzipSync(bytes).toString() : bytes.toString()
    }
    const batches = Array.from({ length: sequence }, (_, i) => crashBatch(i + 1))
    const written = (yield* NdjsonSink.files(file)).map((name) => text(name, name === file ? stored.length : undefined))
    assert.isTrue(written.join("") === batches.map((b) => ActivityRecord.toNdjson(b.records)).join(""), "lines")
    const rejected = text(file.replace("activities", "activities.rejected"), stored.rejectedLength)
    assert.isTrue(rejected === batches.map((b) => ActivityRecord.toNdjson(b.rejected)).join(""), "rejected lines")
    return sequence
  })

const modes: Record<string, Omit<NdjsonSink.Options, "path">> = {
  plain: {},
  gzip: { gzip: true },
  rotating: { rotation: { maxBytes: 50_000 } },
  "gzip-rotating": { gzip: true, rotation: { maxBytes: 5_000 } },
}

// one process writes all four files, so that each kill hits all four
it.scopedLive(
  `killed with SIGKILL at ${kills} random instants, plain, gzip and rotated files lose nothing and double nothing`,
  () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const all = Object.entries(modes).map(([name, mode]) => {
        fs.mkdirSync(path.join(folder, name))
        return { ...mode, path: path.join(folder, name, `activities.ndjson${mode.gzip === true ? ".gz" : ""}`) }
      })
      let sequences = all.map(() => 0)
      for (let kill = 0; kill < kills; kill++) {
        const child = startWriter(all, Number.MAX_SAFE_INTEGER)
        assert.strictEqual(yield* Effect.promise(() => child.firstLine), `writing ${sequences.join(" ")}`)
        // the others may come before the first commit
        const atWork = kill % 2 === 1
        const advanced = () => all.every(({ path }, i) => readCheckpoint(path).sequence > (sequences[i] ?? 0))
        while (atWork && child.process.exitCode === null && !advanced()) yield* Effect.promise(() => setTimeout(1))
        yield* Effect.promise(() => setTimeout(Math.random() * 150))
        child.process.kill("SIGKILL")
        yield* Effect.promise(() => child.ended)
        sequences = yield* Effect.forEach(all, check)
      }
      assert.isAtLeast(Math.min(...sequences), Math.floor(kills / 2))
      // 17 batches fill a file of 5,000 bytes, and a slow machine may have written fewer than five of them
      const last = Math.max(...sequences, 110) + 10
      yield* Effect.promise(() => startWriter(all, last).ended)
      assert.deepStrictEqual(
        yield* Effect.forEach(all, check),
        all.map(() => last),
      )
      for (const options of all) {
        const { length, rotations } = JSON.parse(fs.readFileSync(`${options.path}.checkpoint.json`, "utf8"))
        assert.strictEqual(fs.statSync(options.path).size, length)
        if (options.rotation !== undefined) assert.isAbove(rotations, 5)
        const left = fs.readdirSync(path.dirname(options.path)).filter((file) => /\.tmp$|-lock-/.test(file))
        assert.deepStrictEqual(left, [])
      }
    }),
  kills * 30_000, // for as many starts of a process
)
