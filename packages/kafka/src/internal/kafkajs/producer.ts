/**
 * Producers of kafkajs, with and without transactions.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as SynchronizedRef from "effect/SynchronizedRef"
import type { Producer as KafkajsProducer, Transaction } from "kafkajs"
import { refusal } from "../../Compression.js"
import type { ProducerOptions, Service, TransactionalProducerOptions } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { TopicPartition } from "../../KafkaRecord.js"
import type { Producer, TransactionalProducer } from "../../Producer.js"
import { numberOf } from "../compression/codecs.js"
import { reclassify } from "../reclassify.js"
import * as transactions from "../transactions.js"
import { type Connection, goodbye, type Policy } from "./connection.js"
import * as sends from "./sends.js"

/** Refuses what cannot be written before anything is asked of a broker. */
const codecOf = ({ compression = "none" }: ProducerOptions): Effect.Effect<number, KafkaError> => {
  const description = refusal(compression)
  return description === undefined
    ? Effect.succeed(numberOf(compression))
    : new KafkaError({ reason: "Misconfigured", description })
}

/** A producer of kafkajs that is not connected yet. */
const open = (connection: Connection, policy: Policy, options: Partial<TransactionalProducerOptions>) =>
  Effect.gen(function* () {
    const kafka = yield* connection.open(policy)
    const { transactionTimeout, transactionalId } = options
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
      retry: connection.retry(policy),
      ...(transactionalId === undefined ? {} : { transactionalId }),
      ...(transactionTimeout === undefined ? {} : { transactionTimeout: Duration.toMillis(transactionTimeout) }),
    })
    yield* Effect.addFinalizer(() =>
      Effect.ignore(connection.attempt("cannot disconnect", goodbye, () => producer.disconnect())),
    )
    return producer
  })

/**
 * A producer of kafkajs, with what `start` makes of it. Of one that does not start nothing is left: it would go on trying, and
 * fence a later one of its transactional id.
 */
const opened = <A>(
  connection: Connection,
  doing: string,
  policy: Policy,
  options: Partial<TransactionalProducerOptions>,
  start: (producer: KafkajsProducer) => Promise<A>,
) =>
  connection.persist(
    doing,
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const close = Scope.close(scope, Exit.void)
      return yield* Effect.gen(function* () {
        const producer = yield* Scope.extend(open(connection, policy, options), scope)
        yield* connection.connect(doing, producer)
        const started = yield* connection.attempt(doing, connection.limits.start, () => start(producer))
        return { producer, started, close }
      }).pipe(Effect.onError(() => close))
    }),
  )

const place = ({ partition, topic }: TopicPartition) => `partition ${partition} of topic ${topic}`

/** kafkajs takes a partition that does not exist for nothing to do. */
const noPartition = (to: TopicPartition) =>
  new KafkaError({ reason: "UnknownTopic", description: `there is no ${place(to)}` })

/** kafkajs tries a topic that is missing for as long as it tries anything: it is looked up before the first send to it. */
const topicCheck = (topic: Service["topic"]) => {
  const known = new Map<string, number>()
  const look = (to: TopicPartition): Effect.Effect<void, KafkaError> =>
    Effect.flatMap(topic(to.topic), (found) => {
      if (Option.isNone(found)) {
        return new KafkaError({ reason: "UnknownTopic", description: `there is no topic ${to.topic}` })
      }
      known.set(to.topic, found.value.partitions)
      return to.partition < found.value.partitions ? Effect.void : noPartition(to)
    })
  return (to: TopicPartition): Effect.Effect<void, KafkaError> =>
    to.partition < (known.get(to.topic) ?? 0) ? Effect.void : look(to)
}

/**
 * A send to a partition that is new to a transaction asks the coordinator first. kafkajs takes a lost connection to it for an
 * answer, and does not try again; nothing was sent.
 */
const isUnsent = ({ code }: KafkaError): boolean => code === "KafkaJSGroupCoordinatorNotFound"

/**
 * What kafkajs has given up may have been written, and its numbering of records is not to be trusted after that: it gives the
 * numbers of the lost batch to the next one, which the broker then takes for a repetition, and answers that it is written.
 */
const request = (
  connection: Connection,
  sender: Pick<KafkajsProducer, "send">,
  compression: number,
  limit: number,
  [to, messages]: Parameters<sends.Request>,
): Effect.Effect<bigint, KafkaError> =>
  connection
    .attempt(
      `cannot send to ${place(to)}`,
      limit,
      () =>
        sender.send({
          acks: -1,
          timeout: connection.limits.request,
          compression,
          topic: to.topic,
          messages: [...messages] as never,
        }),
      "OutcomeUnknown",
    )
    .pipe(
      Effect.retry({ schedule: Schedule.upTo(Schedule.spaced("200 millis"), limit), while: isUnsent }),
      Effect.mapError((error) => (error.reason === "Unavailable" ? reclassify(error, "OutcomeUnknown") : error)),
      Effect.flatMap(([answer]) =>
        answer?.baseOffset === undefined ? noPartition(to) : Effect.succeed(BigInt(answer.baseOffset)),
      ),
    )

