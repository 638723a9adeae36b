/**
 * Writes dead letters, and does not come back before they are safe.
 */
import * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import * as KafkaError from "@effect-marketo/kafka/KafkaError"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import type * as Producer from "@effect-marketo/kafka/Producer"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as DeadLetter from "../DeadLetter.js"
import * as Metrics from "../Metrics.js"
import type { Cause, Entry } from "./batch.js"
import * as topics from "./topics.js"

/** What is kept of a value, or a key, that is too large. */
const HEAD_BYTES = 1_000

/** Lengths, offsets and checksums around a record, at most. */
const OVERHEAD = 200

const again = Schedule.exponential("500 millis").pipe(Schedule.union(Schedule.spaced("30 seconds")), Schedule.jittered)

type Letter = KafkaRecord.ProducerRecord & { readonly headers: KafkaRecord.ConsumerRecord["headers"] }

const encoder = new TextEncoder()

/** Without a prototype: a header may have any name, such as `constructor`. */
const headersOf = (entries: Iterable<readonly [string, Letter["headers"][string]]>): Letter["headers"] => {
  const headers: Record<string, Letter["headers"][string]> = Object.create(null)
  for (const [name, values] of entries) headers[name] = values
  return headers
}

const letterOf = ({ activity, record }: Entry, cause: Cause, source: string): Letter => {
  const own: Readonly<Record<string, string | undefined>> = {
    [DeadLetter.headers.topic]: record.topic,
    [DeadLetter.headers.partition]: String(record.partition),
    [DeadLetter.headers.offset]: String(record.offset),
    [DeadLetter.headers.stage]: cause.stage,
    [DeadLetter.headers.exception]: cause.exception,
    [DeadLetter.headers.message]: cause.message,
    [DeadLetter.headers.code]: cause.code,
    [DeadLetter.headers.requestId]: cause.requestId,
    [DeadLetter.headers.execution]: cause.mayBeStored ? "Unknown" : undefined,
    [DeadLetter.headers.activityTypeId]: activity === undefined ? undefined : String(activity.activityTypeId),
    [DeadLetter.headers.attempts]: String(DeadLetter.attemptsOf(record)),
    [DeadLetter.headers.source]: source,
    [DeadLetter.headers.valueBytes]: record.unreadable === undefined ? undefined : String(record.unreadable.size),
  }
  const headers = headersOf([
    ...Object.entries(record.headers).filter(([name]) => !DeadLetter.isReserved(name)),
    ...Object.entries(own).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [encoder.encode(value)]] as const],
    ),
  ])
  return { key: Option.getOrNull(record.key), value: Option.getOrNull(record.value), headers }
}

const lengthOf = (value: string | Uint8Array | null): number =>
  value === null ? 0 : typeof value === "string" ? encoder.encode(value).length : value.length

const sizeOf = ({ headers, key, value }: Letter): number =>
  Object.entries(headers).reduce(
    (sum, [name, values]) => values.reduce((bytes, one) => bytes + lengthOf(name) + lengthOf(one) + 10, sum),
    OVERHEAD + lengthOf(key) + lengthOf(value),
  )

const headOf = (bytes: Letter["value"]) => (bytes instanceof Uint8Array ? bytes.slice(0, HEAD_BYTES) : bytes)

/** Its beginning, where the whole does not fit; what is missing is in the source topic for as long as that keeps it. */
const cut = (letter: Letter, maxBytes: number): Letter => {
  if (sizeOf(letter) <= maxBytes) return letter
  const { headers, key, value } = letter
  const bytes = [encoder.encode(String(lengthOf(value)))]
  const marked = headersOf([...Object.entries(headers), [DeadLetter.headers.valueBytes, bytes]])
  const beginning = { key, value: headOf(value), headers: marked }
  if (sizeOf(beginning) <= maxBytes) return beginning
  const own = headersOf(Object.entries(marked).filter(([name]) => DeadLetter.isReserved(name)))
  return { key: headOf(key), value: headOf(value), headers: own }
}

export interface DeadLetters {
  /**
   * Retries for as long as it takes; an entry is done once its dead letter is written. Fails only if Kafka refuses one for good.
   */
  readonly write: (dead: ReadonlyArray<readonly [Entry, Cause]>) => Effect.Effect<void, KafkaError.KafkaError>
}

