/**
 * What packages.mjs runs in a project that has only the packed packages: reads a simulated instance into an NDJSON file, and
 * sees that the barrel and the subpaths are the same modules and that internals are out of reach.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { Feed, Marketo, Pipeline } from "@effect-marketo/core"
import * as FeedModule from "@effect-marketo/core/Feed"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Simulator } from "@effect-marketo/simulator"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { StdoutSink } from "@effect-marketo/sink-stdout"
import { Effect, Layer, Redacted } from "effect"

const path = "activities.ndjson"

const instance = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
    Marketo.layer({ baseUrl: url, clientId: Redacted.make(clientId), clientSecret: Redacted.make(clientSecret) }),
  ),
)

const program = Effect.gen(function* () {
  const simulator = yield* Simulator.Simulator
  const stored = yield* simulator.activities
  const activityTypeIds = [...new Set(stored.map(({ activityTypeId }) => activityTypeId))]
  yield* Pipeline.run({
    name: "consumer",
    feed: Feed.leadActivities({ activityTypeIds }),
    since: "2026-01-01T00:00:00Z",
  })
  return stored.length
})

const stored = await program.pipe(
  Effect.provide(Layer.merge(instance, NdjsonSink.layer({ path }))),
  Effect.provide(Simulator.layer({ data: { activities: 100 } })),
  Effect.runPromise,
)

assert.equal(readFileSync(path, "utf8").trimEnd().split("\n").length, stored)
assert.equal(FeedModule.leadActivities, Feed.leadActivities)
assert.ok(NodeHttp.layer && StdoutSink.layer)
await assert.rejects(import(/** @type {string} */ ("@effect-marketo/core/internal/instant")), {
  code: "ERR_PACKAGE_PATH_NOT_EXPORTED",
})
console.log(`import: ${stored} activities`)
