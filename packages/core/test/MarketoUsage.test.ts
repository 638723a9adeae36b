import { assert, describe, it } from "@effect/vitest"
import { Activities, MarketoUsage } from "@effect-marketo/core"
import { Effect, Option } from "effect"
import { flowing, simulated } from "./support/simulated.js"
import { stub } from "./support/stub.js"

const today = Effect.flatMap(MarketoUsage.MarketoUsage, (usage) => usage.today)

describe("usage", () => {
  it.effect("today's calls, in all and by user, by the day of US Central Time", () =>
    Effect.gen(function* () {
      const date = Option.some("2026-01-31")
      assert.deepStrictEqual(yield* today, { date, total: 0, users: [] })
      const { types } = yield* Activities.Activities
      yield* types
      yield* types
      const users = [{ userId: "reader@example.com", count: 3 }]
      assert.deepStrictEqual(yield* today, { date, total: 3, users })
    }).pipe(Effect.provide(simulated({ clients: [{ clientId: "reader", user: "reader@example.com" }] }))),
  )

  const answers: ReadonlyArray<readonly [result: string, MarketoUsage.Usage]> = [
    ["[]", { date: Option.none(), total: 0, users: [] }],
    ['[{"total":7}]', { date: Option.none(), total: 7, users: [] }],
    [
      '[{"date":"2026-01-31","total":7,"users":[{"userId":4,"count":2},{"userId":"a@example.com","count":5}]}]',
      { date: Option.some("2026-01-31"), total: 7, users: [{ userId: "a@example.com", count: 5 }] },
    ],
  ]
  for (const [result, usage] of answers) {
    it.effect(`takes ${result} for what it says`, () =>
      Effect.gen(function* () {
        const { layer } = yield* stub([`{"requestId":"a#1","success":true,"result":${result}}`])
        assert.deepStrictEqual(yield* Effect.provide(today, layer), usage)
      }),
    )
  }

  for (const body of ['{"success":true}', '{"success":true,"result":[{"total":"many"}]}']) {
    it.effect(`an answer without a total is asked for again, then an error: ${body}`, () =>
      Effect.gen(function* () {
        const { layer } = yield* stub([body])
        const error = yield* flowing(Effect.flip(Effect.provide(today, layer)))
        assert.deepInclude(error, { _tag: "MarketoUnavailable", endpoint: "usage", reason: "Malformed" })
      }),
    )
  }
})
