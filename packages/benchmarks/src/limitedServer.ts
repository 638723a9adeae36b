/**
 * The simulator with Marketo's limits, 100 calls in 20 s and 10 at once, and so many full pages of activities. The ids of
 * their types are 100001 and up, evenly mixed.
 *
 *     node limitedServer.js PAGES TYPES LATENCY_MILLIS
 */
import { Simulator } from "@effect-marketo/simulator"
import { Console, Effect, Layer } from "effect"

const [pages, types, latency] = process.argv.slice(2).map(Number) as [number, number, number]

const announce = Effect.gen(function* () {
  const { add, clientId, clientSecret, url } = yield* Simulator.Simulator
  yield* add(
    Array.from({ length: pages * 300 }, (_, i) => ({
      activityTypeId: 100_001 + (i % types),
      activityDate: "2026-01-02T00:00:00Z",
      members: { attributes: [{ name: "Note", value: "as long as most attributes of an activity are" }] },
    })),
  )
  yield* Console.log(JSON.stringify({ url, clientId, clientSecret }))
})

await Layer.effectDiscard(announce).pipe(
  Layer.provide(Simulator.layerServer({ data: { activities: 0 }, latency })),
  Layer.launch,
  Effect.runPromise,
)
