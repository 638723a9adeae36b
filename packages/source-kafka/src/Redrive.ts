/**
 * Puts dead letters back into the topic they came from, each once, and those whose attempts are exhausted into a topic of their own.
 *
 * In one transaction go the records, to the partitions they came from, and a receipt for their dead letters, to the dead-letter
 * topic: a record without a key, with the header `marketo.redriven`, that lists offsets of its partition. Letters with a receipt
 * are left out, and a second redrive of the topic shuts out the first. So a letter is redriven once, whenever a program is killed;
 * readers have to read what is committed, as the source does.
 *
 * @since 0.1.0
 */
import * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import * as KafkaError from "@effect-marketo/kafka/KafkaError"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as DeadLetter from "./DeadLetter.js"
import * as topics from "./internal/topics.js"

/**
 * Which letters are meant; each member that is given has to fit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection {
  /** One of the letter's codes: Marketo's, or `undecodable`. */
  readonly codes?: ReadonlyArray<string> | undefined
  readonly activityTypeIds?: ReadonlyArray<number> | undefined
  /** The topics that they came from. */
  readonly topics?: ReadonlyArray<string> | undefined
  /** When they became dead letters, by the record's timestamp: from this instant on. */
  readonly from?: DateTime.Utc | undefined
  /** Before this instant. */
  readonly until?: DateTime.Utc | undefined
  /** Also those that may be in Marketo all the same, and would then be there twice. Default: false. */
  readonly inDoubt?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The source's topic. Letters go back to this one, and to `otherTopics`; a letter that names another is left. */
  readonly topic: string
  /** Those of other sources that share the dead-letter topic. Default: none. */
  readonly otherTopics?: ReadonlyArray<string> | undefined
  readonly deadLetterTopic: string
  /** Where letters go that have been read `maxAttempts` times. Has to exist. */
  readonly exhaustedTopic: string
  /** A whole number of at least 1. Default: 5. */
  readonly maxAttempts?: number | undefined
  /** Default: all that are not in doubt. */
  readonly select?: Selection | undefined
  /** Gives the summary of what would be done, and writes nothing. Default: false. */
  readonly dryRun?: boolean | undefined
}

/**
 * Each letter is in one of the counts below `letters`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  readonly letters: number
  /** Put back into the topic they came from. */
  readonly redriven: number
  readonly exhausted: number
  /** By an earlier redrive. */
  readonly doneBefore: number
  readonly notSelected: number
  /** Not selected because they may be in Marketo all the same. */
  readonly inDoubt: number
  /** Not redriven because the dead letter has only the beginning of the value. */
  readonly cut: number
  /**
   * Left because they cannot go back: `Options` do not allow their topic, it does not exist, it has no such partition, or it
   * refuses the record.
   */
  readonly unroutable: number
}

/**
 * The letters of a topic that failed with the same codes and have the same type.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group extends Counts {
  /** Where they came from; none where that is not the name of a topic. */
  readonly topic: Option.Option<string>
  /** As `marketo.error.code` has them: several where Marketo gave several for a record. */
  readonly codes: ReadonlyArray<string>
  /** None where it could not be read. */
  readonly activityTypeId: Option.Option<number>
}

/**
 * The letters that were in the topic; in a dry run, what would become of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary extends Counts {
  /** Every letter is in one of these. Those with the most letters come first. */
  readonly groups: ReadonlyArray<Group>
}

const RECEIPT = "marketo.redriven"

/** Of one transaction: so many bytes, and 300 letters at most. */
const MAX_BYTES = 5_000_000
const MIN_COST = Math.floor(MAX_BYTES / 300)

const bytesOf = ({ letter: { record } }: Fated): number =>
  [...Option.toArray(record.key), ...Option.toArray(record.value), ...Object.values(record.headers).flat()].reduce(
    (sum, bytes) => sum + (bytes?.length ?? 0),
    0,
  )

const batches = Sink.foldWeighted({
  initial: Chunk.empty<Fated>(),
  maxCost: MAX_BYTES,
  cost: (_, fated: Fated) => Math.max(MIN_COST, bytesOf(fated)),
  body: (batch, fated) => Chunk.append(batch, fated),
})

type Fate = Exclude<keyof Counts, "letters">

interface Fated {
  readonly letter: DeadLetter.DeadLetter
  readonly fate: Fate
}

const none: Counts = {
  letters: 0,
  redriven: 0,
  exhausted: 0,
  doneBefore: 0,
  notSelected: 0,
  inDoubt: 0,
  cut: 0,
  unroutable: 0,
}

const keyOf = ({ activityTypeId, codes, topic }: Pick<Group, "activityTypeId" | "codes" | "topic">): string =>
  `${codes.join()} ${Option.getOrElse(activityTypeId, () => "")} ${Option.getOrElse(topic, () => "")}`

/** Kafka's rule for names of topics. */
const isTopicName = (name: string): boolean => /^[\w.-]{1,249}$/.test(name) && name !== "." && name !== ".."

