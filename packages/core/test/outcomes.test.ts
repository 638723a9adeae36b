import { assert, describe, it } from "@effect/vitest"
import { Activities, CustomActivities, type CustomActivity, Marketo } from "@effect-marketo/core"
import { type Data, Simulator } from "@effect-marketo/simulator"
import {
  Chunk,
  DateTime,
  Duration,
  Effect,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Option,
  Redacted,
  Ref,
  Stream,
  TestClock,
} from "effect"
import * as NodeHttp from "../src/NodeHttp.js"
import { flowing, now, simulated } from "./support/simulated.js"

type Fault = Parameters<Simulator.Service["fault"]>[0]

const TYPE = 100_001
const records = 40
const quiet = Logger.minimumLogLevel(LogLevel.None)
const sim = (options: Simulator.Options = {}) =>
  Layer.merge(simulated({ ...options, data: { activities: 200, ...options.data } }), quiet)

const rental = (i: number, members: Partial<CustomActivity.CustomActivity> = {}): CustomActivity.CustomActivity => ({
  leadId: 100_000 + (i % 35),
  activityDate: DateTime.subtract(now, { minutes: 5 + (i % 7) }),
  activityTypeId: TYPE,
  primaryAttributeValue: i % 2 === 0 ? "Sea Kayak" : '東京 "K"',
  attributes: [
    { apiName: "bookingNumber", value: `B-${i}` },
    { name: "Rental Hours", value: 1.5 + (i % 3) },
    { apiName: "pickedUpAt", value: DateTime.subtract(now, { hours: i }) },
  ],
  ...members,
})

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

interface Stored {
  readonly marketoGUID: string
  readonly booking: string
}

/** What the simulator stored of the custom type. */
const stored = Effect.flatMap(Simulator.Simulator, (simulator) =>
  Effect.map(simulator.activities, (all) =>
    all
      .filter((a) => a.activityTypeId === TYPE)
      .map((a): Stored => {
        const json = JSON.parse(a.text) as {
          marketoGUID: string
          attributes: ReadonlyArray<{ name: string; value: unknown }>
        }
        return {
          marketoGUID: json.marketoGUID,
          booking: String(json.attributes.find(({ name }) => name === "Booking Number")?.value),
        }
      }),
  ),
)

/** Writes, and keeps what came back even when the stream fails. */
const writing = (activities: ReadonlyArray<CustomActivity.CustomActivity>, options: CustomActivities.AddAllOptions) =>
  Effect.gen(function* () {
    const service = yield* CustomActivities.CustomActivities
    const seen = yield* Ref.make<ReadonlyArray<readonly [number, CustomActivities.Outcome]>>([])
    const input = Stream.fromIterable(activities.map((activity, i) => [i, activity] as const))
    const result = yield* service
      .addAll(input, ([, activity]) => activity, options)
      .pipe(
        Stream.runForEach(([[i], outcome]) => Ref.update(seen, (all) => [...all, [i, outcome] as const])),
        Effect.either,
      )
    return { outcomes: yield* Ref.get(seen), error: result._tag === "Left" ? result.left : undefined }
  })

/** What is said of each record agrees with what is stored; nothing is stored twice. */
const account = (outcomes: ReadonlyArray<readonly [number, CustomActivities.Outcome]>, all: ReadonlyArray<Stored>) => {
  const byBooking = new Map(all.map((s) => [s.booking, s]))
  assert.strictEqual(byBooking.size, all.length, "stored twice")
  for (const [i, outcome] of outcomes) {
    const there = byBooking.get(`B-${i}`)
    if (outcome._tag === "Added") assert.strictEqual(outcome.marketoGUID, there?.marketoGUID, `record ${i}`)
    else assert.isUndefined(there, `record ${i} is ${outcome._tag} and stored`)
  }
}

