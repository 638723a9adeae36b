/**
 * New leads and changes of some of their fields on standard output, for the next program in the pipe.
 *
 *     node --conditions=@effect-marketo/source --import tsx examples/src/lead-changes-to-stdout.ts | head -n 3
 *
 * When `head` has seen enough and goes, this ends quietly too. It reads a simulated instance, or a real one as
 * `connection.ts` says, and prints lines such as:
 *
 *     {"id":11000000036,"marketoGUID":"11000000036","leadId":100102,"activityDate":"2026-01-01T12:00:00Z","activityTypeId":12, …
 *     {"id":11000000088,"marketoGUID":"11000000088","leadId":100151,"activityDate":"2026-01-01T17:30:00Z","activityTypeId":13, …
 */
import { CheckpointStore, Feed, Pipeline } from "@effect-marketo/core"
import { Main, StdoutSink } from "@effect-marketo/sink-stdout"
import { Effect, Layer } from "effect"
import * as Connection from "./connection.js"

const program = Pipeline.run({
  name: "lead-changes-to-stdout",
  feed: Feed.leadChanges({ fields: ["email", "company", "title"] }),
  since: Connection.since,
})

program.pipe(
  // with `CheckpointStore.layerFile`, the next run would go on where this one ended
  Effect.provide([Connection.layer, Layer.provide(StdoutSink.layer, CheckpointStore.layerMemory)]),
  Main.runMain,
)