const mostFirst = Order.combine(
  Order.reverse(Order.mapInput(Order.number, ({ letters }: Group) => letters)),
  Order.mapInput(Order.string, keyOf),
)

/** Counts letters as their fate is known. */
const makeTally = () => {
  const total = { ...none }
  const groups = new Map<string, Group & Record<keyof Counts, number>>()
  const groupOf = ({ activityTypeId, codes, topic }: DeadLetter.DeadLetter) => {
    const group = { topic: Option.liftPredicate(topic, isTopicName), codes, activityTypeId, ...none }
    const key = keyOf(group)
    const existing = groups.get(key)
    if (existing !== undefined) return existing
    groups.set(key, group)
    return group
  }
  return {
    add: ({ fate, letter }: Fated): void => {
      for (const counts of [total, groupOf(letter)]) {
        counts.letters++
        counts[fate]++
      }
    },
    summary: (): Summary => ({ ...total, groups: [...groups.values()].sort(mostFirst) }),
  }
}

type Receipts = ReadonlyMap<number, ReadonlySet<string>>

const decoder = new TextDecoder()

/** Of a record that another program wrote, or that is a dead letter, nothing is a receipt. */
const receiptOf = ({ headers, key, value }: KafkaRecord.ConsumerRecord): ReadonlyArray<string> =>
  headers[RECEIPT] === undefined ||
  headers[DeadLetter.headers.topic] !== undefined ||
  Option.isSome(key) ||
  Option.isNone(value)
    ? []
    : decoder.decode(value.value).split(",")

const isSelected = (letter: DeadLetter.DeadLetter, select: Selection): boolean => {
  const { activityTypeIds, codes, from, topics, until } = select
  const { timestamp } = letter.record
  return (
    (codes === undefined || letter.codes.some((code) => codes.includes(code))) &&
    (activityTypeIds === undefined || Option.exists(letter.activityTypeId, (id) => activityTypeIds.includes(id))) &&
    (topics === undefined || topics.includes(letter.topic)) &&
    (from === undefined || DateTime.greaterThanOrEqualTo(timestamp, from)) &&
    (until === undefined || DateTime.lessThan(timestamp, until))
  )
}

/** The partitions of each topic that letters may go back to, and that exists. */
type Targets = ReadonlyMap<string, number>

const fateOf = (letter: DeadLetter.DeadLetter, receipts: Receipts, targets: Targets, options: Options): Fate => {
  const { maxAttempts = 5, select = {} } = options
  const { offset, partition } = letter.record
  if (receipts.get(partition)?.has(String(offset)) === true) return "doneBefore"
  if (!isSelected(letter, select)) return "notSelected"
  if (letter.mayBeStored && select.inDoubt !== true) return "inDoubt"
  if (letter.isCut) return "cut"
  if (letter.attempts >= maxAttempts) return "exhausted"
  return letter.partition < (targets.get(letter.topic) ?? 0) ? "redriven" : "unroutable"
}

/** Without a prototype: a header may have any name. */
const headersOf = (record: KafkaRecord.ConsumerRecord, attempts: number): KafkaRecord.ProducerRecord["headers"] => {
  const headers: Record<string, KafkaRecord.HeaderValue | KafkaRecord.ConsumerRecord["headers"][string]> =
    Object.create(null)
  for (const [name, values] of Object.entries(record.headers)) if (!DeadLetter.isReserved(name)) headers[name] = values
  headers[DeadLetter.REDRIVE_ATTEMPTS] = String(attempts)
  return headers
}

/** As it was in the source topic, read once more. */
const redrivenRecord = ({ attempts, record }: DeadLetter.DeadLetter): KafkaRecord.ProducerRecord => ({
  key: Option.getOrNull(record.key),
  value: Option.getOrNull(record.value),
  headers: headersOf(record, attempts + 1),
})

const exhaustedRecord = ({ record }: DeadLetter.DeadLetter): KafkaRecord.ProducerRecord => ({
  key: Option.getOrNull(record.key),
  value: Option.getOrNull(record.value),
  headers: record.headers,
})

/** Grouped, because a send goes to one partition. */
const sendsOf = (batch: ReadonlyArray<Fated>, options: Options, exhaustedPartitions: number) => {
  const sends = new Map<string, { to: KafkaRecord.TopicPartition; records: Array<KafkaRecord.ProducerRecord> }>()
  const add = (to: KafkaRecord.TopicPartition, record: KafkaRecord.ProducerRecord) => {
    const key = `${to.partition} ${to.topic}`
    const send = sends.get(key) ?? { to, records: [] }
    sends.set(key, send)
    send.records.push(record)
  }
  const offsets = new Map<number, Array<bigint>>()
  for (const { fate, letter } of batch) {
    const { partition, topic } = letter
    if (fate === "redriven") add({ topic, partition }, redrivenRecord(letter))
    else add({ topic: options.exhaustedTopic, partition: partition % exhaustedPartitions }, exhaustedRecord(letter))
    offsets.set(letter.record.partition, [...(offsets.get(letter.record.partition) ?? []), letter.record.offset])
  }
  for (const [partition, done] of offsets) {
    add(
      { topic: options.deadLetterTopic, partition },
      { key: null, value: done.join(","), headers: { [RECEIPT]: "1" } },
    )
  }
  return [...sends.values()]
}

