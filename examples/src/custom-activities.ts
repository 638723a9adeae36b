/**
 * Custom activities, written without a guess: makes a type, approves it, and writes 1,000 records. Some of their leads do not
 * exist, and the connection breaks just after Marketo has executed a call; reading back finds what became of that call.
 *
 *     node --conditions=@effect-marketo/source --import tsx examples/src/custom-activities.ts
 *
 * It always runs against a simulated instance: a custom activity cannot be deleted, and it can fire campaigns. It prints:
 *
 *     in doubt                          0
 *     added, by Marketo's answer      683
 *     skipped: 1004, lead not found    25
 *     added, found by reading back    292
 *     calls to add custom activities    5
 *     stored                          975
 *     stored twice                      0
 *
 * Of the call that broke off, 8 records were not found, because Marketo had skipped them; sent again, they say so.
 */
import { CustomActivities, CustomActivityType, CustomActivityTypes, ErrorCode, Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Simulator } from "@effect-marketo/simulator"
import { Main } from "@effect-marketo/sink-stdout"
import { Chunk, Console, DateTime, Effect, identity, Layer, Redacted, Schema, Stream } from "effect"
import { table } from "./table.js"

/** A draft, its attributes, the approval; then the approved version as Marketo describes it. */
const rentKayak = Effect.gen(function* () {
  const types = yield* CustomActivityTypes.CustomActivityTypes
  yield* types.create({
    apiName: "acmeRentKayak",
    name: "Rent Kayak",
    triggerName: "Rents Kayak",
    filterName: "Rented Kayak",
    primaryAttribute: { apiName: "kayakModel", name: "Kayak Model" },
  })
  yield* types.createAttributes("acmeRentKayak", [
    { apiName: "rentalId", name: "Rental ID", dataType: "string" },
    { apiName: "rentalHours", name: "Rental Hours", dataType: "float" },
  ])
  yield* types.approve("acmeRentKayak")
  return yield* types.describe("acmeRentKayak")
})

/** Every fortieth rental names a lead that Marketo does not have. */
const rentals = Stream.map(Stream.range(1, 1_000), (n) => ({
  leadId: n % 40 === 0 ? n : 100_000 + (n % 50),
  activityDate: DateTime.unsafeMake("2026-02-01T12:00:00Z"),
  attributes: { kayakModel: "Sea Kayak", rentalId: `R-${n}`, rentalHours: 2.5 },
}))

/** A rental's id is exact, so what reading back does not find may be sent again. The simulator shows at once what it has. */
const unknown: CustomActivities.UnknownPolicy = {
  identity: "rentalId",
  notFound: "resend",
  visibilityDelay: "2 seconds",
}

const kindOf = (outcome: CustomActivities.Outcome): string => {
  switch (outcome._tag) {
    case "Added":
      return outcome.confirmedBy === "answer" ? "added, by Marketo's answer" : "added, found by reading back"
    case "Skipped":
      return outcome.codes.map(({ code }) => `skipped: ${code}, ${ErrorCode.get("Response", code)?.meaning}`).join("; ")
    case "Invalid":
      return `invalid: ${outcome.error.message}`
    case "InDoubt":
      return "in doubt"
  }
}

const program = Effect.gen(function* () {
  const activities = yield* CustomActivities.CustomActivities
  const type = yield* rentKayak
  const toRecord = Schema.decode(yield* CustomActivityType.recordSchema(type))
  const records = Stream.mapChunksEffect(rentals, (chunk) =>
    Effect.map(
      Effect.forEach(chunk, (rental) => toRecord(rental)),
      Chunk.unsafeFromArray,
    ),
  )
  const counts = yield* activities.addAll(records, identity, { types: [type], unknown }).pipe(
    Stream.runFold(new Map([["in doubt", 0]]), (map, [, outcome]) => {
      const kind = kindOf(outcome)
      return map.set(kind, (map.get(kind) ?? 0) + 1)
    }),
  )
  yield* Console.log(table([...counts, ...(yield* stored)]))
})

/** What Marketo saw of it. */
const stored = Effect.gen(function* () {
  const simulator = yield* Simulator.Simulator
  const calls = (yield* simulator.calls).filter(({ endpoint }) => endpoint === "addCustomActivities")
  const all = (yield* simulator.activities).filter(({ activityTypeId }) => activityTypeId > 100_000)
  const rentalsStored = all.map(({ text }) => /"name":"Rental ID","value":"(R-\d+)"/.exec(text)?.[1])
  return [
    ["calls to add custom activities", calls.length],
    ["stored", all.length],
    ["stored twice", all.length - new Set(rentalsStored).size],
  ] as const
})

const simulator = Simulator.layerServer({
  data: { customTypes: [] },
  faults: [{ fault: "cut", executed: true, match: { endpoint: "addCustomActivities" }, every: 2, times: 1 }],
})

const marketo = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
    Marketo.layer({ baseUrl: url, clientId: Redacted.make(clientId), clientSecret: Redacted.make(clientSecret) }),
  ),
).pipe(Layer.provide(NodeHttp.layer))

program.pipe(Effect.provide(Layer.provideMerge(marketo, simulator)), Main.runMain)
