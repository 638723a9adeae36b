import {
  ActivitySink,
  type Checkpoint,
  Checkpoint as CheckpointModule,
  SinkError,
  Subscription,
} from "@effect-marketo/core"
import { Chunk, Effect, Layer, Option } from "effect"
import type { SinkSuite } from "../src/index.js"

/** What is wrong with the sink; each is a mistake that somebody made, or nearly. */
export type Flaw =
  | "invents a checkpoint"
  | "reorders records"
  | "writes a batch twice"
  | "encodes again"
  | "splits records at line breaks"
  | "loses the checkpoint"
  | "alters the checkpoint"
  | "keeps the checkpoint in the process"
  | "skips empty batches"
  | "cuts huge batches"
  | "drops rejected elements"
  | "has rejected elements without records for nothing"
  | "fails rejected elements with another reason"
  | "quotes records in errors"
  | "writes the checkpoint before the records"
  | "writes the checkpoint after the records"
  | "goes on writing after an interruption"
  | "does not fence"
  | "fences inside the process only"
  | "reads before it fences"
  | "has one checkpoint for all"

interface Disk {
  records: ReadonlyArray<string>
  rejected: ReadonlyArray<string>
  readonly checkpoints: Map<string, string>
  readonly epochs: Map<string, number>
}

const bump = (epochs: Map<string, number>, key: string): number => {
  const epoch = (epochs.get(key) ?? 0) + 1
  epochs.set(key, epoch)
  return epoch
}

/** A good sink over an array, with a yield between any two steps, and with at most one flaw. */
export const harness = (flaw?: Flaw): Effect.Effect<SinkSuite.Harness> =>
  Effect.sync(() => {
    const disk: Disk = { records: [], rejected: [], checkpoints: new Map(), epochs: new Map() }
    const has = (one: Flaw) => flaw === one
    const placeForRejected =
      !has("drops rejected elements") &&
      !has("fails rejected elements with another reason") &&
      !has("quotes records in errors")

    const unfenced = has("does not fence") || has("goes on writing after an interruption")

    const textsOf = (batch: ActivitySink.Batch): ReadonlyArray<string> => {
      const texts = Chunk.toReadonlyArray(batch.records).map((record) => record.text)
      if (has("reorders records")) return texts.toReversed()
      if (has("writes a batch twice")) return [...texts, ...texts]
      if (has("encodes again")) return texts.map((text) => JSON.stringify(JSON.parse(text)))
      if (has("splits records at line breaks")) return texts.flatMap((text) => text.split("\n"))
      if (has("cuts huge batches")) return texts.slice(0, 10_000)
      return texts
    }
    const storeRecords = (batch: ActivitySink.Batch) =>
      Effect.sync(() => {
        disk.records = [...disk.records, ...textsOf(batch)]
        if (has("has rejected elements without records for nothing") && Chunk.isEmpty(batch.records)) return
        disk.rejected = [...disk.rejected, ...Chunk.toReadonlyArray(batch.rejected).map(({ text }) => text)]
      })

    const layer = Layer.sync(ActivitySink.ActivitySink, () => {
      const inProcess = new Map<string, string>()
      const checkpoints = has("keeps the checkpoint in the process") ? inProcess : disk.checkpoints
      const epochs = has("fences inside the process only") ? new Map<string, number>() : disk.epochs
      const storeCheckpoint = (place: string, checkpoint: Checkpoint.Checkpoint) =>
        Effect.sync(() => {
          if (has("loses the checkpoint")) return
          const text = CheckpointModule.toJson(checkpoint)
          checkpoints.set(place, has("alters the checkpoint") ? text.replaceAll("Å", "A") : text)
        })
      const fail = (reason: SinkError.SinkError["reason"], description: string) =>
        Effect.fail(new SinkError.SinkError({ sink: "memory", reason, description }))

      const open = (subscription: Subscription.Subscription) =>
        Effect.gen(function* () {
          const key = Subscription.key(subscription)
          const place = has("has one checkpoint for all") ? "one" : key
          const fence = Effect.sync(() => bump(epochs, key))
          const read = Effect.suspend(() => {
            const found = Option.fromNullable(checkpoints.get(place))
            return ActivitySink.readCheckpoint("memory", subscription, found)
          })
          const [epoch, checkpoint] = has("reads before it fences")
            ? yield* Effect.zipWith(Effect.zipLeft(read, Effect.yieldNow()), fence, (b, a) => [a, b] as const)
            : yield* Effect.zip(Effect.zipLeft(fence, Effect.yieldNow()), read)

          const commit = (batch: ActivitySink.Batch) =>
            Effect.suspend(() => {
              if (epochs.get(key) !== epoch && !unfenced) return fail("Fenced", "another writer took over")
              const records = storeRecords(batch)
              const checkpoint = storeCheckpoint(place, batch.checkpoint)
              if (has("writes the checkpoint before the records")) {
                return checkpoint.pipe(Effect.zipRight(Effect.yieldNow()), Effect.zipRight(records))
              }
              if (has("writes the checkpoint after the records")) {
                return records.pipe(Effect.zipRight(Effect.yieldNow()), Effect.zipRight(checkpoint))
              }
              return Effect.uninterruptible(Effect.zipRight(records, checkpoint))
            })
          const write = (batch: ActivitySink.Batch): Effect.Effect<void, SinkError.SinkError> =>
            Effect.gen(function* () {
              if (has("skips empty batches") && Chunk.isEmpty(batch.records) && Chunk.isEmpty(batch.rejected)) return
              const rejected = Chunk.head(batch.rejected)
              if (Option.isSome(rejected)) {
                if (has("fails rejected elements with another reason")) return yield* fail("Other", "no place")
                if (has("quotes records in errors")) return yield* fail("RecordRejected", rejected.value.text)
              }
              yield* Effect.yieldNow()
              yield* commit(batch)
              yield* Effect.yieldNow()
            })
          return {
            subscription,
            checkpoint:
              has("invents a checkpoint") && Option.isNone(checkpoint)
                ? Option.some(invented(subscription))
                : checkpoint,
            write: has("goes on writing after an interruption")
              ? (batch: ActivitySink.Batch) =>
                  Effect.flatMap(Effect.forkDaemon(Effect.delay(write(batch), "1 millis")), (fiber) => fiber)
              : write,
          }
        })
      return ActivitySink.ActivitySink.of({ name: "memory", delivery: "exactly-once", open })
    })
    return {
      layer,
      records: Effect.sync(() => disk.records),
      rejected: placeForRejected ? Effect.sync(() => disk.rejected) : undefined,
    }
  })

const invented = (subscription: Subscription.Subscription) =>
  new CheckpointModule.Checkpoint({
    v: 1,
    instance: subscription.instance,
    subscription: subscription.name,
    sequence: 0,
    positions: [],
  })
