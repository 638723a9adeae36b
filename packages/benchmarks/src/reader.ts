/**
 * Ours: every page checked against its schema, every record's own text kept, a checkpoint with every batch.
 *
 *     node reader.js URL FILE      into an NDJSON file, compressed if its name ends in .gz
 *     node reader.js URL -         pages only, no sink
 */
import { Activities, Feed, Marketo, Pipeline } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Effect, Layer, Redacted, Stream } from "effect"
import { measure } from "./measured.js"

const [url = "", file = ""] = process.argv.slice(2)

const MarketoLive = Marketo.layer({
  baseUrl: url,
  clientId: Redacted.make("client"),
  clientSecret: Redacted.make("secret"),
  limits: { calls: 1_000_000 },
}).pipe(Layer.provide(NodeHttp.layer))

const feed = Feed.leadActivities({ activityTypeIds: [1] })
const since = "2026-01-01T00:00:00Z"

const pages = Effect.flatMap(Activities.Activities, (activities) =>
  Stream.runFold(activities.pages(feed, { since }), 0, (sum, { records }) => sum + records.length),
)

const toFile = Pipeline.run({ name: "bench", feed, since }).pipe(
  Effect.map(({ records }) => records),
  Effect.provide(NdjsonSink.layer({ path: file, gzip: file.endsWith(".gz") })),
)

await measure(() => Effect.runPromise(Effect.provide(file === "-" ? pages : toFile, MarketoLive)))
