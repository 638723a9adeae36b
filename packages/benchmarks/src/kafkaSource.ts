/** Rate of the source: against the calls in flight with a server that takes its time, and against bare loops with one that does not. */
import { KafkaClient, type Producer } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { Array as Array_, Effect } from "effect"
import type { Measured } from "./measured.js"
import { runReader, withServer } from "./processes.js"
import { batch } from "./records.js"
import { median, table, whole } from "./report.js"

const PARTITIONS = 12
const LANES = 5
const LATENCY = 150

/** Records of one send, as producers make them. */
const SEND = 500

const rate = ({ activities, seconds }: Measured) => activities / seconds

/** A topic with so many records, and one for its dead letters. */
const fill = (count: number) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const topic = `bench-${process.hrtime.bigint()}`
    yield* kafka.createTopic({ name: topic, partitions: PARTITIONS })
    yield* kafka.createTopic({ name: `${topic}-dead`, partitions: 1 })
    const producer = yield* kafka.producer()
    const records = Array.from({ length: Math.ceil(count / 300) }, (_, n) => batch(n)).flat()
    yield* Effect.forEach(
      Array.from({ length: PARTITIONS }, (_, partition) => partition),
      (partition) => {
        const own = records.slice(0, count).filter((_, n) => n % PARTITIONS === partition)
        return Effect.forEach(Array_.chunksOf(own, SEND), (chunk) => send(producer, topic, partition, chunk))
      },
      { concurrency: 4, discard: true },
    )
    return topic
  }).pipe(Effect.scoped)

const send = (
  producer: Producer.Producer,
  topic: string,
  partition: number,
  [first, ...rest]: [object, ...Array<object>],
) => {
  const record = (value: object) => ({ key: null, value: JSON.stringify(value) })
  return producer.send({ topic, partition }, [record(first), ...rest.map(record)])
}

/** Calls and time as the server saw them: joining the group is not counted. */
const withLatency = (brokers: ReadonlyArray<string>, topic: string, count: number) =>
  Effect.promise(() =>
    withServer<{ url: string }, ReadonlyArray<string>>("customServer", [LATENCY], async ({ url }) => {
      await runReader("source", [brokers.join(), topic, url, `${count}`])
      const { calls, millis } = (await (await fetch(`${url}/calls`)).json()) as { calls: number; millis: number }
      const ideal = Math.ceil(count / 300 / LANES) * LATENCY
      return [
        whole(count),
        whole(calls),
        (count / calls).toFixed(1),
        whole((count / millis) * 1_000),
        (ideal / millis).toFixed(2),
      ]
    }),
  )

export const kafkaSource = (count: number, rounds: number): Promise<string> =>
  Effect.gen(function* () {
    const { brokers } = yield* Broker.make()
    return yield* Effect.gen(function* () {
      const backlog = yield* fill(count)
      const small = yield* fill(count / 10)
      // starting is a good part of a second, and is no part of a rate
      const long = 3 * count
      const longBacklog = yield* fill(long)
      const lanes = table(
        ["records", "calls", "records a call", "records/s", "÷ what 5 calls in flight allow"],
        [yield* withLatency(brokers, backlog, count), yield* withLatency(brokers, small, count / 10)],
      )
      const bare: Array<Measured> = []
      const ours: Array<Measured> = []
      const naive: Array<Measured> = []
      yield* Effect.promise(() =>
        withServer<{ url: string }, void>("customServer", [], async ({ url }) => {
          const read = (script: string, records: number, ...more: ReadonlyArray<string>) =>
            runReader(script, [brokers.join(), longBacklog, url, `${records}`, ...more])
          for (let round = 0; round < rounds; round++) {
            if (round % 2 === 0) bare.push(await read("bareSource", long))
            ours.push(await read("source", long))
            if (round % 2 === 1) bare.push(await read("bareSource", long))
            naive.push(await read("bareSource", count / 20, "one"))
            process.stderr.write(`source, round ${round + 1} of ${rounds}\n`)
          }
        }),
      )
      const row = (name: string, measures: ReadonlyArray<Measured>) => [
        name,
        whole(median(measures.map(rate))),
        median(measures.map((measured, round) => rate(measured) / rate(bare[round] ?? measured))).toFixed(2),
        median(measures.map(({ activities, cpuSeconds }) => (cpuSeconds / activities) * 1e6)).toFixed(1),
      ]
      const loops = table(
        ["without latency", "records/s", "rate ÷ bare", "CPU s per million"],
        [
          row("bare kafkajs, `eachBatch` and a POST of 300", bare),
          row("ours", ours),
          row("bare kafkajs, a POST for each record", naive),
        ],
      )
      return `${lanes}\n\n${loops}`
    }).pipe(Effect.provide(KafkaClient.layer({ brokers })))
  }).pipe(Effect.scoped, Effect.runPromise)
