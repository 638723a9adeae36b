/**
 * A Kafka topic of custom activities, written to Marketo in batches. Writes 5,000 records to the topic, then takes from it until
 * it is empty, over connections that break after Marketo has executed a call, an outage of a moment and an error page. Some leads do not
 * exist, and some records are not JSON: they become dead letters. At the end it accounts for every record.
 *
 *     npm run broker        # a Kafka on this machine; it prints KAFKA_BROKERS=127.0.0.1:…
 *     KAFKA_BROKERS=127.0.0.1:… node --conditions=@effect-marketo/source --import tsx examples/src/kafka-to-custom-activities.ts [records]
 *
 * It always writes to a simulated instance: a custom activity cannot be deleted, and it can fire campaigns. It prints:
 *
 *     written to the topic                  5,000
 *     taken from the topic                  5,000
 *       added, by Marketo's answer          4,300
 *       added, found by reading back          600
 *       dead letters                          100
 *       in doubt, dead letters too              0
 *     calls to add custom activities           19
 *     stored by Marketo                     4,900
 *     letters in the dead-letter topic        100
 *     unaccounted for                           0
 *     stored twice                              0
 *
 * Stop it in the middle and start it again with 0 records: it goes on where it was. `redrive.ts` puts dead letters back.
 */
import { ApiLimits, Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { KafkaClient, type KafkaRecord, Partitioner } from "@effect-marketo/kafka"
import { Simulator } from "@effect-marketo/simulator"
import { Main } from "@effect-marketo/sink-stdout"
import { CustomActivitySource, DeadLetter, Progress } from "@effect-marketo/source-kafka"
import { Array, Config, Console, Effect, Layer, Redacted, Stream } from "effect"
import { table } from "./table.js"

const topic = "custom-activities"
const deadLetterTopic = "custom-activities.dead"
const partitions = 6

const count = Number(process.argv[2] ?? 5_000)
const started = Date.now()

/** Of a hundred records one names a lead that Marketo does not have, and one is not JSON. */
const record = (n: number): KafkaRecord.ProducerRecord => {
  const leadId = n % 100 === 7 ? 7 : 100_000 + (n % 50)
  const booking = {
    leadId,
    activityDate: "2026-02-01T12:00:00Z",
    activityTypeId: 100_001,
    primaryAttributeValue: "Sea Kayak",
    attributes: [
      { apiName: "bookingNumber", value: `B-${started}-${n}` },
      { apiName: "rentalHours", value: 2.5 },
    ],
  }
  return { key: `${leadId}`, value: n % 100 === 8 ? "not JSON" : JSON.stringify(booking) }
}

/** By lead, so that what happened to a lead stays in order. */
const writeRecords = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  yield* kafka.createTopic({ name: topic, partitions })
  yield* kafka.createTopic({ name: deadLetterTopic, partitions: 1 })
  const producer = yield* kafka.producer()
  const records = count === 0 ? [] : Array.makeBy(count, record)
  const byPartition = Array.groupBy(records, ({ key }) => `${Partitioner.partition(key ?? "", partitions)}`)
  yield* Effect.forEach(
    Object.entries(byPartition),
    ([partition, records]) => producer.send({ topic, partition: Number(partition) }, records),
    { concurrency: "unbounded", discard: true },
  )
}).pipe(Effect.scoped)

const letters = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  return yield* Stream.runCount(Stream.filterMap(kafka.read(deadLetterTopic), DeadLetter.fromRecord))
})

/** What Marketo saw of it. */
const stored = Effect.gen(function* () {
  const simulator = yield* Simulator.Simulator
  const calls = (yield* simulator.calls).filter(({ endpoint }) => endpoint === "addCustomActivities")
  const bookings = (yield* simulator.activities)
    .filter(({ activityTypeId }) => activityTypeId === 100_001)
    .map(({ text }) => /"value":"(B-[\d-]+)"/.exec(text)?.[1])
  return { calls: calls.length, all: bookings.length, twice: bookings.length - new Set(bookings).size }
})

const program = Effect.gen(function* () {
  yield* writeRecords
  const lettersBefore = yield* letters
  const taken = yield* CustomActivitySource.stream({
    topic,
    groupId: "to-marketo",
    deadLetterTopic,
    batch: { maxWait: "1 second" },
    // a booking's number is exact, and the simulator shows at once what it has: what is not found is not there
    unknown: { identity: "bookingNumber", notFound: "resend", visibilityDelay: "2 seconds" },
  }).pipe(
    // a service would run for ever
    Stream.timeout("6 seconds"),
    Stream.runFold(Progress.empty, Progress.add),
  )
  const marketo = yield* stored
  const newLetters = (yield* letters) - lettersBefore
  yield* Console.log(
    table([
      ["written to the topic", count],
      ["taken from the topic", taken.records],
      ["  added, by Marketo's answer", taken.added],
      ["  added, found by reading back", taken.confirmed],
      ["  dead letters", taken.deadLettered],
      ["  in doubt, dead letters too", taken.parked],
      ["calls to add custom activities", marketo.calls],
      ["stored by Marketo", marketo.all],
      ["letters in the dead-letter topic", newLetters],
      ["unaccounted for", taken.records - marketo.all - newLetters],
      ["stored twice", marketo.twice],
    ]),
  )
})

const match = { endpoint: "addCustomActivities" } as const
const simulator = Simulator.layerServer({
  faults: [
    { fault: "cut", executed: true, match, every: 7, times: 2 },
    { fault: "http", status: 502, match, every: 10, times: 1 },
    { fault: "error", code: 608, match, every: 12, times: 1 },
  ],
})

/** Most of the calls, so that something is left to whoever reads the same instance. */
const limits = ApiLimits.layerShare({ calls: 80, concurrent: 8 }).pipe(
  Layer.provide(ApiLimits.layer({ calls: 100, concurrent: 10 })),
)

const marketo = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
    Marketo.layerWithoutLimits({
      baseUrl: url,
      clientId: Redacted.make(clientId),
      clientSecret: Redacted.make(clientSecret),
    }),
  ),
).pipe(Layer.provide([NodeHttp.layer, limits]))

const kafka = KafkaClient.layerConfig({ brokers: Config.array(Config.string(), "KAFKA_BROKERS") })

program.pipe(Effect.provide(Layer.merge(Layer.provideMerge(marketo, simulator), kafka)), Main.runMain)
