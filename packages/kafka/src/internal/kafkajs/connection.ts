/**
 * The one module that imports kafkajs: its clients, and what we set for each.
 *
 * @since 0.1.0
 */
import * as net from "node:net"
import * as tls from "node:tls"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Admin, Kafka, RetryOptions, SASLOptions } from "kafkajs"
import kafkajs from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import type { Options, SocketFactory, Transport } from "../../KafkajsOptions.js"
import { toKafkaError } from "./errors.js"
import { type Cluster, onEachBroker } from "./inside.js"
import * as logging from "./logging.js"
import { ofNamedTopicsOnly } from "./metadata.js"
import { takeOver } from "./protocol.js"
import { within } from "./within.js"

/** In milliseconds. */
export interface Limits {
  readonly connect: number
  readonly request: number
  readonly start: number
  readonly delivery: number
}

/**
 * How kafkajs tries again, by who asks: `once` for callers that have a loop of their own, the others for as long as a delivery may
 * take; our own limits end it earlier. Never left to kafkajs's defaults, which are others when NODE_ENV is "test".
 */
export type Policy = "once" | "steady" | "transactional"

/** About fifteen tries to reach `maxRetryTime`, and then one in each second. */
const triesWithin = (limit: number): number => 15 + Math.ceil(limit / 1000)

export interface Connection {
  readonly limits: Limits
  readonly retry: (policy: Policy) => RetryOptions
  /**
   * A kafkajs client of one's own. When the scope closes its sockets are destroyed and it cannot connect any more: after
   * `disconnect()` alone, what kafkajs still retries would connect again, and send. When one cannot be connected the next one begins
   * with another broker: of one that accepts connections and says nothing kafkajs does not get away.
   */
  readonly open: (policy: Policy) => Effect.Effect<Kafka, never, Scope.Scope>
  /** kafkajs's own cluster, of a client of its own, that reads what is committed. */
  readonly cluster: (policy: Policy) => Effect.Effect<Cluster, never, Scope.Scope>
  /**
   * Calls kafkajs, for at most `limit` milliseconds; what it does after that is not waited for. `late` says what the lack of
   * an answer means.
   */
  readonly attempt: <A>(
    doing: string,
    limit: number,
    call: () => Promise<A>,
    late?: "Unavailable" | "OutcomeUnknown",
  ) => Effect.Effect<A, KafkaError>
  /** Connects a consumer, a producer or an admin. One that fails is not to be used again. */
  readonly connect: (
    doing: string,
    client: { readonly connect: () => Promise<void> },
  ) => Effect.Effect<void, KafkaError>
  /** The same with an admin of its own, again and again while the cluster is unavailable, for at most the start limit. */
  readonly admin: <A>(doing: string, call: (admin: Admin) => Promise<A>) => Effect.Effect<A, KafkaError>
  /** Tries again while the cluster is unavailable, for at most the start limit; then fails as it did the last time. */
  readonly persist: <A, R>(doing: string, attempt: Effect.Effect<A, KafkaError, R>) => Effect.Effect<A, KafkaError, R>
}

export const { AssignerProtocol, ConfigResourceTypes, KafkaJSProtocolError, PartitionAssigners } = kafkajs

/** A topic that was made a moment ago is not known to all brokers yet. */
const topicAppears = Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(4))

/** How long an orderly end may take, in milliseconds; after that sockets are destroyed. */
export const goodbye = 1000

const keepAlive = 60_000

/** 64 MiB. */
const MAX_DECOMPRESSED = 2 ** 26

/** Of readers: what is open or aborted is not seen. */
export const READ_COMMITTED = 1

const openSocket: SocketFactory = ({ host, onConnect, port, tls: options }) => {
  const socket =
    options === undefined
      ? net.connect({ host, port }, onConnect)
      : tls.connect({ host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...options }, onConnect)
  return socket.setKeepAlive(true, keepAlive).setNoDelay(true)
}

const saslOf = ({ mechanism, password, username }: NonNullable<Options["sasl"]>): SASLOptions => ({
  mechanism,
  username,
  password: Redacted.value(password),
})

const tlsOf = (options: NonNullable<Options["tls"]>): tls.ConnectionOptions => {
  if (typeof options === "boolean") return {}
  const { key, passphrase, ...others } = options
  return {
    ...others,
    ...(key === undefined ? {} : { key: Redacted.value(key) }),
    ...(passphrase === undefined ? {} : { passphrase: Redacted.value(passphrase) }),
  } as tls.ConnectionOptions
}