const match = { endpoint: "addCustomActivities" } as const
const unknown: ReadonlyArray<readonly [string, boolean, Fault]> = [
  ...["500", "502", "604", "611", "701", "713", "719", "799"].flatMap((code) =>
    [false, true].map((executed) => [`code ${code}`, executed, { fault: "error", code, executed, match }] as const),
  ),
  ...[500, 502, 503, 504].flatMap((status) =>
    [false, true].map((executed) => [`HTTP ${status}`, executed, { fault: "http", status, executed, match }] as const),
  ),
  ...(["cut", "empty"] as const).flatMap((fault) =>
    [false, true].map((executed) => [fault, executed, { fault, executed, match }] as const),
  ),
  ["a cut body", true, { fault: "cutBody", match }],
  ["a broken body", true, { fault: "malformed", match }],
  ["no result list", true, { fault: "shortResult", match }],
  ["a short result list", true, { fault: "shortResult", records: 7, match }],
  ["our time limit", true, { fault: "delay", delay: "1 hours", match }],
]

describe("a call whose outcome is unknown", () => {
  for (const [what, executed, fault] of unknown) {
    for (const notFound of ["inDoubt", "resend", "fail"] as const) {
      it.effect(`${what}, ${executed ? "after" : "before"} executing, ${notFound}`, () =>
        Effect.gen(function* () {
          const simulator = yield* Simulator.Simulator
          yield* simulator.fault(fault)
          const identity = executed ? undefined : "bookingNumber"
          const { error, outcomes } = yield* flowing(
            writing(
              range(records).map((i) => rental(i)),
              { unknown: { notFound, identity, visibilityDelay: "5 seconds" } },
            ),
          )
          const all = yield* stored
          account(outcomes, all)
          if (executed) {
            assert.strictEqual(all.length, records)
            assert.isTrue(outcomes.every(([, o]) => o._tag === "Added" && o.confirmedBy === "readBack"))
          }
          if (notFound === "fail" && !executed) {
            assert.strictEqual(error !== undefined && "execution" in error && error.execution, "Unknown")
            assert.deepStrictEqual([outcomes.length, all.length], [0, 0])
          } else {
            assert.isUndefined(error)
            assert.deepStrictEqual(
              outcomes.map(([i]) => i),
              range(records),
            )
          }
          if (notFound === "resend") assert.strictEqual(all.length, records)
          if (notFound === "inDoubt" && !executed) {
            assert.isTrue(
              outcomes.every(
                ([, o]) => o._tag === "InDoubt" && "execution" in o.error && o.error.execution === "Unknown",
              ),
            )
          }
        }).pipe(Effect.provide(sim())),
      )
    }
  }
})

describe("a call that was not executed is repeated within policy", () => {
  for (const code of ["601", "602", "606", "608", "614", "615"]) {
    it.effect(code, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        if (code === "601" || code === "602") {
          yield* Effect.flatMap(Activities.Activities, (activities) => activities.types)
          yield* simulator.expireTokens
        }
        if (code !== "602") yield* simulator.fault({ fault: "error", code, match, times: code === "601" ? 1 : 3 })
        const { outcomes } = yield* flowing(
          writing(
            range(records).map((i) => rental(i)),
            {},
          ),
        )
        account(outcomes, yield* stored)
        assert.isTrue(outcomes.every(([, o]) => o._tag === "Added" && o.confirmedBy === "answer"))
        assert.strictEqual(outcomes.length, records)
      }).pipe(Effect.provide(sim())),
    )
  }
})

