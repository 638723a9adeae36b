import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { assertSome } from "@effect/vitest/utils"
import {
  Activities,
  ActivityRecord,
  ActivitySink,
  Checkpoint,
  CheckpointStore,
  Feed,
  Marketo,
  Metrics,
  Page,
  Pipeline,
  SinkError,
} from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import {
  Chunk,
  Clock,
  Context,
  DateTime,
  Deferred,
  type Duration,
  Effect,
  FastCheck,
  Fiber,
  Layer,
  Metric,
  Option,
  Redacted,
  Ref,
  Schema,
  Stream,
  TestClock,
} from "effect"
import { flowing, many, now, simulated, since } from "./support/simulated.js"
import { stub } from "./support/stub.js"

const visits = Feed.leadActivities({ activityTypeIds: [1] })

const memory = Effect.flatMap(ActivitySink.Memory, (m) => m.batches)
const textsOf = (batches: ReadonlyArray<ActivitySink.Batch>) =>
  batches.flatMap((b) => Chunk.toReadonlyArray(b.records).map((r) => r.text))
const written = Effect.map(memory, textsOf)
const rejectedOf = (batches: ReadonlyArray<ActivitySink.Batch>) =>
  batches.flatMap((b) => Chunk.toReadonlyArray(b.rejected).map((r) => r.text))
const storedOf = (...types: ReadonlyArray<number>) =>
  Effect.flatMap(Simulator.Simulator, (simulator) =>
    Effect.map(simulator.activities, (all) => all.filter((a) => types.includes(a.activityTypeId)).map((a) => a.text)),
  )

const withMemory = (options: Simulator.Options = {}) => Layer.merge(simulated(options), ActivitySink.layerMemory)

/** The memory sink with something in front of its writes; the wrapped sink stays the same over runs. */
const wrapped = (f: (write: ActivitySink.Writer["write"]) => ActivitySink.Writer["write"]) =>
  Effect.map(
    ActivitySink.ActivitySink,
    (sink): ActivitySink.Service => ({
      ...sink,
      open: (subscription) => Effect.map(sink.open(subscription), (writer) => ({ ...writer, write: f(writer.write) })),
    }),
  )

/** The sink, counting how often it is opened. */
const counted = (opened: Ref.Ref<number>) =>
  Effect.map(
    ActivitySink.ActivitySink,
    (sink): ActivitySink.Service => ({
      ...sink,
      open: (subscription) =>
        Effect.zipRight(
          Ref.update(opened, (n) => n + 1),
          sink.open(subscription),
        ),
    }),
  )

