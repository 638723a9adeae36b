/** Rate of the Kafka sink against a bare loop of kafkajs with the same transactions, and its memory. */
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { Effect } from "effect"
import type { Measured } from "./measured.js"
import { runReader } from "./processes.js"
import { median, table, whole } from "./report.js"

/** Runs a writer into a new topic of six partitions. */
const write = (brokers: ReadonlyArray<string>, script: string, pages: number, together: number) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const topic = `bench-${process.hrtime.bigint()}`
    yield* kafka.createTopic({ name: topic, partitions: 6 })
    return yield* Effect.promise(() => runReader(script, [brokers.join(), topic, `${pages}`, `${together}`]))
  })

const rate = ({ activities, seconds }: Measured) => activities / seconds

/** Pages a transaction: one when the sink keeps up, ten when it is behind. */
const sizes = [1, 10] as const

export const kafkaSink = (pages: number, rounds: number): Promise<string> =>
  Effect.gen(function* () {
    const { brokers } = yield* Broker.make()
    return yield* Effect.gen(function* () {
      // the first transaction of a broker makes its own topics
      yield* write(brokers, "bareKafkaWriter", 10, 1)
      const rows: Array<ReadonlyArray<string>> = []
      for (const together of sizes) {
        const bare: Array<Measured> = []
        const ours: Array<Measured> = []
        for (let round = 0; round < rounds; round++) {
          const order = [["bareKafkaWriter", bare] as const, ["kafkaWriter", ours] as const]
          for (const [script, measures] of round % 2 === 0 ? order : order.toReversed()) {
            const measured = yield* write(brokers, script, pages * together, together)
            process.stderr.write(
              `round ${round + 1}, ${together} pages, ${script}: ${whole(rate(measured))} records/s\n`,
            )
            measures.push(measured)
          }
        }
        const row = (name: string, measures: ReadonlyArray<Measured>) => [
          `${name}, ${together * 300} records a transaction`,
          whole(median(measures.map(rate))),
          median(measures.map((measured, round) => rate(measured) / rate(bare[round] ?? measured))).toFixed(2),
          median(measures.map(({ activities, cpuSeconds }) => (cpuSeconds / activities) * 1e6)).toFixed(1),
        ]
        rows.push(row("bare kafkajs", bare), row("ours", ours))
      }
      const short = yield* write(brokers, "kafkaWriter", pages * 5, 10)
      const long = yield* write(brokers, "kafkaWriter", pages * 50, 10)
      const rates = table(["", "records/s", "rate ÷ bare", "CPU s per million"], rows)
      const memory = table(
        ["pages", "peak MiB", "÷ short"],
        [
          [whole(pages * 5), whole(short.peakMiB), "1.00"],
          [whole(pages * 50), whole(long.peakMiB), (long.peakMiB / short.peakMiB).toFixed(2)],
        ],
      )
      return `${rates}\n\n${memory}`
    }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))
  }).pipe(Effect.scoped, Effect.runPromise)
