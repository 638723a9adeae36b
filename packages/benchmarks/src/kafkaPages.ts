/** Pages of 300 activities as a pipeline hands them to a sink, made of the simulator's. */
import { Activities, type ActivityRecord, Feed, Marketo } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { type Chunk, Effect, Layer, Redacted, Stream } from "effect"

const DISTINCT_PAGES = 50

const MarketoLive = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
    Marketo.layer({
      baseUrl: url,
      clientId: Redacted.make(clientId),
      clientSecret: Redacted.make(clientSecret),
      limits: { calls: 1_000_000 },
    }),
  ),
).pipe(Layer.provide(Simulator.layer({ data: { activities: 60_000 }, limits: { calls: 1_000_000 } })))

/** They are used over and over. */
export const pages: Promise<ReadonlyArray<Chunk.Chunk<ActivityRecord.ActivityRecord<unknown>>>> =
  Activities.Activities.pipe(
    Effect.flatMap((activities) =>
      activities
        .pages(Feed.leadActivities({ activityTypeIds: [1, 2, 6, 7, 8, 9, 10, 11] }), { since: "2026-01-01T00:00:00Z" })
        .pipe(
          Stream.map(({ records }) => records),
          Stream.filter((records) => records.length === 300),
          Stream.take(DISTINCT_PAGES),
          Stream.runCollect,
        ),
    ),
    Effect.map((found) => [...found]),
    Effect.provide(MarketoLive),
    Effect.runPromise,
  )
