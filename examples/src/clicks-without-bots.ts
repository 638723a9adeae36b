/**
 * A transform between feed and sink: drops what a bot opened or clicked, and adds a member to the rest. Records come a page
 * at a time, so a look-up is one for each page, not one for each record.
 *
 *     node --conditions=@effect-marketo/source --import tsx examples/src/clicks-without-bots.ts
 *
 * It reads a simulated instance, or a real one as `connection.ts` says, and prints lines such as:
 *
 *     {"marketoGUID":"11000000000","id":11000000000, … {"name":"Is Bot Activity","value":false}],"region":"north"}
 */
import { Activity, ActivityRecord, CheckpointStore, Feed, Pipeline } from "@effect-marketo/core"
import { Main, StdoutSink } from "@effect-marketo/sink-stdout"
import { Chunk, Effect, Layer, Option } from "effect"
import * as Connection from "./connection.js"

const openEmail = 10
const clickEmail = 11

const isBot = (record: ActivityRecord.ActivityRecord<Activity.Activity>) =>
  Option.contains(Activity.attribute(record.value, "Is Bot Activity"), true)

/** Stands for a query to a database of yours. */
const regionsOf = (leadIds: ReadonlySet<Activity.LeadId>) =>
  Effect.sync(() => new Map(Array.from(leadIds, (id) => [id, Number(id) % 2 === 0 ? "north" : "south"])))

const program = Pipeline.run({
  name: "clicks-without-bots",
  feed: Feed.leadActivities({ activityTypeIds: [openEmail, clickEmail] }),
  since: Connection.since,
  transform: (records) =>
    Effect.gen(function* () {
      const people = Chunk.filter(records, (record) => !isBot(record))
      const regions = yield* regionsOf(new Set(Chunk.map(people, ({ leadId }) => leadId)))
      return Chunk.map(people, (record) => ActivityRecord.extend(record, { region: regions.get(record.leadId) }))
    }),
})

program.pipe(
  Effect.provide([Connection.layer, Layer.provide(StdoutSink.layer, CheckpointStore.layerMemory)]),
  Main.runMain,
)