describe("reading back", () => {
  it.effect("waits for what becomes visible later, within the visibility delay", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "cut", executed: true, match })
      const { outcomes } = yield* flowing(
        writing(
          range(records).map((i) => rental(i)),
          {},
        ),
      )
      account(outcomes, yield* stored)
      assert.isTrue(outcomes.every(([, o]) => o._tag === "Added"))
    }).pipe(Effect.provide(sim({ quirks: { visibilityDelay: "100 seconds" } }))),
  )

  it.effect("beyond it the records are in doubt, though they are there: the delay is the user's to set", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "cut", executed: true, match })
      const { outcomes } = yield* flowing(writing([rental(1)], { unknown: { visibilityDelay: "30 seconds" } }))
      assert.deepStrictEqual(
        outcomes.map(([, o]) => o._tag),
        ["InDoubt"],
      )
    }).pipe(Effect.provide(sim({ quirks: { visibilityDelay: "100 seconds" } }))),
  )

  it.effect("by content counts records that are equal: as many are found as are stored", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const twins = [rental(1), rental(1), rental(1), rental(2)]
      yield* simulator.fault({ fault: "error", code: "604", executed: true, match })
      const { outcomes } = yield* flowing(writing(twins, {}))
      const guids = outcomes.map(([, o]) => (o._tag === "Added" ? o.marketoGUID : ""))
      assert.strictEqual(new Set(guids).size, 4)
      assert.strictEqual((yield* stored).length, 4)
    }).pipe(Effect.provide(sim())),
  )

  it.effect("does not take an equal record of an earlier call for one that was never executed", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "cut", match, every: 2 })
      const { outcomes } = yield* flowing(writing([rental(1), rental(1)], { batch: { maxCount: 1 } }))
      assert.deepStrictEqual(
        outcomes.map(([, o]) => o._tag),
        ["Added", "InDoubt"],
      )
    }).pipe(Effect.provide(sim())),
  )

  const measured: ReadonlyArray<Data.CustomType["primaryAttribute"]> = [
    { apiName: "weight", name: "Weight", dataType: "float" },
    { apiName: "price", name: "Price", dataType: "currency" },
    { apiName: "seats", name: "Seats", dataType: "integer" },
    { apiName: "isNew", name: "Is New", dataType: "boolean" },
    { apiName: "soldAt", name: "Sold At", dataType: "datetime" },
    { apiName: "code", name: "Code", dataType: "string" },
  ]
  const sale = (values: Readonly<Record<string, string | number | boolean>>) =>
    rental(0, {
      primaryAttributeValue: "10",
      attributes: Object.entries({
        weight: 10,
        price: "9.50",
        seats: 7,
        isNew: true,
        soldAt: "2026-01-31T12:00:00+01:00",
        code: "10",
        ...values,
      }).map(([apiName, value]) => ({ apiName, value })),
    })
  const different = [
    sale({}),
    sale({ weight: 10.5 }),
    sale({ weight: 0 }),
    sale({ weight: -10 }),
    sale({ weight: 1e21 }),
    sale({ seats: 8 }),
    sale({ isNew: false }),
    sale({ soldAt: "2026-01-31T12:00:01+01:00" }),
    sale({ code: "10.0" }),
  ]
  for (const identity of [undefined, "weight", "code"]) {
    it.effect(
      `by ${identity ?? "content"}: a value that comes back in another spelling is the same value, and no other`,
      () =>
        Effect.gen(function* () {
          const simulator = yield* Simulator.Simulator
          yield* simulator.fault({ fault: "cut", executed: true, match })
          const records = identity === undefined ? different : [different[0] as CustomActivity.CustomActivity]
          const { outcomes } = yield* flowing(writing(records, { unknown: { identity } }))
          const written = (yield* simulator.activities).filter((a) => a.activityTypeId === TYPE)
          assert.include(written[0]?.text, '"value":"10.0"')
          assert.deepStrictEqual(
            outcomes.map(([, o]) => (o._tag === "Added" ? o.marketoGUID : o._tag)),
            written.map(({ id }) => id),
          )
          // what differs is not found, so it is sent: nothing but equal values match
          yield* simulator.fault({ fault: "cut", match })
          const other = identity === "code" ? sale({ code: "10.0" }) : sale({ weight: 100 })
          const again = yield* flowing(writing([other], { unknown: { identity, notFound: "resend" } }))
          assert.strictEqual(again.outcomes[0]?.[1]._tag, "Added")
          assert.lengthOf(
            (yield* simulator.activities).filter((a) => a.activityTypeId === TYPE),
            records.length + 1,
          )
        }).pipe(
          Effect.provide(
            sim({
              quirks: { reformattedValues: true },
              data: {
                customTypes: [
                  {
                    apiName: "sellBoat",
                    name: "Sell Boat",
                    primaryAttribute: { apiName: "length", name: "Length", dataType: "float" },
                    attributes: measured,
                  },
                ],
              },
            }),
          ),
        ),
    )
  }

  it.effect("is bounded in calls; what could not be searched for is in doubt under resend too", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "cut", match })
      const old = rental(1, { activityDate: DateTime.unsafeMake("2026-01-01T00:00:00Z") })
      const before = (yield* simulator.calls).length
      const { outcomes } = yield* flowing(
        writing([old], { unknown: { notFound: "resend", maxCalls: 5, visibilityDelay: 0 } }),
      )
      assert.deepStrictEqual(
        outcomes.map(([, o]) => o._tag),
        ["InDoubt"],
      )
      assert.strictEqual(
        (yield* simulator.calls).slice(before).filter((c) => c.endpoint === "leadActivities").length,
        5,
      )
      assert.deepStrictEqual(yield* stored, [])
    }).pipe(Effect.provide(sim({ data: { activities: 5_000 }, quirks: { blockSize: 20 } }))),
  )

  it.effect("asks for at most 30 leads a call", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "cut", executed: true, match })
      yield* flowing(
        writing(
          range(records).map((i) => rental(i)),
          {},
        ),
      )
      const reads = (yield* simulator.calls).filter((c) => c.endpoint === "leadActivities")
      assert.isAtLeast(reads.length, 2)
      assert.isTrue(reads.every((c) => (c.query.leadIds ?? "").split(",").length <= 30))
    }).pipe(Effect.provide(sim())),
  )

  it.effect("as a service: what is there and what is not, by position", () =>
    Effect.gen(function* () {
      const service = yield* CustomActivities.CustomActivities
      yield* service.add(Chunk.make(rental(1), rental(3)))
      const { guids, isComplete } = yield* service.readBack(Chunk.make(rental(1), rental(2), rental(3)))
      assert.deepStrictEqual([guids.map(Option.isSome), isComplete], [[true, false, true], true])
      // two that are equal, and one is known to be another record's
      const [first] = guids
      const isKnown = (guid: string) => Option.contains(first ?? Option.none(), guid)
      const others = yield* service.readBack(Chunk.make(rental(1), rental(3)), { isKnown })
      assert.deepStrictEqual(others.guids.map(Option.isSome), [false, true])
    }).pipe(Effect.provide(sim())),
  )
})

