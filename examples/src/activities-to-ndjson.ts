/**
 * Every activity of an instance in a file: one JSON line each, exactly once, whatever happens on the way. Run it again, and
 * it goes on where the file ends.
 *
 *     node --conditions=@effect-marketo/source --import tsx examples/src/activities-to-ndjson.ts
 *
 * It reads a simulated instance, or a real one as `connection.ts` says, and prints:
 *
 *     5000 activities added to activities.ndjson
 */
import { Activities, Feed, Pipeline } from "@effect-marketo/core"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Main } from "@effect-marketo/sink-stdout"
import { Console, Effect } from "effect"
import * as Connection from "./connection.js"

const program = Effect.gen(function* () {
  const activities = yield* Activities.Activities
  const types = yield* activities.types
  const { records } = yield* Pipeline.run({
    name: "activities-to-ndjson",
    feed: Feed.leadActivities({ activityTypeIds: types.map(({ id }) => id) }),
    since: Connection.since,
  })
  yield* Console.log(`${records} activities added to activities.ndjson`)
})

program.pipe(Effect.provide([Connection.layer, NdjsonSink.layer({ path: "activities.ndjson" })]), Main.runMain)
