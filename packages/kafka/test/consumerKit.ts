/**
 * Members of consumer groups for tests.
 */
import { KafkaClient, KafkajsClient, type KafkaRecord, Metrics, type PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, Effect, HashMap, Logger, Metric, Option, Schedule, Stream } from "effect"

export const unique = (name: string) => `${name}-${Math.random().toString(36).slice(2)}`

/** For tests: what takes minutes in production takes a second, except to be expelled, which a busy machine should not lead to. */
export const quick = {
  sessionTimeout: "20 seconds",
  heartbeatInterval: "200 millis",
  rebalanceTimeout: "20 seconds",
} as const

/** Waits until each of the brokers knows a topic that was just made. */
export const onEach = (brokers: ReadonlyArray<string>, topic: string) =>
  Effect.forEach(
    brokers,
    (broker) =>
      Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
        Effect.repeat(kafka.topic(topic), { until: Option.isSome }),
      ).pipe(Effect.provide(KafkajsClient.layer({ brokers: [broker] }))),
    { concurrency: "unbounded", discard: true },
  )

/** Makes a topic with `count` records, the same number in each partition. */
export const fill = (topic: string, partitions: number, count: number, value = "x") =>
  Effect.scoped(
    Effect.gen(function* () {
      const kafka = yield* KafkaClient.KafkaClient
      yield* kafka.createTopic({ name: topic, partitions })
      const producer = yield* kafka.producer()
      const record = { key: null, value }
      yield* Effect.forEach(
        Array.from({ length: partitions }, (_, partition) => partition),
        (partition) =>
          producer.send({ topic, partition }, [
            record,
            ...Array.from({ length: count / partitions - 1 }, () => record),
          ]),
        { discard: true },
      )
    }),
  )

/** Where records were worked on, and how often. */
export class Ledger {
  readonly times = new Map<string, number>()

  add(records: Iterable<KafkaRecord.ConsumerRecord>): void {
    for (const { offset, partition } of records) {
      const place = `${partition}@${offset}`
      this.times.set(place, (this.times.get(place) ?? 0) + 1)
    }
  }

  get size(): number {
    return this.times.size
  }

  get repeated(): number {
    let count = 0
    for (const times of this.times.values()) count += times - 1
    return count
  }
}

/** Claims, works on and commits a batch in steps of `size`; ends early when a claim or a commit answers no. */
export const workThrough = (
  batch: PartitionBatch.PartitionBatch,
  work: (records: Chunk.Chunk<KafkaRecord.ConsumerRecord>) => Effect.Effect<unknown>,
  size = 100,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const length = Chunk.size(batch.records)
    for (let from = 0; from < length; from += size) {
      const until = Math.min(from + size, length)
      if (!batch.claim(until)) return
      yield* work(Chunk.take(Chunk.drop(batch.records, from), until - from))
      if (!(yield* batch.commit(until))) return
    }
  }).pipe(Effect.ensuring(batch.release))

/** A member that works on all its partitions at once, until it is interrupted. */
export const member = (
  options: KafkaClient.ConsumerOptions,
  work: (batch: PartitionBatch.PartitionBatch) => Effect.Effect<void>,
) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(Stream.mapEffect(work, { concurrency: "unbounded", unordered: true }), Stream.runDrain),
  )

/** A member that does nothing but write down what it was given. */
export const reading = (options: KafkaClient.ConsumerOptions, ledger: Ledger) =>
  member(options, (batch) => workThrough(batch, (records) => Effect.sync(() => ledger.add(records))))

/** Counts the members that a stream has lost and replaced. The first group of a fresh broker may lose some before it has joined. */
export class Losses {
  count = 0

  readonly restart = Schedule.tapInput(Schedule.spaced("100 millis"), () =>
    Effect.sync(() => {
      this.count += 1
    }),
  )

  forget(): void {
    this.count = 0
  }
}

/** Waits for something that has no event, for at most 100 seconds. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.repeat(Effect.sleep("20 millis"), { until: condition }).pipe(
    Effect.timeoutFail({ duration: "100 seconds", onTimeout: () => new Error(`waited in vain for ${condition}`) }),
    Effect.orDie,
  )

export interface Line {
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Collects what is logged at level ERROR. */
export const errorsTo = (lines: Array<Line>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      if (logLevel.label !== "ERROR") return
      lines.push({ text: String(message), annotations: Object.fromEntries(HashMap.toEntries(annotations)) })
    }),
  )

export const gapsOf = (topic: string) =>
  Effect.map(Metric.value(Metric.tagged(Metrics.gapOffsets, "topic", topic)), ({ count }) => count)

/** The offsets of the next batch; committed, if it is to be. */
export const next = (options: KafkaClient.ConsumerOptions, isCommitted = true) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(
      Stream.mapEffect((batch) =>
        Effect.as(
          isCommitted ? workThrough(batch, () => Effect.void) : Effect.void,
          Array.from(batch.records, ({ offset }) => Number(offset)),
        ),
      ),
      Stream.runHead,
      Effect.map(Option.getOrThrow),
    ),
  )

/** Where a new member of the group begins in a topic of one partition, and whether it is told to be careful. */
export const beginning = (options: KafkaClient.ConsumerOptions) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(
      Stream.map(({ first, records }) => ({ first, offset: Chunk.headNonEmpty(records).offset })),
      Stream.runHead,
      Effect.map(Option.getOrThrow),
    ),
  )
