/** Rate of the source: against the calls in flight with a server that takes its time, and against bare loops with one that does not. */
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Broker } from "@effect-marketo/kafka-broker"
import { Simulator } from "@effect-marketo/simulator"
import { Array as Array_, Effect } from "effect"
import type { Measured } from "./measured.js"
import { runReader, withServer } from "./processes.js"
import { BATCH, customType, record } from "./records.js"
import { median, table, whole } from "./report.js"

const PARTITIONS = 12
const LANES = 5
const LATENCY = 150

/** Records of one send, as producers make them. */
const SEND = 500

const rate = ({ activities, seconds }: Measured) => activities / seconds

type Spelling = (record: object) => string

/** As `CustomActivity.toJson` has it, which need not be written again. */
const sentForm: Spelling = JSON.stringify

/** Of which nothing can be passed on. */
const indented: Spelling = (record) => JSON.stringify(record, null, 1)

/** A topic with so many records, and one for its dead letters. */
const fill = (count: number, spelling = sentForm) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    const topic = `bench-${process.hrtime.bigint()}`
    yield* kafka.createTopic({ name: topic, partitions: PARTITIONS })
    yield* kafka.createTopic({ name: `${topic}-dead`, partitions: 1 })
    const producer = yield* kafka.producer()
    yield* Effect.forEach(
      Array_.range(0, PARTITIONS - 1),
      (partition) => {
        const numbers = Array_.range(0, count - 1).filter((number) => number % PARTITIONS === partition)
        return Effect.forEach(
          Array_.chunksOf(numbers, SEND),
          (chunk) =>
            producer.send(
              { topic, partition },
              Array_.map(chunk, (number) => ({ key: null, value: spelling(record(number)) })),
            ),
          { discard: true },
        )
      },
      { concurrency: 4, discard: true },
    )
    return topic
  }).pipe(Effect.scoped)

/** Time from the first call to the end of the last, as the server saw it: starting and joining the group are no part of a rate. */
const callsAt = async (url: string) => (await (await fetch(`${url}/calls`)).json()) as { calls: number; millis: number }

/** The simulator checks and stores each record, and takes its time for each call. Its limits are no limits here. */
const simulator = Simulator.layerServer({
  data: { activities: 0, leads: BATCH, customTypes: [customType] },
  latency: LATENCY,
  limits: { calls: 1e6, concurrent: 100, dailyQuota: 1e6 },
})

const tokenOf = async ({ clientId, clientSecret, url }: Simulator.Service): Promise<string> => {
  const query = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: clientSecret,
  })
  const answer = await fetch(`${url}/identity/oauth/token?${query}`)
  return ((await answer.json()) as { readonly access_token: string }).access_token
}

/** What so many calls in flight allow: a bare loop of them, at the same server. */
const allowed = Effect.gen(function* () {
  const service = yield* Simulator.Simulator
  const token = yield* Effect.promise(() => tokenOf(service))
  return rate(yield* Effect.promise(() => runReader("bareWriter", [service.url, 20 * LANES, LANES, token])))
}).pipe(Effect.provide(simulator))

const withLatency = (brokers: ReadonlyArray<string>, topic: string, count: number) =>
  Effect.gen(function* () {
    const { calls, clientId, clientSecret, url } = yield* Simulator.Simulator
    yield* Effect.promise(() => runReader("source", [brokers.join(), topic, url, `${count}`, clientId, clientSecret]))
    const adds = (yield* calls).filter(({ endpoint }) => endpoint === "addCustomActivities")
    const [first, last] = [adds[0], adds.at(-1)]
    const seconds = (LATENCY + (last?.at ?? 0) - (first?.at ?? 0)) / 1_000
    return [
      whole(count),
      whole(adds.length),
      (count / adds.length).toFixed(1),
      whole(count / seconds),
      (count / seconds / (yield* allowed)).toFixed(2),
    ]
  }).pipe(Effect.provide(simulator))

export const kafkaSource = (count: number, rounds: number): Promise<string> =>
  Effect.gen(function* () {
    const { brokers } = yield* Broker.make()
    return yield* Effect.gen(function* () {
      const backlog = yield* fill(count)
      const small = yield* fill(count / 10)
      // a source runs for months, and V8 compiles it in the first second
      const long = 6 * count
      const longBacklog = yield* fill(long)
      const otherBacklog = yield* fill(long, indented)
      const lanes = table(
        ["records", "calls", "records a call", "records/s", "÷ what 5 calls in flight allow"],
        [yield* withLatency(brokers, backlog, count), yield* withLatency(brokers, small, count / 10)],
      )
      const bare: Array<Measured> = []
      const ours: Array<Measured> = []
      const others: Array<Measured> = []
      const naive: Array<Measured> = []
      yield* Effect.promise(() =>
        withServer<{ url: string }, void>("customServer", [], async ({ url }) => {
          const read = async (script: string, topic: string, records: number, ...more: ReadonlyArray<string>) => {
            const measured = await runReader(script, [brokers.join(), topic, url, `${records}`, ...more])
            return { ...measured, seconds: (await callsAt(url)).millis / 1_000 }
          }
          for (let round = 0; round < rounds; round++) {
            if (round % 2 === 0) bare.push(await read("bareSource", longBacklog, long))
            ours.push(await read("source", longBacklog, long))
            if (round % 2 === 1) bare.push(await read("bareSource", longBacklog, long))
            others.push(await read("source", otherBacklog, long))
            naive.push(await read("bareSource", longBacklog, count / 20, "one"))
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
          row("ours, of records that are spelled in another way", others),
          row("bare kafkajs, a POST for each record", naive),
        ],
      )
      return `${lanes}\n\n${loops}`
    }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))
  }).pipe(Effect.scoped, Effect.runPromise)
