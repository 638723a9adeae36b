/**
 * Ours: every record checked, encoded from typed values, and back with its outcome.
 *
 *     node writer.js URL BATCHES
 */
import { CustomActivities, type CustomActivity, Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Chunk, DateTime, Effect, identity, Layer, Redacted, Stream } from "effect"
import { measure } from "./measured.js"
import { batch } from "./records.js"

const [url = "", batches = ""] = process.argv.slice(2)
/** The date is the program's, typed. */
const date = DateTime.unsafeMake("2026-02-01T12:00:00Z")

const input = Stream.mapChunks(Stream.rechunk(Stream.range(0, Number(batches) - 1), 1), (numbers) =>
  Chunk.flatMap(numbers, (number) =>
    Chunk.unsafeFromArray(
      batch(number).map((record): CustomActivity.CustomActivity => ({ ...record, activityDate: date })),
    ),
  ),
)

const MarketoLive = Marketo.layer({
  baseUrl: url,
  clientId: Redacted.make("client"),
  clientSecret: Redacted.make("secret"),
  limits: { calls: 1_000_000 },
}).pipe(Layer.provide(NodeHttp.layer))

const added = Effect.flatMap(CustomActivities.CustomActivities, (service) =>
  service.addAll(input, identity).pipe(
    Stream.chunks,
    Stream.runFold(
      0,
      (sum, outcomes) => sum + Chunk.filter(outcomes, ([, outcome]) => outcome._tag === "Added").length,
    ),
  ),
)

await measure(() => Effect.runPromise(Effect.provide(added, MarketoLive)))
