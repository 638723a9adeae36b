import type { HttpClient } from "@effect/platform"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import {
  type AccessToken,
  Activities,
  type Activity,
  ActivityRecord,
  ActivitySink,
  type CheckpointStore,
  type CustomActivities,
  type CustomActivityTypes,
  Feed,
  Marketo,
  type MarketoClient,
  type MarketoError,
  type MarketoUsage,
  Page,
  Pipeline,
  type SinkError,
} from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import {
  Chunk,
  Config,
  type ConfigError,
  ConfigProvider,
  Context,
  DateTime,
  Duration,
  Effect,
  Layer,
  Option,
  Schema,
  Stream,
  TestClock,
} from "effect"
import { now, simulated, since } from "./support/simulated.js"

/** Programs as users write them. What they need and how they fail is inferred, and checked by the compiler. */

class GeoError extends Schema.TaggedError<GeoError>()("GeoError", {}) {}
class Geo extends Context.Tag("test/Geo")<
  Geo,
  {
    readonly countries: (
      leads: Chunk.Chunk<Activity.LeadId>,
    ) => Effect.Effect<ReadonlyMap<Activity.LeadId, string>, GeoError>
  }
>() {}

class SqlError extends Schema.TaggedError<SqlError>()("SqlError", {}) {}
class Sql extends Context.Tag("test/Sql")<
  Sql,
  { readonly insert: (rows: ReadonlyArray<string>) => Effect.Effect<void, SqlError> }
>() {}

type Error = MarketoError.MarketoError | SinkError.SinkError
type Services = Activities.Activities | ActivitySink.ActivitySink

const MarketoLive = Marketo.layerConfig({
  baseUrl: Config.string("BASE_URL"),
  clientId: Config.redacted("CLIENT_ID"),
  clientSecret: Config.redacted("CLIENT_SECRET"),
  timeout: Config.duration("TIMEOUT").pipe(Config.withDefault(Duration.seconds(35))),
  limits: { calls: Config.integer("CALLS").pipe(Config.withDefault(50)) },
})

/** Bots filtered out, enriched by a service of the program's own. */
const enriched = Pipeline.run({
  name: "enriched",
  feed: Feed.leadActivities({ activityTypeIds: [1, 10] }),
  since: DateTime.unsafeMake(since),
  transform: (records) =>
    Effect.gen(function* () {
      const geo = yield* Geo
      const kept = Chunk.filter(
        records,
        (r) => !r.value.attributes.some((a) => a.name === "Is Bot Activity" && a.value === true),
      )
      const country = yield* geo.countries(Chunk.map(kept, (r) => r.leadId))
      return Chunk.map(kept, (r) => ActivityRecord.extend(r, { country: country.get(r.leadId) ?? null }))
    }),
})

/** The program's own operators between feed and sink. */
const own = Effect.scoped(
  Effect.gen(function* () {
    const activities = yield* Activities.Activities
    const sink = yield* ActivitySink.ActivitySink
    const writer = yield* sink.open({ name: "own", instance: activities.instance })
    const positions = Option.getOrUndefined(writer.checkpoint)?.positions
    return yield* activities
      .pages(Feed.leadChanges({ fields: ["email"] }), { since: DateTime.unsafeMake(since), positions })
      .pipe(
        Stream.map(Page.filter((r) => r.value.fields.length > 0)),
        Stream.mapEffect(
          Page.mapEffect((rs) => Effect.succeed(rs)),
          { concurrency: 4 },
        ),
        Pipeline.into(writer),
        Stream.runDrain,
      )
  }),
)

const SinkOfWrite = ActivitySink.layerFromWrite({
  name: "sql",
  write: (records) =>
    Effect.flatMap(Sql, (sql) => sql.insert(Chunk.toReadonlyArray(Chunk.map(records, (r) => r.text)))),
})

const SinkOfTransaction = ActivitySink.layerFromTransaction({
  name: "sql",
  checkpoint: (_key) => Effect.succeed(Option.none<string>()),
  write: (batch, commit) =>
    Effect.flatMap(Sql, (sql) => sql.insert([...Chunk.map(batch.records, (r) => r.text), commit.json])),
})