describe("after 604", () => {
  it.effect("what was not found is sent again in halves, down to the configured size", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "error", code: "604", match, times: 3 })
      const { outcomes } = yield* flowing(
        writing(
          range(records).map((i) => rental(i)),
          { unknown: { notFound: "resend", identity: "bookingNumber", minCount: 10 } },
        ),
      )
      account(outcomes, yield* stored)
      const sizes = (yield* simulator.calls).filter((c) => c.endpoint === "addCustomActivities").map((c) => c.records)
      assert.deepStrictEqual(sizes, [40, 20, 10, 10, 20])
      assert.deepStrictEqual(
        outcomes.map(([, o]) => o._tag),
        range(records).map((i) => (i < 10 ? "InDoubt" : "Added")),
      )
    }).pipe(Effect.provide(sim())),
  )
})

describe("in the middle of many", () => {
  it.effect("quota: the stream ends; what was written has come back, nothing else is stored", () =>
    Effect.gen(function* () {
      const { error, outcomes } = yield* flowing(
        writing(
          range(records).map((i) => rental(i)),
          { batch: { maxCount: 10 } },
        ),
      )
      assert.strictEqual(error?._tag === "MarketoLimited" && error.reason, "DailyQuota")
      assert.deepStrictEqual(
        outcomes.map(([i]) => i),
        range(30),
      )
      account(outcomes, yield* stored)
      assert.strictEqual((yield* stored).length, 30)
    }).pipe(Effect.provide(sim({ limits: { dailyQuota: 3, calls: 1_000, concurrent: 10 } }))),
  )

  it.effect("quota waited for, a token that ends each minute: everything is written once", () =>
    Effect.gen(function* () {
      const { error, outcomes } = yield* flowing(
        writing(
          range(records).map((i) => rental(i)),
          { batch: { maxCount: 5 } },
        ),
      )
      assert.isUndefined(error)
      assert.strictEqual(outcomes.length, records)
      account(outcomes, yield* stored)
    }).pipe(
      Effect.provide(
        Layer.merge(
          simulated(
            {
              data: { activities: 200 },
              latency: "20 seconds",
              limits: { dailyQuota: 5, calls: 1_000, concurrent: 10, tokenLifetime: "60 seconds" },
            },
            { limits: { dailyQuota: "wait" } },
          ),
          quiet,
        ),
      ),
    ),
  )

  it.effect("interruption between calls loses no result", () =>
    Effect.gen(function* () {
      const service = yield* CustomActivities.CustomActivities
      const seen = yield* Ref.make<ReadonlyArray<readonly [number, CustomActivities.Outcome]>>([])
      const input = Stream.fromIterable(range(30)).pipe(
        Stream.mapEffect((i) => Effect.as(i % 10 === 0 && i > 0 ? Effect.sleep("1 minutes") : Effect.void, i)),
      )
      const fiber = yield* service
        .addAll(input, (i) => rental(i), { batch: { maxWait: "1 seconds" } })
        .pipe(
          Stream.runForEach(([i, outcome]) => Ref.update(seen, (all) => [...all, [i, outcome] as const])),
          Effect.fork,
        )
      yield* TestClock.adjust("90 seconds")
      yield* Fiber.interrupt(fiber)
      account(yield* Ref.get(seen), yield* stored)
      assert.strictEqual((yield* Ref.get(seen)).length, (yield* stored).length)
      assert.strictEqual((yield* stored).length, 20)
    }).pipe(Effect.provide(sim())),
  )

  it.effect("unknown leads, unknown attributes and wrong values are skipped alone, with their codes", () =>
    Effect.gen(function* () {
      const { outcomes } = yield* flowing(
        writing(
          [
            rental(0),
            rental(1, { leadId: 5 }),
            rental(2, { attributes: [{ apiName: "nope", value: 1 }] }),
            rental(3, { attributes: [{ apiName: "rentalHours", value: "many" }] }),
            rental(4),
          ],
          {},
        ),
      )
      const codes = outcomes.map(([, o]) => (o._tag === "Skipped" ? o.codes.map(({ code }) => code) : o._tag))
      assert.deepStrictEqual(codes, ["Added", ["1004"], ["1006"], ["1001"], "Added"])
    }).pipe(Effect.provide(sim())),
  )
})

