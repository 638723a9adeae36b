/**
 * A Kafka topic of custom activities, written to Marketo in batches. Writes 5,000 records to the topic, then takes from it until
 * it is empty, over connections that break after Marketo has executed a call, an outage of a moment and an error page. Some leads do not
 * exist, and some records are not JSON: they become dead letters. At the end it accounts for every record that was in the topic: by what
 * the source says, and by what is in Marketo and in the dead-letter topic. Where it cannot, it says so and ends with exit code 1.
 *
 *     npm run broker        # a Kafka on this machine; it prints KAFKA_BROKERS=127.0.0.1:…
 *     KAFKA_BROKERS=127.0.0.1:… node --conditions=@effect-marketo/source --import tsx examples/src/kafka-to-custom-activities.ts \
 *       [records] [seconds]
 *
 * It always writes to a simulated instance: a custom activity cannot be deleted, and it can fire campaigns. It gives up after so many
 * seconds, 120 unless you say otherwise. It prints a table such as:
 *
 *     written to the topic                5,000
 *     in the topic, not committed before  5,000
 *       added, by Marketo's answer        4,308
 *       added, found by reading back        592
 *       dead letters                        100
 *       in doubt, dead letters too            0
 *       dropped                               0
 *       unaccounted for                       0
 *     calls to add custom activities         21
 *     stored by Marketo                   4,900
 *       stored twice                          0
 *     in the dead-letter topic              100
 *     neither stored nor a dead letter        0
 *
 * Stop it in the middle and start it again with 0 records: it goes on where it was. `redrive.ts` puts dead letters back.
 */
import { ApiLimits, Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { KafkaClient, KafkajsClient, type KafkaRecord } from "@effect-marketo/kafka"
import { Simulator } from "@effect-marketo/simulator"
import { Main } from "@effect-marketo/sink-stdout"
import { CustomActivitySource, DeadLetter, Progress } from "@effect-marketo/source-kafka"
import { Array, Config, Console, Duration, Effect, Layer, Option, Redacted, Stream } from "effect"
import { table } from "./table.js"

const brokers = Config.array(Config.string(), "KAFKA_BROKERS")
const topic = "custom-activities"
const groupId = "to-marketo"
const deadLetterTopic = "custom-activities.dead"
const partitions = 6

const [count = 0, seconds = 0] = [process.argv[2] ?? 5_000, process.argv[3] ?? 120].map(Number)
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
  const records = Array.makeBy(count, record)
  if (count > 0 && Array.isNonEmptyArray(records)) yield* producer.sendByKey(topic, records)
}).pipe(Effect.scoped)

const placeOf = ({ offset, partition }: { readonly partition: number; readonly offset: bigint }) =>
  `${partition}/${offset}`

const bookingOf = (text: string) => /"value":"(B-[\d-]+)"/.exec(text)?.[1]

const decoder = new TextDecoder()

/** What is in the topic and not committed: of this run, and what earlier ones and redrives have left. */
const waiting = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  const from = yield* kafka.committedOffsets(groupId, topic)
  const records = yield* Stream.runCollect(
    Stream.filter(kafka.read(topic), ({ offset, partition }) => offset >= (from.get(partition) ?? 0n)),
  )
  return Array.map(Array.fromIterable(records), (record) => ({
    place: placeOf(record),
    booking: bookingOf(decoder.decode(Option.getOrUndefined(record.value))),
  }))
})

const letters = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  const found = yield* Stream.runCollect(Stream.filterMap(kafka.read(deadLetterTopic), DeadLetter.fromRecord))
  return new Set(Array.map(Array.fromIterable(found), placeOf))
})

/** What Marketo saw of it. */
const stored = Effect.gen(function* () {
  const simulator = yield* Simulator.Simulator
  const calls = (yield* simulator.calls).filter(({ endpoint }) => endpoint === "addCustomActivities")
  const activities = (yield* simulator.activities).filter(({ activityTypeId }) => activityTypeId === 100_001)
  const bookings = new Set(activities.map(({ text }) => bookingOf(text)))
  return { calls: calls.length, activities: activities.length, bookings, twice: activities.length - bookings.size }
})

/** A service would run for ever; this ends when so many records are committed, or gives up. */
const take = (records: number) =>
  CustomActivitySource.stream({
    topic,
    groupId,
    deadLetterTopic,
    batch: { maxWait: "1 second" },
    // a booking's number is exact, and the simulator shows at once what it has: what is not found is not there
    unknown: { identity: "bookingNumber", notFound: "resend", visibilityDelay: "2 seconds" },
  }).pipe(
    Stream.scan(Progress.empty, Progress.add),
    Stream.takeUntil((done) => done.records >= records),
    Stream.interruptAfter(Duration.seconds(seconds)),
    Stream.runLast,
    Effect.map(Option.getOrElse(() => Progress.empty)),
  )

const program = Effect.gen(function* () {
  yield* writeRecords
  const records = yield* waiting
  const done = yield* take(records.length)
  const accounted = done.added + done.confirmed + done.deadLettered + done.inDoubt + done.dropped
  const marketo = yield* stored
  const dead = yield* letters
  const lettersOfThese = records.filter(({ place }) => dead.has(place))
  const nowhere = records.filter(
    ({ booking, place }) => !dead.has(place) && (booking === undefined || !marketo.bookings.has(booking)),
  )
  yield* Console.log(
    table([
      ["written to the topic", count],
      ["in the topic, not committed before", records.length],
      ["  added, by Marketo's answer", done.added],
      ["  added, found by reading back", done.confirmed],
      ["  dead letters", done.deadLettered],
      ["  in doubt, dead letters too", done.inDoubt],
      ["  dropped", done.dropped],
      ["  unaccounted for", records.length - accounted],
      ["calls to add custom activities", marketo.calls],
      ["stored by Marketo", marketo.activities],
      ["  stored twice", marketo.twice],
      ["in the dead-letter topic", lettersOfThese.length],
      ["neither stored nor a dead letter", nowhere.length],
    ]),
  )
  const places = nowhere.slice(0, 10).map(({ place }) => place)
  const wrong = [
    ...(done.records < records.length ? [`gave up after ${seconds} seconds`] : []),
    ...(accounted === records.length ? [] : [`the source accounts for ${accounted} of ${records.length} records`]),
    ...(nowhere.length === done.dropped
      ? []
      : [
          `neither in Marketo nor a dead letter (partition/offset): ${[...places, ...(nowhere.length > 10 ? ["…"] : [])].join(", ")}`,
        ]),
    ...(marketo.twice === 0 ? [] : [`${marketo.twice} activities are stored twice`]),
  ]
  if (wrong.length > 0) yield* Effect.fail(new Error(wrong.join("; ")))
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

const kafka = KafkajsClient.layerConfig({ brokers })

const usage = [count, seconds].every((n) => Number.isSafeInteger(n) && n >= 0)
  ? Effect.void
  : Effect.fail(new Error("usage: kafka-to-custom-activities.ts [records] [seconds], both whole numbers"))

program.pipe(
  Effect.provide(Layer.merge(Layer.provideMerge(marketo, simulator), kafka)),
  (run) => Effect.zipRight(usage, run),
  Main.runMain,
)
