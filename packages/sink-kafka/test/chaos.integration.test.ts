/**
 * Copies of a pipeline, killed and frozen at random. `npm run chaos` does more of it, and on three nodes that are killed too.
 * KAFKA_VERSION chooses the brokers.
 */
import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithKafka, describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Random } from "effect"
import { chaos, type Options } from "./support/chaos.js"

const roundsOr = (usual: number): number => Number(process.env.CHAOS_ROUNDS ?? usual)

const expectExact = (options: Options) =>
  Effect.gen(function* () {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const account = yield* Effect.withRandom(chaos(options), Random.make(seed))
    const { ends, expected, missing, outOfOrder, repeated } = account
    const words = `seed ${seed}: ${JSON.stringify(account)}`
    assert.isAbove(expected, 0)
    assert.deepStrictEqual({ missing, repeated, outOfOrder }, { missing: 0, repeated: 0, outOfOrder: 0 }, words)
    assert.strictEqual(ends.at(-1), "done", words)
    for (const end of ends.slice(0, -1)) assert.match(end, /^(Fenced|done)/, words)
    if (process.env.CHAOS_ROUNDS !== undefined) yield* Effect.log(words)
  })

describeWithKafka("KafkaSink under chaos", (brokers) => {
  const rounds = roundsOr(20)
  it.scopedLive(
    `killed and frozen ${rounds} times, nothing is missing, repeated or out of order`,
    () => expectExact({ brokers, rounds, activities: 500 * rounds }),
    200_000 + 5_000 * rounds,
  )
})

const onThreeNodes = () =>
  describeWithOwnKafka("KafkaSink under chaos, on three nodes that are killed too", () => {
    const rounds = roundsOr(20)
    it.scopedLive(
      `killed and frozen ${rounds} times, nothing is missing, repeated or out of order`,
      () =>
        Effect.gen(function* () {
          const cluster = yield* Broker.make({
            nodes: 3,
            settings: { "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 },
          })
          let killed = 0
          const beside = Effect.gen(function* () {
            const node = (killed++ % 3) + 1
            yield* Effect.sleep(yield* Random.nextIntBetween(4_000, 6_000))
            yield* cluster.kill(node)
            yield* Effect.sleep("2500 millis")
            yield* cluster.start(node)
            // it has its replicas again before the next one goes
            yield* Effect.sleep("3 seconds")
          }).pipe(Effect.orDie)
          yield* expectExact({ brokers: cluster.brokers, rounds, activities: 500 * rounds, beside })
          assert.isAbove(killed, 0)
        }),
      300_000 + 10_000 * rounds,
    )
  })

// a cluster that loses and regains nodes takes minutes
if (process.env.CHAOS_NODES === "3") onThreeNodes()
