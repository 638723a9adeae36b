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
import type { Producer as KafkajsProducer, Transaction } from "kafkajs"
import { refusal } from "../../Compression.js"
import type { ProducerOptions, Service, TransactionalProducerOptions } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { TopicPartition } from "../../KafkaRecord.js"
import type { Producer, TransactionalProducer } from "../../Producer.js"
import * as byKey from "../byKey.js"
import { numberOf } from "../compression/codecs.js"
import * as lock from "../lock.js"
import { reclassify } from "../reclassify.js"
import * as transactions from "../transactions.js"
import { type Connection, goodbye, type Policy } from "./connection.js"
import type { Message } from "./produce.js"
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

/** How long a number of partitions is believed, in milliseconds: as long as kafkajs believes its own. */
const maxAge = 300_000

interface Known {
  readonly partitions: number
  readonly at: number
}

interface Topics {
  /** kafkajs retries a topic that is missing for as long as it retries anything, so it is looked up before the first send. */
  readonly check: (to: TopicPartition) => Effect.Effect<void, KafkaError>
  readonly partitions: (topic: string) => Effect.Effect<number, KafkaError>
}

const topicsOf = (topic: Service["topic"]): Topics => {
  const known = new Map<string, Known>()
  const look = (name: string): Effect.Effect<number, KafkaError> =>
    Effect.flatMap(topic(name), (found) => {
      if (Option.isNone(found)) {
        return new KafkaError({ reason: "UnknownTopic", description: `there is no topic ${name}` })
      }
      const { partitions } = found.value
      known.set(name, { partitions, at: performance.now() })
      return Effect.succeed(partitions)
    })
  return {
    check: (to) =>
      Effect.suspend(() =>
        to.partition < (known.get(to.topic)?.partitions ?? 0)
          ? Effect.void
          : Effect.flatMap(look(to.topic), (count) => (to.partition < count ? Effect.void : noPartition(to))),
      ),
    partitions: (name) =>
      Effect.suspend(() => {
        const found = known.get(name)
        return found !== undefined && performance.now() - found.at < maxAge
          ? Effect.succeed(found.partitions)
          : look(name)
      }),
  }
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
  [to, messages]: readonly [TopicPartition, ReadonlyArray<Message>],
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

/** A kafkajs producer. When it was dropped, it is closed after the last send that uses it. */
interface Connected {
  readonly producer: KafkajsProducer
  readonly close: Effect.Effect<void>
  readonly closed: Effect.Latch
  inFlight: number
  isDropped: boolean
}

/** In an uninterruptible region too. What `effect` holds when it is interrupted, it has to give back itself. */
const inTime = <A>(doing: string, limit: number, effect: Effect.Effect<A, KafkaError>) =>
  Effect.timeoutFail(Effect.interruptible(effect), {
    duration: limit,
    onTimeout: () =>
      new KafkaError({
        reason: "Unavailable",
        description: `${doing}: no answer within ${Duration.format(Duration.millis(Math.round(limit)))}; nothing was sent`,
      }),
  })

export const make = (
  connection: Connection,
  topic: Service["topic"],
  options: ProducerOptions = {},
): Effect.Effect<Producer, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const codec = yield* codecOf(options)
    const scope = yield* Effect.scope
    const topics = topicsOf(topic)
    const oneAtATime = lock.make()
    let current: Connected | undefined
    /** By partition: the dropped producer that may still be sending what is in doubt. */
    const inDoubt = new Map<string, Connected>()

    const connect: Effect.Effect<void, KafkaError> = Scope.extend(
      opened(connection, "cannot start a producer", "steady", {}, () => Promise.resolve()),
      scope,
    ).pipe(
      Effect.flatMap(({ close, producer }) =>
        Effect.sync(() => {
          current = { producer, close, closed: Effect.unsafeMakeLatch(), inFlight: 0, isDropped: false }
        }),
      ),
    )
    const connected = oneAtATime(Effect.suspend(() => (current === undefined ? connect : Effect.void)))

    const begin = (doing: string, until: number): Effect.Effect<Connected, KafkaError> =>
      Effect.suspend(() => {
        if (current !== undefined) {
          current.inFlight++
          return Effect.succeed(current)
        }
        return Effect.zipRight(inTime(doing, until - performance.now(), connected), begin(doing, until))
      })

    const end = (made: Connected): Effect.Effect<void> =>
      Effect.suspend(() => {
        made.inFlight--
        if (!made.isDropped || made.inFlight > 0) return Effect.void
        return Effect.asVoid(Effect.forkIn(Effect.zipRight(made.close, made.closed.open), scope))
      })

    /** The next send has a new one. Sends to other partitions go on with this one: their numbers are their own. */
    const drop = (dropped: Connected, to: TopicPartition) =>
      Effect.sync(() => {
        dropped.isDropped = true
        if (current === dropped) current = undefined
        inDoubt.set(place(to), dropped)
      })

    /** What is in doubt must not be written behind what is sent now. */
    const settled = (to: TopicPartition) =>
      Effect.suspend(() => {
        const before = inDoubt.get(place(to))
        if (before === undefined) return Effect.void
        return Effect.zipRight(
          before.closed.await,
          Effect.sync(() => void inDoubt.delete(place(to))),
        )
      })

    const send = sends.inTurn((to, messages, limit) => {
      const until = performance.now() + limit
      const doing = `cannot send to ${place(to)}`
      const use = (made: Connected) =>
        Effect.suspend(() => request(connection, made.producer, codec, until - performance.now(), [to, messages])).pipe(
          Effect.catchIf(
            ({ reason }) => !transactions.leavesProducerUsable.has(reason),
            (error) =>
              Effect.zipRight(
                drop(made, to),
                Effect.fail(error.reason === "Misconfigured" ? error : reclassify(error, "OutcomeUnknown")),
              ),
          ),
        )
      return inTime(doing, limit, Effect.zipRight(settled(to), topics.check(to))).pipe(
        Effect.zipRight(Effect.acquireUseRelease(begin(doing, until), use, end)),
      )
    }, connection.limits.delivery)

    yield* connected
    return byKey.make(send, topics.partitions)
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
    const topics = topicsOf(topic)

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
          ...byKey.make(
            sends.inTurn(
              (to, messages, limit) => {
                const until = performance.now() + limit
                return inTime(`cannot send to ${place(to)}`, limit, topics.check(to)).pipe(
                  Effect.zipRight(
                    Effect.suspend(() => {
                      firstSend ??= { monotonic: performance.now(), wall: Date.now() }
                      const left = until - performance.now()
                      return request(connection, transaction, codec, left, [to, messages])
                    }),
                  ),
                  Effect.mapError(byAge),
                )
              },
              Math.min(limits.delivery, timeout),
            ),
            topics.partitions,
          ),
          commit: end("commit", () => transaction.commit()),
          abort: end("abort", () => transaction.abort()),
        }
      }),
    )
  })
