import * as fs from "node:fs"
import * as path from "node:path"
import { gunzipSync } from "node:zlib"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Effect } from "effect"
import { temporaryFolder } from "./fixtures/folder.js"

const modes: Record<string, Omit<NdjsonSink.Options, "path">> = {
  plain: {},
  gzip: { gzip: true },
  rotating: { rotation: { maxBytes: 2_000 } },
}

for (const [name, mode] of Object.entries(modes)) {
  const lines = (files: ReadonlyArray<string>) =>
    files.flatMap((file) => {
      const bytes = fs.readFileSync(file)
      return (mode.gzip === true && bytes.length > 0 ? gunzipSync(bytes) : bytes).toString().split("\n").slice(0, -1)
    })
  SinkSuite.suite({
    name: `NdjsonSink, ${name}`,
    harness: Effect.map(temporaryFolder, (folder) => {
      const file = path.join(folder, "activities.ndjson")
      const rejected = path.join(folder, "activities.rejected.ndjson")
      return {
        layer: NdjsonSink.layer({ ...mode, path: file }),
        records: Effect.map(NdjsonSink.files(file), lines),
        rejected: Effect.sync(() => lines(fs.existsSync(rejected) ? [rejected] : [])),
      }
    }),
  })
}
