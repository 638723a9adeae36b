import { CustomActivities, type CustomActivity, Marketo, type MarketoError } from "@effect-marketo/core"
import { KafkaClient, type KafkaRecord, Partitioner } from "@effect-marketo/kafka"
import { Simulator } from "@effect-marketo/simulator"
import { type CustomActivitySource, Progress } from "@effect-marketo/source-kafka"
import { Chunk, DateTime, Effect, Layer, Logger, LogLevel, Option, Redacted, Stream } from "effect"

export const TYPE = 100_001
export const identity = "bookingNumber"
export const deadLetterPartitions = 2

export const quiet = Logger.minimumLogLevel(LogLevel.None)

let number = 0
/** A name of its own for each test: the broker is shared. */
export const unique = (name: string): string => `source-${name}-${process.pid}-${Date.now()}-${++number}`

const bookedAt = "2026-01-20T10:00:00Z"

/** The value of record `n`. Leads of the simulator begin at 100000. */
export const booking = (n: number, members: object = {}): string =>
  JSON.stringify({
    leadId: 100_000 + (n % 50),
    activityDate: bookedAt,
    activityTypeId: TYPE,
    primaryAttributeValue: "Sea Kayak",
    attributes: [
      { apiName: identity, value: `B-${n}` },
      { apiName: "rentalHours", value: 1.5 },
    ],
    ...members,
  })

export const record = (
  n: number,
  value: KafkaRecord.ProducerRecord["value"] = booking(n),
): KafkaRecord.ProducerRecord => ({
  key: String(100_000 + (n % 50)),
  value,
})

/** A topic and its dead letters. */
export const topics = (name: string, partitions: number, config: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const topic = unique(name)
    const dead = `${topic}.dead`
    yield* client.createTopic({ name: topic, partitions, config })
    yield* client.createTopic({ name: dead, partitions: deadLetterPartitions })
    return { topic, dead, partitions }
  })

/** Writes records to the partition of their key. */
export const fill = (
  { partitions, topic }: { readonly topic: string; readonly partitions: number },
  records: ReadonlyArray<KafkaRecord.ProducerRecord>,
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const producer = yield* client.producer()
      const byPartition = new Map<number, Array<KafkaRecord.ProducerRecord>>()
      for (const one of records) {
        const partition = Partitioner.partition(one.key ?? "", partitions)
        byPartition.set(partition, [...(byPartition.get(partition) ?? []), one])
      }
      yield* Effect.forEach(
        byPartition,
        ([partition, [first, ...rest]]) =>
          first === undefined ? Effect.void : producer.send({ topic, partition }, [first, ...rest]),
        { concurrency: "unbounded", discard: true },
      )
    }),
  )

/** Marketo in process. Its limits do not slow a test unless it asks for them. */
export const marketo = (options: Simulator.Options = {}, policies: NonNullable<Marketo.Options["policies"]> = {}) =>
  Layer.unwrapEffect(
    Effect.map(Simulator.Simulator, (simulator) =>
      Marketo.layer({
        baseUrl: simulator.url,
        clientId: Redacted.make(simulator.clientId),
        clientSecret: Redacted.make(simulator.clientSecret),
        limits: { calls: 10_000, concurrent: 100 },
        policies,
      }),
    ),
  ).pipe(
    Layer.provideMerge(
      Simulator.layer({
        limits: { calls: 10_000, concurrent: 100, dailyQuota: 1e6 },
        ...options,
        data: { activities: 0, leads: 50, ...options.data },
      }),
    ),
  )

/** Marketo skips each of these activities with this code, and adds the others. */
export const skipping = (code: string, isSkipped: (activity: CustomActivity.CustomActivity) => boolean) =>
  Layer.effect(
    CustomActivities.CustomActivities,
    Effect.map(CustomActivities.CustomActivities, (service) => ({
      ...service,
      add: (batch, options) => {
        const skipped: CustomActivities.Result = {
          _tag: "Skipped",
          codes: [{ code, message: "" }],
          requestId: Option.some("r"),
        }
        const others = Chunk.filter(batch, (activity) => !isSkipped(activity))
        const answer: Effect.Effect<ReadonlyArray<CustomActivities.Result>, MarketoError.CallError> = Chunk.isNonEmpty(
          others,
        )
          ? Effect.map(service.add(others, options), Chunk.toReadonlyArray)
          : Effect.as(options?.hold?.acquire ?? Effect.void, [])
        return Effect.map(answer, (results) => {
          const added = results[Symbol.iterator]()
          return Chunk.map(batch, (activity) => (isSkipped(activity) ? skipped : (added.next().value ?? skipped)))
        })
      },
    })),
  )

/** Takes until so many records are accounted for. */
export const take =
  (count: number) =>
  <E, R>(stream: Stream.Stream<Progress.Progress, E, R>) =>
    stream.pipe(
      Stream.scan(Progress.empty, Progress.add),
      Stream.takeUntil(({ records }) => records >= count),
      Stream.runLast,
      Effect.map(Option.getOrElse(() => Progress.empty)),
    )

/** Times that make a test quick. */
export const quick = {
  heartbeatInterval: "200 millis",
  batch: { maxWait: "50 millis" },
  unknown: { identity, notFound: "resend", visibilityDelay: "0 millis" },
} satisfies Partial<CustomActivitySource.Options>

/** Of a member that is killed and replaced: a dead one is noticed soon. */
export const member = {
  sessionTimeout: "1500 millis",
  heartbeatInterval: "200 millis",
  batch: { maxWait: "50 millis" },
  unknown: { identity, notFound: "resend", visibilityDelay: "0 millis" },
} satisfies Partial<CustomActivitySource.Options>

/** So few that a look for the leads of one partition is one query. */
export const LEADS = 240

/** A record of a time of its own, so that a look for it sees little of the others. */
export const later = (n: number): KafkaRecord.ProducerRecord => ({
  key: String(100_000 + (n % LEADS)),
  value: booking(n, {
    leadId: 100_000 + (n % LEADS),
    activityDate: DateTime.formatIso(DateTime.add(DateTime.unsafeMake(bookedAt), { seconds: n })),
  }),
})

/** What Marketo has: each booking number with how often it is stored, in the order in which they were stored. */
export const stored = Effect.gen(function* () {
  const simulator = yield* Simulator.Simulator
  const counts = new Map<string, number>()
  for (const { activityTypeId, text } of yield* simulator.activities) {
    if (activityTypeId !== TYPE) continue
    const name = /"name":"Booking Number","value":"(B-\d+)"/.exec(text)?.[1] ?? text
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
})

export const repeated = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count - 1, 0)

export const addCalls = Effect.flatMap(Simulator.Simulator, (simulator) =>
  Effect.map(simulator.calls, (calls) => calls.filter(({ endpoint }) => endpoint === "addCustomActivities")),
)

export const now = DateTime.unsafeMake("2026-02-01T00:00:00Z")