export const make = (options: Options, transport: Transport): Effect.Effect<Connection> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime()
    const log = logging.make()
    const { clientId = "effect-marketo", sasl, tls: tlsOptions = false } = options
    const limits: Limits = {
      connect: Duration.toMillis(options.connectTimeout ?? "10 seconds"),
      request: Duration.toMillis(options.requestTimeout ?? "30 seconds"),
      start: Duration.toMillis(options.startTimeout ?? "30 seconds"),
      delivery: Duration.toMillis(options.deliveryTimeout ?? "2 minutes"),
    }
    const { maxDecompressedBytes = MAX_DECOMPRESSED } = options
    const socketFactory = transport.socketFactory ?? openSocket
    const secure = tlsOptions === false ? undefined : tlsOf(tlsOptions)

    const retry = (policy: Policy): RetryOptions => ({
      // a transaction often begins while the broker still ends the one before it, for milliseconds
      initialRetryTime: policy === "transactional" ? 5 : 100,
      multiplier: 1.5,
      maxRetryTime: 1000,
      factor: 0.2,
      retries: policy === "once" ? 0 : triesWithin(limits.delivery),
    })

    let first = 0
    const openUnsafe = (policy: Policy) => {
      const sockets = new Set<net.Socket>()
      let closed = false
      const brokers = [...options.brokers.slice(first), ...options.brokers.slice(0, first)]
      const kafka = new kafkajs.Kafka({
        // without any, kafkajs stops trying, which would keep the process
        brokers: () => (closed ? [] : brokers),
        clientId,
        ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
        ...(secure === undefined ? {} : { ssl: secure }),
        connectionTimeout: limits.connect,
        authenticationTimeout: limits.connect,
        requestTimeout: limits.request,
        enforceRequestTimeout: true,
        retry: retry(policy),
        socketFactory: ({ host, onConnect, port }) => {
          if (closed) throw new Error("this client was closed")
          const socket = socketFactory({ host, port, tls: secure, onConnect })
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket))
          return socket
        },
        logLevel: kafkajs.logLevel.INFO,
        logCreator: () => (entry) => {
          if (!closed && !logging.isNoise(entry)) Runtime.runFork(runtime)(log(entry))
        },
      })
      const createCluster = onEachBroker(kafka, (broker, { isolationLevel }) =>
        // only readers have an isolation level
        ofNamedTopicsOnly(takeOver(broker, maxDecompressedBytes), isolationLevel !== undefined),
      )
      const close = () => {
        closed = true
        // with an error: kafkajs then lets go of its requests and timers
        for (const socket of sockets) socket.destroy(new Error("this client was closed"))
      }
      return { kafka, createCluster, close }
    }

    const opened = (policy: Policy) =>
      Effect.acquireRelease(
        Effect.sync(() => openUnsafe(policy)),
        ({ close }) => Effect.sync(close),
      )

    const open: Connection["open"] = (policy) => Effect.map(opened(policy), ({ kafka }) => kafka)

    const cluster: Connection["cluster"] = (policy) =>
      Effect.map(opened(policy), ({ createCluster }) =>
        createCluster({ allowAutoTopicCreation: false, isolationLevel: READ_COMMITTED }),
      )

    const noAnswer = (doing: string, limit: number, reason: "Unavailable" | "OutcomeUnknown") =>
      new KafkaError({ reason, description: `${doing}: no answer within ${Duration.format(limit)}` })

    const attempt: Connection["attempt"] = (doing, limit, call, late = "Unavailable") =>
      Effect.mapError(
        within(limit, call, () => noAnswer(doing, limit, late)),
        (cause) => toKafkaError(doing, cause),
      )

    const connect: Connection["connect"] = (doing, client) =>
      Effect.suspend(() => {
        const used = first
        // before kafkajs gives up on the broker's first answer: it then takes itself for connected
        return attempt(doing, Math.min(limits.connect, limits.request, limits.start), () => client.connect()).pipe(
          Effect.onError(() =>
            Effect.sync(() => {
              if (first === used) first = (used + 1) % options.brokers.length
            }),
          ),
        )
      })

    const persist: Connection["persist"] = (doing, effect) =>
      Effect.suspend(() => {
        let last: KafkaError | undefined
        return effect.pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              last = error
            }),
          ),
          Effect.retry({ schedule: Schedule.spaced("200 millis"), while: (error) => error.reason === "Unavailable" }),
          Effect.interruptible, // the time-out has to end it also where the caller must not be interrupted
          Effect.timeoutFail({
            duration: limits.start,
            onTimeout: () => last ?? noAnswer(doing, limits.start, "Unavailable"),
          }),
        )
      })

    const admin: Connection["admin"] = (doing, call) =>
      persist(
        doing,
        Effect.scoped(
          Effect.gen(function* () {
            const kafka = yield* open("once")
            const client = kafka.admin()
            yield* Effect.addFinalizer(() =>
              Effect.ignore(attempt("cannot disconnect", goodbye, () => client.disconnect())),
            )
            yield* connect(doing, client)
            return yield* attempt(doing, limits.start, () => call(client))
          }),
        ).pipe(Effect.retry({ schedule: topicAppears, while: (error) => error.reason === "UnknownTopic" })),
      )

    return { limits, retry, open, cluster, attempt, connect, admin, persist }
  })