interface Connected {
  readonly producer: KafkajsProducer
  readonly close: Effect.Effect<void>
}

export const make = (
  connection: Connection,
  topic: Service["topic"],
  options: ProducerOptions = {},
): Effect.Effect<Producer, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const codec = yield* codecOf(options)
    const scope = yield* Effect.scope
    const check = topicCheck(topic)
    const current = yield* SynchronizedRef.make(Option.none<Connected>())

    const connect: Effect.Effect<Connected, KafkaError> = Scope.extend(
      opened(connection, "cannot start a producer", "steady", {}, () => Promise.resolve()),
      scope,
    )

    const connected = SynchronizedRef.modifyEffect(current, (state) =>
      Option.isSome(state)
        ? Effect.succeed([state.value, state] as const)
        : Effect.map(connect, (made) => [made, Option.some(made)] as const),
    )

    const drop = (dropped: Connected) =>
      Effect.zipRight(
        SynchronizedRef.update(
          current,
          Option.filter((made) => made !== dropped),
        ),
        dropped.close,
      )

    yield* connected
    return {
      send: sends.inTurn((to, messages) =>
        Effect.gen(function* () {
          yield* check(to)
          const made = yield* connected
          return yield* request(connection, made.producer, codec, connection.limits.delivery, [to, messages]).pipe(
            Effect.catchIf(
              ({ reason }) => !transactions.leavesProducerUsable.has(reason),
              (error) =>
                Effect.zipRight(
                  drop(made), // the next send has a new one
                  Effect.fail(error.reason === "Misconfigured" ? error : reclassify(error, "OutcomeUnknown")),
                ),
            ),
          )
        }),
      ),
    }
  })

export const makeTransactional = (
  connection: Connection,
  topic: Service["topic"],
  options: TransactionalProducerOptions,
): Effect.Effect<TransactionalProducer, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const codec = yield* codecOf(options)
    const { limits } = connection
    const { transactionalId, transactionTimeout = "60 seconds" } = options
    const timeout = Duration.toMillis(transactionTimeout)
    const check = topicCheck(topic)

    // the first transaction() fences older producers and waits for the end of what they left open
    const { producer, started } = yield* opened(
      connection,
      `cannot start the producer of transactional id ${transactionalId}`,
      "transactional",
      { transactionalId, transactionTimeout },
      (producer) => producer.transaction(),
    )
    let kept: Transaction | undefined = started

    const begin = Effect.suspend(() => {
      const first = kept
      kept = undefined
      return first === undefined
        ? connection.attempt(`cannot begin a transaction of ${transactionalId}`, limits.request, () =>
            producer.transaction(),
          )
        : Effect.succeed(first)
    })

    return yield* transactions.make(
      transactionalId,
      Effect.map(begin, (transaction): transactions.Transaction => {
        let firstSend: { readonly monotonic: number; readonly wall: number } | undefined

        /** By the clock that says more: one may be set back, the other stands still while the machine sleeps. */
        const age = () =>
          firstSend === undefined ? 0 : Math.max(performance.now() - firstSend.monotonic, Date.now() - firstSend.wall)

        /** The broker says the same of a transaction that it has ended for its age. */
        const byAge = (error: KafkaError): KafkaError =>
          error.reason === "Fenced" && age() >= timeout ? reclassify(error, "TransactionExpired") : error

        const end = (doing: string, call: () => Promise<void>) =>
          connection
            .attempt(`cannot ${doing} a transaction of ${transactionalId}`, limits.request, call, "OutcomeUnknown")
            .pipe(
              Effect.mapError((error) =>
                error.reason === "Unavailable" ? reclassify(error, "OutcomeUnknown") : byAge(error),
              ),
            )

        return {
          send: sends.inTurn((to, messages) =>
            Effect.zipRight(
              check(to),
              Effect.suspend(() => {
                firstSend ??= { monotonic: performance.now(), wall: Date.now() }
                const limit = Math.min(limits.delivery, timeout)
                return request(connection, transaction, codec, limit, [to, messages])
              }),
            ).pipe(Effect.mapError(byAge)),
          ),
          commit: end("commit", () => transaction.commit()),
          abort: end("abort", () => transaction.abort()),
        }
      }),
    )
  })
