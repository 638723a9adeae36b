/** What packages.mjs runs beside program.mjs: the packages are ES modules, and `require` loads them on every Node they allow. */
const assert = require("node:assert/strict")
const { Effect } = require("effect")
const { Feed } = require("@effect-marketo/core")
const { Simulator } = require("@effect-marketo/simulator")
const { NdjsonSink } = require("@effect-marketo/sink-ndjson")
const { StdoutSink } = require("@effect-marketo/sink-stdout")

assert.equal(require("@effect-marketo/core/Feed").leadActivities, Feed.leadActivities)
assert.ok(NdjsonSink.layer && StdoutSink.layer)

Simulator.Simulator.pipe(
  Effect.flatMap((simulator) => simulator.activities),
  Effect.provide(Simulator.layer({ data: { activities: 100 } })),
  Effect.runPromise,
).then((stored) => console.log(`require: ${stored.length} activities`))
