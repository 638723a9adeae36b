import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect } from "effect"
import { type Ended, run } from "./program.js"

/** The table of a program that ended well. */
const rowsOf = ({ code, stderr, stdout }: Ended): Readonly<Record<string, number>> => {
  assert.strictEqual(code, 0, stderr)
  return Object.fromEntries(
    stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const [, name = "", value = ""] = /^ *(.*?) +([\d,]+)$/.exec(line) ?? []
        return [name, Number(value.replace(",", ""))]
      }),
  )
}

describeWithOwnKafka("kafka-to-custom-activities and redrive", () => {
  it.scopedLive("account for every record, dead letters that come back included", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Broker.make()
      const env = { KAFKA_BROKERS: brokers.join() }
      const first = rowsOf(yield* run("kafka-to-custom-activities", [], { env }))
      assert.include(first, {
        "taken from the topic": 5_000,
        "dead letters": 100,
        "in doubt, dead letters too": 0,
        "stored by Marketo": 4_900,
        "letters in the dead-letter topic": 100,
        "unaccounted for": 0,
        "stored twice": 0,
      })
      assert.isAbove(first["added, found by reading back"] ?? 0, 0)
      const looked = rowsOf(yield* run("redrive", ["1004"], { env }))
      assert.include(looked, { "would be redriven": 50, "not selected": 50, "unaccounted for": 0 })
      const moved = rowsOf(yield* run("redrive", ["--run", "1004"], { env }))
      assert.include(moved, { redriven: 50, parked: 0, "unaccounted for": 0 })
      const second = rowsOf(yield* run("kafka-to-custom-activities", ["0"], { env }))
      assert.include(second, { "taken from the topic": 50, "dead letters": 50, "unaccounted for": 0 })
    }),
  )
})

it.scopedLive("redrive refuses an option that it does not know", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* run("redrive", ["--help"])
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.match(stderr, /unknown option --help; usage: redrive.ts \[--run\]/)
  }),
)