describe("over a real socket", () => {
  const live = (faults: ReadonlyArray<Fault>, timeout?: Duration.Duration) =>
    Layer.unwrapEffect(
      Effect.map(Simulator.Simulator, (simulator) =>
        Marketo.layer({
          baseUrl: simulator.url,
          clientId: Redacted.make(simulator.clientId),
          clientSecret: Redacted.make(simulator.clientSecret),
          policies: { addCustomActivities: { baseDelay: Duration.millis(5), ...(timeout && { timeout }) } },
        }),
      ),
    ).pipe(
      Layer.provide(NodeHttp.layer),
      Layer.provideMerge(Simulator.layerServer({ data: { activities: 200 }, faults })),
      Layer.provideMerge(quiet),
    )

  for (const [what, fault, timeout] of [
    ["cut before executing", { fault: "cut", match }],
    ["cut after executing", { fault: "cut", executed: true, match }],
    ["cut in the body of the answer", { fault: "cutBody", match }],
    ["slower than our time limit", { fault: "delay", delay: "2 seconds", match }, Duration.millis(800)],
  ] as ReadonlyArray<readonly [string, Fault, Duration.Duration?]>) {
    for (const notFound of ["inDoubt", "resend"] as const) {
      it.scopedLive(
        `${what}, ${notFound}: said what is stored, and nothing stored twice (the transport repeats nothing by itself)`,
        () =>
          Effect.gen(function* () {
            const simulator = yield* Simulator.Simulator
            const { error, outcomes } = yield* writing(
              range(records).map((i) => rental(i)),
              { unknown: { notFound, visibilityDelay: "300 millis" } },
            )
            assert.isUndefined(error)
            assert.strictEqual(outcomes.length, records)
            account(outcomes, yield* stored)
            if (notFound === "resend") assert.strictEqual((yield* stored).length, records)
            const adds = (yield* simulator.calls).filter((c) => c.endpoint === "addCustomActivities").length
            assert.strictEqual(adds, what === "cut before executing" && notFound === "resend" ? 2 : 1)
          }).pipe(Effect.provide(live([fault], timeout))),
      )
    }
  }
})