describe("run", () => {
  it.effect("writes everything once, in order, and says how much", () =>
    Effect.gen(function* () {
      const summary = yield* Pipeline.run({ name: "visits", feed: visits, since })
      const stored = yield* storedOf(1)
      assert.deepStrictEqual(yield* written, stored)
      assert.strictEqual(summary.records, stored.length)
      assert.strictEqual(summary.batches, (yield* memory).length)
      const batches = yield* memory
      assert.deepStrictEqual(
        batches.map((b) => b.checkpoint.sequence),
        batches.map((_, i) => i + 1),
      )
    }).pipe(Effect.provide(withMemory({ data: { activities: 3_000 } }))),
  )

  it.effect("the first checkpoint is written before the first page is asked for", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const first = yield* Ref.make<ReadonlyArray<string> | undefined>(undefined)
      const sink = yield* wrapped(
        (write) => (batch) =>
          Effect.gen(function* () {
            const calls = (yield* simulator.calls).map((c) => c.endpoint)
            yield* Ref.update(first, (seen) => seen ?? calls)
            yield* write(batch)
          }),
      )
      yield* Pipeline.run({ name: "visits", feed: visits, since }).pipe(
        Effect.provideService(ActivitySink.ActivitySink, sink),
      )
      assert.deepStrictEqual(yield* Ref.get(first), ["identity", "pagingToken"])
      const [begin] = yield* memory
      assert.deepStrictEqual([begin?.records.length, begin?.checkpoint.sequence], [0, 1])
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("a second run reads only what is new, and since does not move it", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* Pipeline.run({ name: "visits", feed: visits, since })
      const added = yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 2 }])
      const before = (yield* simulator.calls).length
      const summary = yield* Pipeline.run({ name: "visits", feed: visits, since: "2026-01-30T00:00:00Z" })
      assert.strictEqual(summary.records, 1)
      assert.strictEqual((yield* written).at(-1), added[0]?.text)
      assert.isFalse((yield* simulator.calls).slice(before).some((c) => c.endpoint === "pagingToken"))
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("names do not share a position", () =>
    Effect.gen(function* () {
      const a = yield* Pipeline.run({ name: "a", feed: visits, since })
      const b = yield* Pipeline.run({ name: "b", feed: visits, since })
      assert.isAbove(a.records, 0)
      assert.strictEqual(a.records, b.records)
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("types added and removed between runs", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const run = (...activityTypeIds: ReadonlyArray<number>) =>
        Pipeline.run({ name: "types", feed: Feed.leadActivities({ activityTypeIds }), since })
      yield* run(1, 2)
      yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 2 }])
      yield* run(1, 2, 6)
      const dropped = yield* simulator.add([{ activityTypeId: 2 }])
      yield* run(1, 6)
      yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 6 }])
      yield* run(1, 6)
      const wanted = (yield* storedOf(1, 2, 6)).filter((text) => text !== dropped[0]?.text)
      assert.deepStrictEqual([...(yield* written)].sort(), [...wanted].sort())
    }).pipe(Effect.provide(withMemory())),
  )

  for (const name of ["", "  ", "x".repeat(201)]) {
    it.effect(`the name "${name.slice(0, 3)}" of ${name.length} characters is refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Pipeline.run({ name, feed: visits, since }))
        assert.deepStrictEqual([error._tag, "field" in error && error.field], ["MarketoInvalidRequest", "name"])
      }).pipe(Effect.provide(withMemory())),
    )
  }

  for (const [what, options, field] of [
    ["a feed that Marketo would refuse", { feed: Feed.leadActivities({ activityTypeIds: [] }) }, "activityTypeIds"],
    ["an instant without a zone", { since: "2026-01-01T00:00:00" }, "since"],
    ["a page of 301", { batchSize: 301 }, "batchSize"],
  ] as const) {
    it.effect(`${what} is refused before the sink shuts another writer out, also under a known name`, () =>
      Effect.gen(function* () {
        const good = { name: "visits", feed: visits, since }
        yield* Pipeline.run(good)
        const opened = yield* Ref.make(0)
        const sink = yield* counted(opened)
        const error = yield* Effect.flip(Pipeline.run({ ...good, ...options })).pipe(
          Effect.provideService(ActivitySink.ActivitySink, sink),
        )
        assert.deepStrictEqual([error._tag, "field" in error && error.field], ["MarketoInvalidRequest", field])
        assert.strictEqual(yield* Ref.get(opened), 0)
      }).pipe(Effect.provide(withMemory({ data: { activities: 100 } }))),
    )
  }

  it.effect("reads as many chains at once as it is told", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const feed = Feed.leadActivities({ activityTypeIds: many })
      yield* flowing(Pipeline.run({ name: "many", feed, since, concurrency: 2 }))
      assert.strictEqual(yield* simulator.peakConcurrency, 2)
    }).pipe(Effect.provide(withMemory({ data: { activities: 300 }, latency: "1 seconds" }))),
  )

  it.effect("a filter that Marketo refuses on the first page of a new name is Marketo's own error", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      const { layer } = yield* stub([
        '{"success":true,"nextPageToken":"FIRST="}',
        '{"success":false,"errors":[{"code":"1003"}]}',
      ])
      const error = yield* Effect.flip(Pipeline.run({ name: "visits", feed: visits, since })).pipe(
        Effect.provide(Layer.merge(layer, ActivitySink.layerMemory)),
      )
      assert.deepStrictEqual(error._tag === "MarketoRejected" && error.codes, ["1003"])
    }),
  )

  it.effect("undecodable elements: kept and durable with their batch, or the read fails", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 1, text: '{"leadId":{}}' }, { activityTypeId: 1 }])
      const options = { name: "visits", feed: visits, since }
      const error = yield* Effect.flip(Pipeline.run(options))
      assert.strictEqual(error._tag, "MarketoUndecodable")
      const summary = yield* Pipeline.run({ ...options, undecodable: "keep" })
      assert.deepStrictEqual([summary.records, summary.rejected], [2, 1])
      assert.deepStrictEqual(rejectedOf(yield* memory), ['{"leadId":{}}'])
    }).pipe(Effect.provide(withMemory({ data: { activities: 0 } }))),
  )
})

describe("crash", () => {
  class Crash extends Schema.TaggedError<Crash>()("Crash", {}) {}

  it.effect.prop(
    "before or after any write, at any page: the resumed runs write everything once",
    [
      FastCheck.array(FastCheck.tuple(FastCheck.nat({ max: 6 }), FastCheck.boolean()), { maxLength: 8 }),
      FastCheck.integer({ min: 20, max: 120 }),
    ],
    ([crashes, batchSize]) =>
      Effect.gen(function* () {
        const transform = (records: Chunk.Chunk<ActivityRecord.ActivityRecord<unknown>>) =>
          Effect.succeed(
            Chunk.filter(records, (r) => Number(r.identity) % 3 !== 0).pipe(
              Chunk.map((r) => ActivityRecord.extend(r, { seen: true })),
            ),
          )
        for (const [at, after] of [...crashes, [Number.POSITIVE_INFINITY, false] as const]) {
          let writes = 0
          const sink = yield* wrapped((write) => (batch) => {
            const crash = writes++ === at
            if (!crash) return write(batch)
            const fail = new SinkError.SinkError({ sink: "test", reason: "Other", description: "crash" })
            return after ? Effect.zipRight(write(batch), fail) : fail
          })
          yield* Pipeline.run({
            name: "visits",
            feed: visits,
            since,
            batchSize,
            transform,
            batch: { maxCount: 1 },
          }).pipe(Effect.provideService(ActivitySink.ActivitySink, sink), Effect.exit)
        }
        const expected = (yield* storedOf(1))
          .filter((text) => Number((JSON.parse(text) as { id: number }).id) % 3 !== 0)
          .map((text) => `${text.slice(0, text.lastIndexOf("}"))},"seen":true}`)
        assert.deepStrictEqual(yield* written, expected)
      }).pipe(Effect.provide(withMemory({ data: { activities: 600 } }))),
    { fastCheck: { numRuns: 25 } },
  )

  it.effect("a transform that fails ends the run with its own error; what was before is durable", () =>
    Effect.gen(function* () {
      let pages = 0
      const options = { name: "visits", feed: visits, since, batchSize: 20 }
      const error = yield* Effect.flip(
        Pipeline.run({
          ...options,
          transform: (records) => (++pages > 3 ? Effect.fail(new Crash()) : Effect.succeed(records)),
        }),
      )
      assert.strictEqual(error._tag, "Crash")
      assert.strictEqual((yield* written).length, 60)
      yield* Pipeline.run(options)
      assert.deepStrictEqual(yield* written, yield* storedOf(1))
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("a transform with a service of the program's own enriches", () =>
    Effect.gen(function* () {
      class Geo extends Context.Tag("test/Geo")<Geo, { readonly country: (lead: string) => string }>() {}
      yield* Pipeline.run({
        name: "visits",
        feed: visits,
        since,
        transform: (records) =>
          Effect.map(Geo, (geo) =>
            Chunk.map(records, (r) => ActivityRecord.extend(r, { country: geo.country(r.value.leadId) })),
          ),
      }).pipe(Effect.provideService(Geo, { country: (lead) => `C${lead}` }))
      for (const text of yield* written) {
        const { country, leadId } = JSON.parse(text)
        assert.strictEqual(country, `C${leadId}`)
      }
    }).pipe(Effect.provide(withMemory())),
  )
})

describe("batches", () => {
  /** Writes take a second, and note how many pages' worth went out together. */
  const slow = wrapped((write) => (batch) => Effect.zipRight(Effect.sleep("1 seconds"), write(batch)))

  it.effect("pages that are ready when a write ends go out together, within the policy", () =>
    Effect.gen(function* () {
      const sink = yield* slow
      const run = (name: string, batch: Pipeline.BatchPolicy) =>
        flowing(
          Pipeline.run({ name, feed: visits, since, batchSize: 10, batch }).pipe(
            Effect.provideService(ActivitySink.ActivitySink, sink),
          ),
        )
      const one = yield* run("one", { maxCount: 1 })
      const many = yield* run("many", {})
      const bytes = yield* run("bytes", { maxBytes: 20_000 })
      assert.strictEqual(one.records, many.records)
      assert.isBelow(many.batches, one.batches / 3)
      assert.isBelow(bytes.batches, one.batches)
      assert.isAbove(bytes.batches, many.batches)
      const all = yield* memory
      const sizes = (name: string) => all.filter((b) => b.checkpoint.subscription === name).map((b) => b.records.length)
      assert.isTrue(sizes("one").every((n) => n <= 10))
      assert.isTrue(sizes("many").some((n) => n >= 50))
      for (const name of ["one", "many", "bytes"]) {
        assert.deepStrictEqual(textsOf(all.filter((b) => b.checkpoint.subscription === name)), yield* storedOf(1))
      }
    }).pipe(Effect.provide(withMemory({ data: { activities: 2_000 } }))),
  )

  it.effect("reads on while a write runs, but not without end", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const gate = yield* Deferred.make<void>()
      const sink = yield* wrapped(
        (write) => (batch) =>
          Chunk.isEmpty(batch.records) ? write(batch) : Effect.zipRight(Deferred.await(gate), write(batch)),
      )
      const fiber = yield* Effect.fork(
        Pipeline.run({ name: "visits", feed: visits, since, batchSize: 1 }).pipe(
          Effect.provideService(ActivitySink.ActivitySink, sink),
        ),
      )
      yield* TestClock.adjust("1 seconds")
      const ahead = (yield* simulator.calls).filter((c) => c.endpoint === "leadActivities").length
      yield* Deferred.succeed(gate, undefined)
      yield* fiber
      assert.isAbove(ahead, 2)
      assert.isAtMost(ahead, 12)
      assert.deepStrictEqual(yield* written, yield* storedOf(1))
    }).pipe(Effect.provide(withMemory({ data: { activities: 1_000 } }))),
  )

  for (const [every, checkpointEvery] of [
    [5, undefined],
    [15, "15 seconds"],
  ] as const) {
    it.effect(`runs of empty pages: a checkpoint every ${every} seconds and at the end, not one a page`, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        yield* simulator.fault({ fault: "emptyPage", match: { endpoint: "leadActivities" }, times: 60 })
        const times: Array<number> = []
        const sink = yield* wrapped(
          (write) => (batch) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              if (Chunk.isEmpty(batch.records)) times.push(now)
              return write(batch)
            }),
        )
        const { batches } = yield* flowing(
          Pipeline.run({ name: "visits", feed: visits, since, batch: { checkpointEvery } }).pipe(
            Effect.provideService(ActivitySink.ActivitySink, sink),
          ),
        )
        assert.isBelow(batches, 25)
        const gaps = times.slice(1, -1).map((at, i) => at - (times[i] ?? 0))
        assert.isAtLeast(gaps.length, Math.floor(60 / every) - 3)
        for (const gap of gaps) {
          assert.isAtLeast(gap, every * 1_000)
          assert.isAtMost(gap, every * 1_000 + 2_000)
        }
        const last = (yield* memory).at(-1)
        assert.strictEqual(last?.checkpoint.positions.length, 1)
      }).pipe(Effect.provide(withMemory({ data: { activities: 200 }, latency: "1 seconds" }))),
    )
  }

  it.effect("what cannot be decoded counts: a page of nothing else is written at once", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.add([{ activityTypeId: 1, text: '{"leadId":{}}' }])
      const options = { name: "visits", feed: visits, since, undecodable: "keep" as const }
      const fiber = yield* Effect.fork(Pipeline.tail({ ...options, every: "1 minutes" }))
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(rejectedOf(yield* memory), ['{"leadId":{}}'])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(withMemory({ data: { activities: 0 } }))),
  )

  it.effect("pages that go out together keep what each of them could not decode", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const bad = ['{"leadId":{}}', '{"leadId":[]}']
      yield* simulator.add([
        { activityTypeId: 1, text: bad[0] },
        { activityTypeId: 1 },
        { activityTypeId: 1, text: bad[1] },
        { activityTypeId: 1 },
      ])
      const options = { name: "visits", feed: visits, since, batchSize: 1, undecodable: "keep" as const }
      yield* flowing(Effect.provideService(Pipeline.run(options), ActivitySink.ActivitySink, yield* slow))
      const all = yield* memory
      assert.isTrue(all.some((b) => b.records.length + b.rejected.length > 2))
      assert.deepStrictEqual(rejectedOf(all), bad)
    }).pipe(Effect.provide(withMemory({ data: { activities: 0 } }))),
  )

  it.effect("a read that fails while the sink is slow: every page before is durable", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "sameToken", call: 8 })
      const options = { name: "visits", feed: visits, since, batchSize: 10, batch: { maxCount: 20 } }
      const error = yield* Effect.flip(
        flowing(Effect.provideService(Pipeline.run(options), ActivitySink.ActivitySink, yield* slow)),
      )
      assert.strictEqual(error._tag === "MarketoUnavailable" && error.reason, "Stalled")
      assert.deepStrictEqual(yield* written, (yield* storedOf(1)).slice(0, 60))
    }).pipe(Effect.provide(withMemory({ data: { activities: 2_000 } }))),
  )

  it.effect("a page over the policy still goes out whole, also behind empty ones", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "emptyPage", call: 2 })
      yield* Pipeline.run({ name: "visits", feed: visits, since, batch: { maxCount: 1, maxBytes: 1 } })
      assert.deepStrictEqual(yield* written, yield* storedOf(1))
    }).pipe(Effect.provide(withMemory())),
  )
})

describe("stream and into", () => {
  it.effect("stream: one element a durable batch, the last one caught up", () =>
    Effect.gen(function* () {
      const progress = yield* Pipeline.stream({ name: "visits", feed: visits, since, batchSize: 30 }).pipe(
        Stream.mapEffect((p) => Effect.map(memory, (batches) => [p, batches.length] as const)),
        Stream.runCollect,
        Effect.map(Chunk.toReadonlyArray),
      )
      assert.isTrue(progress.every(([p, durable]) => durable >= p.sequence))
      assert.deepStrictEqual(
        progress.map(([p]) => p.caughtUp),
        progress.map((_, i) => i === progress.length - 1),
      )
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("into: a stream of the program's own, with operators between", () =>
    Effect.gen(function* () {
      const activities = yield* Activities.Activities
      const sink = yield* ActivitySink.ActivitySink
      const once = Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* sink.open({ name: "own", instance: activities.instance })
          const positions = Option.getOrUndefined(writer.checkpoint)?.positions
          return yield* activities.pages(visits, { since, positions, batchSize: 40 }).pipe(
            Stream.map(Page.filter((r) => Number(r.identity) % 2 === 0)),
            Stream.mapEffect(
              Page.mapEffect((rs) => Effect.as(Effect.yieldNow(), rs)),
              { concurrency: 4 },
            ),
            Stream.map(Page.map((r) => ActivityRecord.withValue(r, { lead: r.leadId }))),
            Stream.take(Option.isNone(writer.checkpoint) ? 2 : 1_000),
            Pipeline.into(writer),
            Stream.runDrain,
          )
        }),
      )
      yield* once
      yield* once
      const leads = (yield* storedOf(1))
        .map((text) => JSON.parse(text) as { id: number; leadId: number })
        .filter(({ id }) => id % 2 === 0)
      assert.deepStrictEqual(
        yield* written,
        leads.map(({ leadId }) => `{"lead":"${leadId}"}`),
      )
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("into: several streams in turn on one writer go on with its sequence", () =>
    Effect.gen(function* () {
      const activities = yield* Activities.Activities
      const sink = yield* ActivitySink.ActivitySink
      const writer = yield* sink.open({ name: "own", instance: activities.instance })
      for (const batchSize of [100, 50]) {
        yield* activities.pages(visits, { since, batchSize }).pipe(Pipeline.into(writer), Stream.runDrain)
      }
      const sequences = (yield* memory).map((b) => b.checkpoint.sequence)
      assert.isAtLeast(sequences.length, 2)
      assert.deepStrictEqual(
        sequences,
        sequences.map((_, i) => i + 1),
      )
    }).pipe(Effect.scoped, Effect.provide(withMemory())),
  )
})

describe("metrics", () => {
  const of = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>, subscription: string) =>
    Metric.value(Metric.tagged(metric, "subscription", subscription))

  it.effect("written_total counts records and batches; lag is that of the chain furthest behind", () =>
    Effect.gen(function* () {
      const name = "metrics"
      const feed = Feed.leadActivities({ activityTypeIds: many })
      const seen = yield* Pipeline.stream({ name, feed, since, batchSize: 40 }).pipe(
        Stream.mapEffect(() => of(Metrics.lag, name)),
        Stream.runCollect,
      )
      const batches = yield* memory
      assert.isAbove(batches.length, 2)
      const behind = batches.map((b) => b.checkpoint.positions.map((p) => DateTime.distance(p.through, now) / 1_000))
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(seen).map(({ value }) => value),
        behind.map((lags) => Math.max(...lags)),
      )
      assert.isTrue(behind.some((lags) => Math.max(...lags) > Math.min(...lags)))
      assert.strictEqual((yield* of(Metrics.activitiesWritten, name)).count, (yield* written).length)
      assert.strictEqual((yield* of(Metrics.batchesWritten, name)).count, batches.length)
    }).pipe(Effect.provide(withMemory({ data: { activities: 600 } }))),
  )

  it.effect("lag leaves out a chain that is no longer read", () =>
    Effect.gen(function* () {
      const run = (type: number) =>
        Pipeline.run({ name: "removed", feed: Feed.leadActivities({ activityTypeIds: [type] }), since })
      yield* run(1)
      yield* run(2)
      yield* TestClock.adjust("30 days")
      yield* run(2)
      assert.strictEqual((yield* of(Metrics.lag, "removed")).value, 0)
    }).pipe(Effect.provide(withMemory({ data: { activities: 300 } }))),
  )
})

describe("tail", () => {
  const TOKEN = 50_000
  const memoryUsed = () => {
    setFlagsFromString("--expose-gc")
    runInNewContext("gc(); gc()") // the second waits until the buffers that the first found are gone
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }

  it.effect("caught up, waits, reads on, and holds one writer", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const opened = yield* Ref.make(0)
      const sink = yield* counted(opened)
      const fiber = yield* Effect.fork(
        Pipeline.tail({ name: "visits", feed: visits, since, every: "1 minutes" }).pipe(
          Effect.provideService(ActivitySink.ActivitySink, sink),
        ),
      )
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* written, yield* storedOf(1))
      for (let i = 0; i < 3; i++) {
        yield* simulator.add([{ activityTypeId: 1 }, { activityTypeId: 1 }])
        yield* TestClock.adjust("1 minutes")
        assert.deepStrictEqual(yield* written, yield* storedOf(1))
      }
      assert.strictEqual(yield* Ref.get(opened), 1)
      yield* Fiber.interrupt(fiber)
      const batches = yield* memory
      assert.deepStrictEqual(
        batches.map((b) => b.checkpoint.sequence),
        batches.map((_, i) => i + 1),
      )
    }).pipe(Effect.provide(withMemory())),
  )

  it.effect("an hour of idle polls is one call each", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const fiber = yield* Effect.fork(Pipeline.tail({ name: "visits", feed: visits, since, every: "1 minutes" }))
      yield* TestClock.adjust("30 seconds")
      const before = (yield* simulator.calls).filter((c) => c.endpoint === "leadActivities").length
      yield* TestClock.adjust("1 hours")
      const after = (yield* simulator.calls).filter((c) => c.endpoint === "leadActivities").length
      assert.strictEqual(after - before, 60)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(withMemory({ data: { activities: 50 } }))),
  )

  it.effect("a chain that is caught up is polled while another one is far behind", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* flowing(Pipeline.run({ name: "visits", feed: visits, since }))
      const before = (yield* simulator.calls).length
      const both = Feed.leadActivities({ activityTypeIds: [1, 2] })
      const options = { name: "visits", feed: both, since, batchSize: 1, every: "10 seconds" as const }
      const fiber = yield* Effect.fork(Pipeline.tail(options))
      yield* TestClock.adjust("1 minutes")
      const [added] = yield* simulator.add([{ activityTypeId: 1 }])
      yield* TestClock.adjust("20 seconds")
      assert.include(yield* written, added?.text)
      const calls = (yield* simulator.calls).slice(before)
      const pages = (types: string) => calls.filter((c) => c.query.activityTypeIds === types)
      assert.isAtLeast(pages("1").length, 5)
      assert.isAtLeast(pages("2").length, 20)
      assert.isBelow(
        pages("2").reduce((sum, c) => sum + c.records, 0),
        (yield* storedOf(2)).length,
      )
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(withMemory({ data: { activities: 3_000 }, latency: "2 seconds" }))),
  )

  it.effect("memory does not grow with the polls", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.toEpochMillis(now))
      let calls = 0
      /** Answers every call alike; the size of the token tells what stays of a page. */
      const answer = () => {
        const nextPageToken = String(calls++).padEnd(TOKEN, "=")
        return JSON.stringify({ success: true, nextPageToken, moreResult: false, access_token: "t", expires_in: 3600 })
      }
      const http = HttpClient.make((request) =>
        Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(answer()))),
      )
      const sink: ActivitySink.Service = {
        name: "nowhere",
        delivery: "at-least-once",
        open: (subscription) => Effect.succeed({ subscription, checkpoint: Option.none(), write: () => Effect.void }),
      }
      const [clientId, clientSecret] = [Redacted.make("id"), Redacted.make("hush")]
      const fiber = yield* Pipeline.tail({
        name: "memory",
        feed: visits,
        since,
        every: "1 seconds",
        batch: { checkpointEvery: "1 hours" },
      }).pipe(
        Effect.provide(Marketo.layer({ baseUrl: "http://localhost:1", clientId, clientSecret })),
        Effect.provideService(HttpClient.HttpClient, http),
        Effect.provideService(ActivitySink.ActivitySink, sink),
        Effect.fork,
      )
      yield* TestClock.adjust("50 seconds")
      const before = memoryUsed()
      yield* TestClock.adjust("150 seconds")
      assert.isBelow(memoryUsed() - before, (150 * TOKEN) / 2)
      assert.isAtLeast(calls, 200)
      yield* Fiber.interrupt(fiber)
    }),
  )
})

describe("interruption", () => {
  const during = (duration: Duration.DurationInput) =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const sink = yield* wrapped(
        (write) => (batch) =>
          Chunk.isEmpty(batch.records)
            ? write(batch)
            : Deferred.succeed(started, undefined).pipe(
                Effect.zipRight(Effect.sleep(duration)),
                Effect.zipRight(write(batch)),
              ),
      )
      const fiber = yield* Effect.fork(
        Pipeline.run({ name: "visits", feed: visits, since }).pipe(
          Effect.provideService(ActivitySink.ActivitySink, sink),
        ),
      )
      yield* Deferred.await(started)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(interrupting)
      return (yield* written).length
    })

  it.effect("a write in hand may finish within drain, 20 seconds unless told otherwise", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* during("19 seconds"), (yield* storedOf(1)).length)
    }).pipe(Effect.provide(withMemory({ data: { activities: 200 } }))),
  )

  it.effect("one that takes longer writes nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* during("21 seconds"), 0)
    }).pipe(Effect.provide(withMemory({ data: { activities: 200 } }))),
  )

  for (const [abort, closed] of [
    ["2 seconds", 3 + 2],
    ["1 hours", 3 + 5],
  ] as const) {
    it.effect(`an interrupted write that needs ${abort} to end: the sink is closed ${closed} seconds after`, () =>
      Effect.gen(function* () {
        const inner = yield* ActivitySink.ActivitySink
        const closedAt = yield* Deferred.make<number>()
        const aborting = Effect.onInterrupt(Effect.never, () => Effect.sleep(abort))
        const sink: ActivitySink.Service = {
          ...inner,
          open: (subscription) =>
            Effect.gen(function* () {
              const writer = yield* inner.open(subscription)
              yield* Effect.addFinalizer(() => Deferred.complete(closedAt, Clock.currentTimeMillis))
              return { ...writer, write: (batch) => (Chunk.isEmpty(batch.records) ? writer.write(batch) : aborting) }
            }),
        }
        const fiber = yield* Effect.fork(
          Pipeline.run({ name: "visits", feed: visits, since, drain: "3 seconds" }).pipe(
            Effect.provideService(ActivitySink.ActivitySink, sink),
          ),
        )
        yield* TestClock.adjust("1 seconds")
        const interrupted = yield* Clock.currentTimeMillis
        yield* Effect.fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("1 minutes")
        assert.strictEqual((yield* Deferred.await(closedAt)) - interrupted, closed * 1_000)
      }).pipe(Effect.provide(withMemory({ data: { activities: 200 } }))),
    )
  }

  it.effect("and no longer, however slow the sink", () =>
    Effect.gen(function* () {
      const sink = yield* wrapped((write) => (batch) => (Chunk.isEmpty(batch.records) ? write(batch) : Effect.never))
      const fiber = yield* Effect.fork(
        Pipeline.run({ name: "visits", feed: visits, since, drain: "3 seconds" }).pipe(
          Effect.provideService(ActivitySink.ActivitySink, sink),
        ),
      )
      yield* TestClock.adjust("1 seconds")
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* Fiber.poll(interrupting))._tag, "None")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(yield* written, [])
      yield* Pipeline.run({ name: "visits", feed: visits, since })
      assert.deepStrictEqual(yield* written, yield* storedOf(1))
    }).pipe(Effect.provide(withMemory({ data: { activities: 200 } }))),
  )
})

describe("the sink's checkpoint", () => {
  const position = new Checkpoint.Position({ query: "listId=7", token: "T=", through: DateTime.unsafeMake(since) })
  const stored = new Checkpoint.Checkpoint({
    v: 1,
    instance: "123-ABC-456",
    subscription: "visits",
    sequence: 4,
    positions: [position],
  })
  for (const [what, json, reason] of [
    ["of a newer version", '{"v":2}', "SinkError"],
    ["truncated", Checkpoint.toJson(stored).slice(0, 50), "SinkError"],
    ["of another instance", Checkpoint.toJson(stored).replace("123-ABC-456", "999-XYZ-999"), "SinkError"],
    ["of another filter", Checkpoint.toJson(stored), "CheckpointRefused"],
  ] as const) {
    it.effect(`${what}: refused, not overwritten, nothing written`, () =>
      Effect.gen(function* () {
        const store = yield* CheckpointStore.CheckpointStore
        yield* store.set("123-ABC-456/visits", json)
        const lines = yield* Ref.make(0)
        const sink = ActivitySink.layerFromWrite({
          name: "lines",
          write: (records) => Ref.update(lines, (n) => n + records.length),
        })
        const error = yield* Effect.flip(Effect.provide(Pipeline.run({ name: "visits", feed: visits, since }), sink))
        assert.strictEqual(error._tag, reason)
        if (error._tag === "SinkError") assert.strictEqual(error.reason, "CheckpointRefused")
        assert.isAbove(error.message.length, 60)
        assertSome(yield* store.get("123-ABC-456/visits"), json)
        assert.strictEqual(yield* Ref.get(lines), 0)
      }).pipe(Effect.provide(Layer.merge(simulated(), CheckpointStore.layerMemory))),
    )
  }
})