const refused = (topic: string, { cause, code, description, reason }: KafkaError.KafkaError): KafkaError.KafkaError =>
  new KafkaError.KafkaError({
    reason,
    description: `no dead letter can be written to the topic ${topic} until a person has changed something: ${description}. What to do: ${KafkaError.reasons[reason].advice}; then start again`,
    code,
    cause,
  })

const gone = (topic: string, partition: number, cause: KafkaError.KafkaError): KafkaError.KafkaError =>
  new KafkaError.KafkaError({
    reason: "UnknownTopic",
    description: `there is no partition ${partition} of the topic ${topic} any more`,
    code: cause.code,
    cause,
  })

/** A send that failed, and whether another attempt may succeed. */
interface Failed {
  readonly error: KafkaError.KafkaError
  readonly mayPass: boolean
}

/** The topic has to be there. */
export const make = (
  topic: string,
  /** Who writes them. */
  source: string,
): Effect.Effect<DeadLetters, KafkaError.KafkaError, KafkaClient.KafkaClient | Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* KafkaClient.KafkaClient
    const found = yield* topics.find(topic, "dead letters")
    const { partitions } = found
    let { maxBytes } = found
    const retries = Metric.tagged(Metrics.deadLetterRetries, "topic", topic)

    const limit = client.topicConfig(topic).pipe(
      Effect.map(topics.maxBytesOf),
      Effect.orElseSucceed(() => maxBytes), // it takes an ACL of its own
    )

    /** Somebody has lowered the limit. One of several sends that were cut to it finds out. */
    const lower = (tried: number) =>
      Effect.tap(limit, (bytes) => {
        if (maxBytes === tried) maxBytes = bytes < tried ? bytes : Math.max(topics.MIN_LETTER_BYTES, tried / 2)
      })

    /** A broker may not know a partition for a moment after it has moved. */
    const exists = (partition: number) =>
      client.topic(topic).pipe(
        Effect.map(Option.exists((found) => partition < found.partitions)),
        Effect.orElseSucceed(() => true),
      )

    const look = (error: KafkaError.KafkaError, partition: number, tried: number): Effect.Effect<Failed> => {
      switch (error.reason) {
        case "RecordTooLarge":
          return Effect.as(lower(tried), { error, mayPass: tried > topics.MIN_LETTER_BYTES })
        case "UnknownTopic":
        case "OutcomeUnknown": // a client that retries by itself ends with this when a topic is gone
          return Effect.map(exists(partition), (mayPass) => ({
            error: mayPass ? error : gone(topic, partition, error),
            mayPass,
          }))
        default:
          return Effect.succeed({ error, mayPass: error.isRetryable })
      }
    }

    const producer: Producer.Producer = yield* client.producer()

    const send = (partition: number, letters: ReadonlyArray<Letter>): Effect.Effect<void, KafkaError.KafkaError> => {
      let tried = maxBytes
      const sayRetry = (error: KafkaError.KafkaError) =>
        Effect.zipRight(
          Metric.increment(retries),
          Effect.annotateLogs(
            Effect.logWarning("cannot write dead letters, retrying; offsets do not advance until this succeeds"),
            { topic, records: letters.length, error: error.message },
          ),
        )
      return Effect.suspend(() => {
        tried = maxBytes
        const [first, ...rest] = letters.map((letter) => cut(letter, tried))
        return first === undefined ? Effect.void : producer.send({ topic, partition }, [first, ...rest])
      }).pipe(
        Effect.catchAll((error) => Effect.flip(look(error, partition, tried))),
        Effect.tapError(({ error, mayPass }) => (mayPass ? sayRetry(error) : Effect.void)),
        Effect.retry({ schedule: again, while: ({ mayPass }) => mayPass }),
        Effect.mapError(({ error }) => refused(topic, error)),
        Effect.asVoid,
      )
    }

    return {
      write: (dead) => {
        const byPartition = new Map<number, Array<readonly [Entry, Cause]>>()
        for (const one of dead) {
          // one partition of the source stays in one partition here, in its order
          const partition = one[0].record.partition % partitions
          const some = byPartition.get(partition) ?? []
          some.push(one)
          byPartition.set(partition, some)
        }
        return Effect.forEach(
          byPartition,
          ([partition, some]) =>
            Effect.map(
              send(
                partition,
                some.map(([entry, cause]) => letterOf(entry, cause, source)),
              ),
              () => {
                for (const [entry] of some) entry.isDone = true
              },
            ),
          { concurrency: 4, discard: true },
        )
      },
    }
  })
