import { assert, it } from "@effect/vitest"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Stream } from "effect"
import { type Ended, run } from "./program.js"

/** The table of a program that ended with `expected`. What a count is made of has its name in front: `redriven: 1004, type 100001`. */
const rowsOf = ({ code, stderr, stdout }: Ended, expected = 0): Readonly<Record<string, number>> => {
  assert.strictEqual(code, expected, stderr)
  const rows: Record<string, number> = {}
  let count = ""
  for (const line of stdout.split("\n").slice(0, -1)) {
    const [, indent = "", name = "", value = ""] = /^( *)(.*?) +(-?[\d,]+)$/.exec(line) ?? []
    if (indent.length < 4) count = name
    rows[indent.length < 4 ? name : `${count}: ${name}`] = Number(value.replace(",", ""))
  }
  return rows
}

const nothingWrong = { "unaccounted for": 0, "stored twice": 0, "neither stored nor a dead letter": 0 }

describeWithOwnKafka("kafka-to-custom-activities and redrive", () => {
  it.scopedLive(
    "account for every record, those included that are left, come back or run out of attempts",
    () =>
      Effect.gen(function* () {
        const { brokers } = yield* Broker.make()
        const env = { KAFKA_BROKERS: brokers.join() }
        const source = (...args: ReadonlyArray<string>) => run("kafka-to-custom-activities", args, { env })
        const redrive = (...args: ReadonlyArray<string>) => Effect.map(run("redrive", args, { env }), rowsOf)

        const givenUp = yield* source("1000", "0")
        assert.include(rowsOf(givenUp, 1), {
          "in the topic, not committed before": 1_000,
          "unaccounted for": 1_000,
          "neither stored nor a dead letter": 1_000,
        })
        assert.match(
          givenUp.stderr,
          /gave up after 0 seconds; the source accounts for 0 of 1000 records; neither in Marketo nor a dead letter/,
        )

        const all = rowsOf(yield* source("4000"))
        assert.include(all, {
          ...nothingWrong,
          "written to the topic": 4_000,
          "in the topic, not committed before": 5_000,
          "dead letters": 100,
          "in doubt, dead letters too": 0,
          "stored by Marketo": 4_900,
          "in the dead-letter topic": 100,
        })
        const { "added, by Marketo's answer": added = 0, "added, found by reading back": confirmed = 0 } = all
        assert.isAbove(confirmed, 0)
        assert.strictEqual(added + confirmed, 4_900)

        assert.include(yield* redrive("--type", "100001", "--from", "2026-01-01"), {
          "would be redriven": 50,
          "would be redriven: 1004, type 100001": 50,
          "not selected: undecodable, type unknown": 50,
        })
        assert.include(yield* redrive("--until", "2026-01-01", "1004"), { "would be redriven": 0, "not selected": 100 })

        // until they have been read three times
        for (const before of [0, 50]) {
          assert.include(yield* redrive("1004"), { "would be redriven": 50, "done before": before })
          assert.include(yield* redrive("--run", "1004"), { redriven: 50, "attempts exhausted": 0, "not selected": 50 })
          assert.include(rowsOf(yield* source("0")), {
            ...nothingWrong,
            "in the topic, not committed before": 50,
            "dead letters": 50,
            "stored by Marketo": 0,
            "in the dead-letter topic": 50,
          })
        }
        assert.include(yield* redrive("1004"), { "attempts exhausted: 1004, type 100001": 50 })
        assert.include(yield* redrive("--run", "1004"), { redriven: 0, "attempts exhausted": 50 })
        assert.include(rowsOf(yield* source("0")), { ...nothingWrong, "in the topic, not committed before": 0 })

        const { "attempts exhausted": left = 0, "would be redriven": open = 0 } = yield* redrive()
        const kafka = yield* Effect.provide(KafkaClient.KafkaClient, KafkajsClient.layer({ brokers }))
        const exhausted = yield* Stream.runCount(kafka.read("custom-activities.exhausted"))
        assert.deepStrictEqual([left, open, exhausted], [0, 50, 50])
        assert.strictEqual(added + confirmed + open + exhausted, 5_000)
      }),
    600_000,
  )
})

const zone = "must be a time with its zone, such as 2026-02-01T12:00:00Z, or a day, not"

for (const [args, message] of [
  [["--help"], "Unknown option '--help'"],
  [["--type", "booking"], "--type must be the id of an activity type, such as 100001, not booking"],
  [["--type"], "Option '--type <value>' argument missing"],
  [["--from", "yesterday"], `--from ${zone} yesterday`],
  [["--from", "2026-02-01T12:00"], `--from ${zone} 2026-02-01T12:00`],
  [["--until", "2026-02-30"], `--until ${zone} 2026-02-30`],
  [["--from", "2026-02-02", "--until", "2026-02-01"], "--from must be before --until"],
] as const) {
  it.scopedLive(`redrive refuses ${args.join(" ")}`, () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("redrive", args)
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.include(stderr, `${message}; usage: redrive.ts [--run]`)
    }),
  )
}

for (const args of [["many"], ["-1"], ["10", "1.5"]]) {
  it.scopedLive(`kafka-to-custom-activities refuses ${args.join(" ")}`, () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("kafka-to-custom-activities", args, {
        env: { KAFKA_BROKERS: "127.0.0.1:1" },
      })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.include(stderr, "usage: kafka-to-custom-activities.ts [records] [seconds], both whole numbers")
    }),
  )
}
