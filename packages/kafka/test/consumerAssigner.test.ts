import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { deal } from "../src/internal/deal.js"

const dealt = (topicsOf: Readonly<Record<string, ReadonlyArray<string>>>, counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    [
      ...deal(
        Object.entries(topicsOf).map(([memberId, topics]) => ({ memberId, topics, counts: new Map() })),
        new Map(Object.entries(counts)),
      ),
    ].map(([memberId, partitions]) => [memberId, { ...partitions }]),
  )

describe("dealing partitions", () => {
  it.effect("gives every partition to one member that has subscribed to its topic", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(dealt({ m1: ["a"], m2: ["b"] }, { a: 2, b: 3 }), {
        m1: { a: [0, 1] },
        m2: { b: [0, 1, 2] },
      })
      assert.deepStrictEqual(dealt({ m1: ["a", "b"], m2: ["b"] }, { a: 1, b: 3 }), {
        m1: { a: [0], b: [1] },
        m2: { b: [0, 2] },
      })
    }),
  )

  it.effect("does not depend on the order of members", () =>
    Effect.sync(() => {
      const expected = { m1: { a: [0, 2] }, m2: { a: [1] } }
      assert.deepStrictEqual(dealt({ m1: ["a"], m2: ["a"] }, { a: 3 }), expected)
      assert.deepStrictEqual(dealt({ m2: ["a"], m1: ["a"] }, { a: 3 }), expected)
    }),
  )

  it.effect("leaves members without a partition, and topics that cannot be looked up", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(dealt({ m1: ["a"], m2: ["a"], m3: ["unknown"] }, { a: 1, unknown: 0 }), {
        m1: { a: [0] },
        m2: {},
        m3: {},
      })
    }),
  )

  it.effect("takes topics by any legal name", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(dealt({ m1: ["constructor"] }, { constructor: 1 }), { m1: { constructor: [0] } })
    }),
  )
})
