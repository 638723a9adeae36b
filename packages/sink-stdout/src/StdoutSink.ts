/**
 * NDJSON on standard output: one line a record, exactly as Marketo sent it, safe to be piped into `jq` or `head`.
 *
 * At least once: a batch is written and handed over, then its checkpoint goes to the `CheckpointStore`. A crash between
 * the two writes the batch again at the next start. Handed over means: taken by the operating system for a pipe or a
 * terminal, on the disk for a file (`> file`). What a pipe's reader does with it, nobody can know.
 *
 * A slow reader holds the pipeline back, for as long as it likes; nothing gathers in memory. A reader that is gone fails
 * the write with the reason `Closed`; it is seen at the next write, so a pipeline with nothing to write goes on.
 * Standard output is never closed by the sink. Keep everything else off it: `Main.runMain` sends logs to stderr.
 *
 * Elements that could not be decoded (`undecodable: "keep"`) need a place of their own, `rejected`: among the records
 * they would break the reader, and in a log on stderr they would be personal data where nobody expects it. Without one,
 * such a batch fails with the reason `RecordRejected`.
 *
 * @example
 * import { CheckpointStore } from "@effect-marketo/core"
 * import { StdoutSink } from "@effect-marketo/sink-stdout"
 * import { Layer } from "effect"
 *
 * export const sink = StdoutSink.layer.pipe(Layer.provide(CheckpointStore.layerMemory))
 *
 * @since 0.1.0
 */
import type { Writable } from "node:stream"
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import * as ActivitySink from "@effect-marketo/core/ActivitySink"
import type { CheckpointStore } from "@effect-marketo/core/CheckpointStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as output from "./internal/output.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where the records go. Default: `process.stdout`. */
  readonly stream?: Writable | undefined
  /**
   * Where rejected elements go, one line each: a file, another descriptor (`fs.createWriteStream("", { fd: 3 })`), or
   * `process.stderr`. Written before the checkpoint. Default: nowhere, so a batch that has some fails.
   */
  readonly rejected?: Writable | undefined
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<ActivitySink.Service, never, CheckpointStore> =>
  Effect.suspend(() => {
    const records = output.make(options.stream ?? process.stdout)
    const rejected = options.rejected === undefined ? undefined : output.make(options.rejected)
    const check = Effect.zipRight(records.check, rejected?.check ?? Effect.void)
    const fromWrite = ActivitySink.fromWrite({
      name: "stdout",
      write: (chunk) => records.write(ActivityRecord.toNdjson(chunk)),
      rejected: rejected && ((chunk) => rejected.write(ActivityRecord.toNdjson(chunk))),
    })
    return Effect.map(fromWrite, (sink) => ({
      ...sink,
      open: (subscription) => Effect.zipRight(check, sink.open(subscription)),
    }))
  })

/**
 * Records to `process.stdout`; no place for rejected elements. For others: `Layer.effect(ActivitySink, make(options))`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<ActivitySink.ActivitySink, never, CheckpointStore> = Layer.effect(
  ActivitySink.ActivitySink,
  make(),
)
