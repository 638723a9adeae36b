/**
 * Ours at the limits of Marketo, which the simulator enforces: as many calls as it allows, and none that it refuses.
 *
 *     node limitedReader.js URL CLIENT_ID CLIENT_SECRET TYPES
 */
import { Activities, Feed, Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Effect, Layer, Redacted, Stream } from "effect"
import { measure } from "./measured.js"

const [url = "", clientId = "", clientSecret = "", types = ""] = process.argv.slice(2)

const MarketoLive = Marketo.layer({
  baseUrl: url,
  clientId: Redacted.make(clientId),
  clientSecret: Redacted.make(clientSecret),
  limits: { calls: 100, concurrent: 10 },
}).pipe(Layer.provide(NodeHttp.layer))

const feed = Feed.leadActivities({ activityTypeIds: Array.from({ length: Number(types) }, (_, i) => 100_001 + i) })

const pages = Effect.flatMap(Activities.Activities, (activities) =>
  Stream.runFold(
    activities.pages(feed, { since: "2026-01-01T00:00:00Z", concurrency: 10 }),
    0,
    (sum, { records }) => sum + records.length,
  ),
)

await measure(() => Effect.runPromise(Effect.provide(pages, MarketoLive)))
