/**
 * Copies of a pipeline, killed and frozen at random. More of it, and on other brokers:
 *
 *     CHAOS_ROUNDS=100 KAFKA_VERSION=3.9.2 npx vitest run --project sink-kafka chaos
 */
import { assert, it } from "@effect/vitest"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Random } from "effect"
import { chaos } from "./support/chaos.js"

const rounds = Number(process.env.CHAOS_ROUNDS ?? 20)

describeWithKafka("KafkaSink under chaos", (brokers) => {
  it.scopedLive(
    `killed and frozen ${rounds} times, nothing is missing, repeated or out of order`,
    () =>
      Effect.gen(function* () {
        const seed = Math.floor(Math.random() * 2 ** 31)
        const account = yield* Effect.withRandom(
          chaos({ brokers, rounds, activities: 2_000 * rounds }),
          Random.make(seed),
        )
        const { ends, expected, missing, outOfOrder, repeated } = account
        const words = `seed ${seed}: ${JSON.stringify(account)}`
        process.stderr.write(`${words}\n`)
        assert.isAbove(expected, 0)
        assert.deepStrictEqual({ missing, repeated, outOfOrder }, { missing: 0, repeated: 0, outOfOrder: 0 }, words)
        assert.strictEqual(ends.at(-1), "done", words)
        for (const end of ends.slice(0, -1)) assert.match(end, /^Fenced/, words)
      }),
    30_000 + 5_000 * rounds,
  )
})