describe("inferred types", () => {
  it("without a transform: the errors and needs of Marketo and the sink, and no more", () => {
    const options = { name: "n", feed: Feed.deletedLeads, since }
    expectTypeOf(Pipeline.run(options)).toEqualTypeOf<Effect.Effect<Pipeline.Summary, Error, Services>>()
    expectTypeOf(Pipeline.tail({ ...options, every: "10 seconds" })).toEqualTypeOf<
      Effect.Effect<never, Error, Services>
    >()
    expectTypeOf(Pipeline.stream(options)).toEqualTypeOf<Stream.Stream<Pipeline.Progress, Error, Services>>()
  })

  it("a transform adds its errors and needs", () => {
    expectTypeOf(enriched).toEqualTypeOf<Effect.Effect<Pipeline.Summary, Error | GeoError, Services | Geo>>()
  })

  it("errors handled by tag are gone, the others stay", () => {
    const handled = enriched.pipe(
      Effect.catchTag("SinkError", (e) => (e.reason === "Fenced" ? Effect.interrupt : Effect.fail(e))),
      Effect.catchTag("GeoError", () => Effect.succeed("no countries" as const)),
    )
    expectTypeOf(handled).toEqualTypeOf<Effect.Effect<Pipeline.Summary | "no countries", Error, Services | Geo>>()
  })

  it("a stream of pages of the program's own keeps errors and needs up to the sink", () => {
    expectTypeOf(own).toEqualTypeOf<Effect.Effect<void, Error, Services>>()
  })

  it("a sink of the program's own has its needs; its errors end in SinkError", () => {
    expectTypeOf(SinkOfWrite).toEqualTypeOf<
      Layer.Layer<ActivitySink.ActivitySink, never, Sql | CheckpointStore.CheckpointStore>
    >()
    expectTypeOf(SinkOfTransaction).toEqualTypeOf<Layer.Layer<ActivitySink.ActivitySink, never, Sql>>()
  })

  it("a checkpoint is refused only by what takes one: a call's error does not list it", () => {
    type Of<F> = F extends (...args: never) => Effect.Effect<unknown, infer E, never> ? E : never
    type CallError = MarketoError.CallError
    expectTypeOf<Extract<CallError, MarketoError.CheckpointRefused>>().toEqualTypeOf<never>()
    expectTypeOf<Of<MarketoClient.Service["get"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Of<MarketoClient.Service["post"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Effect.Effect.Error<AccessToken.Service["get"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Effect.Effect.Error<MarketoUsage.Service["today"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Effect.Effect.Error<Activities.Service["types"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Of<Activities.Service["pagingToken"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Effect.Effect.Error<CustomActivityTypes.Service["list"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Of<CustomActivityTypes.Service["create"]>>().toEqualTypeOf<CallError>()
    expectTypeOf<Of<CustomActivities.Service["add"]>>().toEqualTypeOf<CallError>()
  })

  it("a feed says what its activities are, extend what it added", () => {
    expectTypeOf<Stream.Stream.Success<ReturnType<typeof read>>>().toEqualTypeOf<Activity.DeletedLead>()
    expectTypeOf(extended).returns.toEqualTypeOf<
      ActivityRecord.ActivityRecord<Activity.Activity & { readonly country: "SE" }>
    >()
  })

  it.effect("a whole program, and what it says is what it does", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const simulator = yield* Simulator.Simulator
      const program = Effect.provide(enriched, Layer.merge(MarketoLive, ActivitySink.layerMemory))
      expectTypeOf(program).toEqualTypeOf<
        Effect.Effect<Pipeline.Summary, Error | GeoError | ConfigError.ConfigError, Geo | HttpClient.HttpClient>
      >()
      const env = { BASE_URL: simulator.url, CLIENT_ID: simulator.clientId, CLIENT_SECRET: simulator.clientSecret }
      const { records } = yield* program.pipe(
        Effect.provideService(Geo, { countries: () => Effect.succeed(new Map()) }),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
      )
      assert.isAbove(records, 0)
    }).pipe(Effect.provide(Simulator.layer({ data: { activities: 200 } }))),
  )

  it.effect("the stream of pages runs", () =>
    Effect.gen(function* () {
      yield* own
      const { batches } = yield* ActivitySink.Memory
      const written = (yield* batches).flatMap(({ records }) => Chunk.toReadonlyArray(records).map((r) => r.identity))
      const activities = yield* Activities.Activities
      const changes = yield* Stream.runCollect(activities.stream(Feed.leadChanges({ fields: ["email"] }), { since }))
      const expected = Chunk.toReadonlyArray(changes).flatMap((c) => (c.fields.length > 0 ? [c.marketoGUID] : []))
      assert.isNotEmpty(expected)
      assert.deepStrictEqual(written, expected)
    }).pipe(Effect.provide(Layer.merge(simulated({ data: { activities: 500 } }), ActivitySink.layerMemory))),
  )
})

const read = (activities: Activities.Service) => activities.stream(Feed.deletedLeads, { since })

const extended = (record: ActivityRecord.ActivityRecord<Activity.Activity>) =>
  ActivityRecord.extend(record, { country: "SE" })

/** What must not compile; each of these would lose or mix up data without a word. */
export const mistakes = {
  feed: () => {
    // @ts-expect-error a feed of lead changes is not a feed of activities
    const activities: Feed.Feed<Activity.Activity> = Feed.leadChanges({ fields: ["email"] })
    return activities
  },
  transform: () =>
    Pipeline.run({
      name: "n",
      feed: Feed.leadChanges({ fields: ["email"] }),
      since,
      // @ts-expect-error a deleted lead's member is not one of a lead change
      transform: (records) => Effect.succeed(Chunk.filter(records, (r) => r.value.deletedLeadId !== "")),
    }),
  spread: (record: ActivityRecord.ActivityRecord): ActivityRecord.ActivityRecord =>
    // @ts-expect-error identity, lead and date are computed on demand: a copy by spreading has none of them
    ({ ...record, text: record.text.toUpperCase() }),
  spreadInTransform: () =>
    Pipeline.run({
      name: "n",
      feed: Feed.deletedLeads,
      since,
      // @ts-expect-error likewise
      transform: (records) => Effect.succeed(Chunk.map(records, (r) => ({ ...r, text: "{}" }))),
    }),
  token: (activities: Activities.Service): Effect.Effect<Activities.PagingToken, MarketoError.MarketoError> =>
    // @ts-expect-error any text is not a paging token
    Effect.as(activities.types, "GIYDAOBNGEYS2MBWKQYDAORQGA5DAMBOGAYDAKZQGAYDALBQ"),
  client: (client: MarketoClient.Service) =>
    // @ts-expect-error values of a query are text: a number may have been rounded
    client.get("/rest/v1/leads.json", { leadId: 2 ** 60 }),
}