/** The broker refuses a transaction for one of its records, which stays where it is; the others go. */
const isAboutARecord = ({ reason }: KafkaError.KafkaError): boolean =>
  reason === "RecordTooLarge" || reason === "RecordRejected"

/**
 * From the beginning of the dead-letter topic to where its end is when this starts.
 *
 * When it fails, what it has done so far is done, and the next run goes on from there. `Fenced` means that another redrive of the
 * topic has begun; it has read what this one has done.
 *
 * @example
 * import { Redrive } from "@effect-marketo/source-kafka"
 *
 * // leads that were not there yet; first a look
 * const look = Redrive.run({
 *   topic: "custom-activities",
 *   deadLetterTopic: "custom-activities.dead",
 *   exhaustedTopic: "custom-activities.exhausted",
 *   select: { codes: ["1004"] },
 *   dryRun: true
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = (options: Options): Effect.Effect<Summary, KafkaError.KafkaError, KafkaClient.KafkaClient> =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const { deadLetterTopic, dryRun = false, maxAttempts = 5, exhaustedTopic } = options
    if (!(Number.isInteger(maxAttempts) && maxAttempts >= 1)) {
      return yield* new KafkaError.KafkaError({
        reason: "Misconfigured",
        description: `maxAttempts must be a whole number of at least 1, not ${maxAttempts}`,
      })
    }
    yield* topics.find(deadLetterTopic, "dead letters")
    const { partitions: exhaustedPartitions } = yield* topics.find(exhaustedTopic, "exhausted dead letters")
    const targets = new Map<string, number>()
    for (const name of [options.topic, ...(options.otherTopics ?? [])]) {
      const found = yield* client.topic(name)
      if (Option.isNone(found)) continue
      yield* topics.check(found.value, "redriven records")
      targets.set(name, found.value.partitions)
    }
    // shuts out an earlier redrive, so that the receipts below are all there will be
    const producer = dryRun
      ? Option.none()
      : Option.some(
          yield* client.transactionalProducer({ transactionalId: `effect-marketo-redrive-${deadLetterTopic}` }),
        )
    const receipts = new Map<number, Set<string>>()
    yield* Stream.runForEachChunk(client.read(deadLetterTopic), (chunk) =>
      Effect.sync(() => {
        for (const record of chunk) {
          const offsets = receiptOf(record)
          if (offsets.length === 0) continue
          const done = receipts.get(record.partition) ?? new Set()
          for (const offset of offsets) done.add(offset)
          receipts.set(record.partition, done)
        }
      }),
    )
    const tally = makeTally()

    const tallyAll = (batch: ReadonlyArray<Fated>) =>
      Effect.sync(() => {
        for (const one of batch) tally.add(one)
      })

    const move = (batch: ReadonlyArray<Fated>): Effect.Effect<void, KafkaError.KafkaError> =>
      Option.match(producer, {
        onNone: () => Effect.void,
        onSome: ({ transaction }) =>
          transaction((tx) =>
            Effect.forEach(
              sendsOf(batch, options, exhaustedPartitions),
              ({ records: [first, ...rest], to }) =>
                first === undefined ? Effect.void : tx.send(to, [first, ...rest]),
              { concurrency: 4, discard: true },
            ),
          ),
      }).pipe(
        Effect.tap(() => tallyAll(batch)),
        Effect.catchIf(isAboutARecord, () => {
          if (batch.length === 1) return tallyAll(batch.map(({ letter }) => ({ letter, fate: "unroutable" })))
          const middle = Math.ceil(batch.length / 2)
          return Effect.zipRight(move(batch.slice(0, middle)), move(batch.slice(middle)))
        }),
      )

    yield* client.read(deadLetterTopic).pipe(
      Stream.mapChunks(
        Chunk.filterMap((record) =>
          Option.map(
            DeadLetter.fromRecord(record),
            (letter): Fated => ({
              letter,
              fate: fateOf(letter, receipts, targets, options),
            }),
          ),
        ),
      ),
      Stream.mapChunks((fated) => {
        // what stays where it is needs no place in a transaction
        const [stays, moves] = Chunk.partition(fated, ({ fate }) => fate === "redriven" || fate === "exhausted")
        for (const one of stays) tally.add(one)
        return moves
      }),
      Stream.transduce(batches),
      Stream.filter(Chunk.isNonEmpty),
      Stream.runForEach((batch) => move(Chunk.toReadonlyArray(batch))),
    )
    return tally.summary()
  }).pipe(Effect.scoped, Effect.withSpan("Redrive.run", { captureStackTrace: false }))
