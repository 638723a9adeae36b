/**
 * A real Apache Kafka on 127.0.0.1, in KRaft mode: one node, or three that form a cluster.
 *
 * It runs on the machine's Java (17 or later), from jars that Maven gets once for each version. It takes free ports, keeps its
 * state in a temporary folder, and is gone when its scope closes, and also when this process is killed. What a killed process
 * left in the folder for temporary files is removed by the next start.
 *
 * Real processes need real time: in tests `it.scopedLive`, not `it.scoped`.
 *
 * @example
 * import { Broker } from "@effect-marketo/kafka-broker"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function* () {
 *   const cluster = yield* Broker.make({ nodes: 3 })
 *   yield* cluster.kill(2)
 *   yield* Effect.log(cluster.brokers) // 127.0.0.1:20394, …
 * })
 *
 * @since 0.1.0
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { BrokerError } from "./BrokerError.js"
import { run } from "./internal/command.js"
import * as jars from "./internal/jars.js"
import * as java from "./internal/java.js"
import * as keystores from "./internal/keystore.js"
import * as node from "./internal/node.js"
import * as ownedFolder from "./internal/ownedFolder.js"
import * as ports from "./internal/ports.js"
import * as settings from "./internal/settings.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Version of Apache Kafka, as Maven knows it; tried with 3.9.2, 4.2.1 and 4.4.0. Default: `KAFKA_VERSION`, else 4.4.0. */
  readonly version?: string | undefined
  /**
   * Nodes of the cluster, each broker and controller. With three, topics have three replicas, two of which must be in sync.
   * Default: 1.
   */
  readonly nodes?: 1 | 3 | undefined
  /**
   * Adds a listener for SASL and one for TLS, and ACLs, which bind the users of SASL. Who comes without a name, over plain or
   * TLS, may do everything. Default: false.
   */
  readonly security?: boolean | undefined
  /**
   * With Kafka's own defaults where ours only make tests quick: the first member of a group waits three seconds for others, an expired
   * transaction is aborted within ten, internal topics have fifty partitions, and looking for a topic may create it. Default: false.
   */
  readonly defaults?: boolean | undefined
  /**
   * Settings of every node (`server.properties`), over the ones made here. For tests that kill a node:
   * `{ "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 }` lets it come back, or be given up, in
   * four seconds instead of twelve.
   */
  readonly settings?: Readonly<Record<string, string | number>> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly version: string
  /** The plain listener of each node, `127.0.0.1:port`; node 1 is the first. Whoever connects may do everything. */
  readonly brokers: ReadonlyArray<string>
  /** The log of each node: a file with its warnings and errors, empty while all is well. */
  readonly logs: ReadonlyArray<string>
  /** Stops a node in order (SIGTERM), within 30 seconds. The first node is 1, as in Kafka's own answers. */
  readonly stop: (node: number) => Effect.Effect<void, BrokerError>
  /**
   * Sends a signal to a node; after SIGKILL, the default, waits until it is gone. SIGSTOP freezes it until SIGCONT.
   *
   * Kafka 4.3.1 and 4.4.0 lose acknowledged transactions when the only node is killed (seen in 20 of 23 trials): for
   * such a test take 3.9.2 or 4.2.1, or three nodes.
   */
  readonly kill: (node: number, signal?: NodeJS.Signals) => Effect.Effect<void, BrokerError>
  /** Starts a node that was stopped or killed, on its old ports and data. Ready within a minute, or a failure. */
  readonly start: (node: number) => Effect.Effect<void, BrokerError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/**
 * A broker with `security`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Secured extends Service {
  /** SASL without TLS, for the mechanisms PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. No ACL allows its users anything yet. */
  readonly sasl: {
    readonly brokers: ReadonlyArray<string>
    /** The one user of PLAIN. */
    readonly plain: Credentials
    /** The one user of SCRAM, with both mechanisms. */
    readonly scram: Credentials
  }
  /** TLS without SASL: whoever connects may do everything. */
  readonly tls: {
    readonly brokers: ReadonlyArray<string>
    /** PEM of the certificate, for `localhost` and 127.0.0.1, which is its own authority. */
    readonly ca: string
  }
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Broker extends Context.Tag("@effect-marketo/kafka-broker/Broker")<Broker, Service>() {}

const io = <A>(doing: string, attempt: () => Promise<A>): Effect.Effect<A, BrokerError> =>
  Effect.tryPromise({
    try: attempt,
    catch: (cause) => new BrokerError({ reason: "Failed", description: `cannot ${doing}: ${cause}` }),
  })

const temporaryFolder = Effect.acquireRelease(
  io(`make a folder in ${os.tmpdir()}`, () => ownedFolder.make(os.tmpdir(), "effect-marketo-kafka-")),
  (folder) =>
    Effect.tryPromise(() => ownedFolder.remove(folder)).pipe(
      Effect.interruptible,
      Effect.timeout("10 seconds"),
      Effect.ignoreLogged,
    ),
)

const drawMembers = (count: number): Effect.Effect<ReadonlyArray<settings.Member>, BrokerError> =>
  Effect.map(
    io("find free ports", () => ports.free(4 * count)),
    (free) =>
      Array.from({ length: count }, (_, index) => {
        const [plain = 0, sasl = 0, tls = 0, controller = 0] = free.slice(4 * index)
        return { id: index + 1, ports: { plain, sasl, tls, controller } }
      }),
  )

/** 16 bytes as base64url, and never with a "-" in front, which would be taken for an option. */
const drawClusterId = Effect.sync(() => `A${randomBytes(16).toString("base64url").slice(1)}`)

const defaultVersion = () => process.env.KAFKA_VERSION ?? "4.4.0"

/**
 * Finds Java and the jars of a version, and gets these by Maven when they are not in the cache
 * (`~/.cache/effect-marketo`, or in `XDG_CACHE_HOME`); that takes up to a minute, with a limit of five. Without it
 * {@link make} does the same; apart it tells whether a broker can be started here.
 *
 * Gives the folder of the jars. Fails with `JavaMissing` and `JarsMissing`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const prepare = (version: string = defaultVersion()): Effect.Effect<string, BrokerError> =>
  Effect.zipRight(java.check, jars.get(version))

/**
 * Starts a broker, and gives it when it answers: two to four seconds for one node, about twice that for three. It is gone
 * when the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export function make(options: Options & { readonly security: true }): Effect.Effect<Secured, BrokerError, Scope.Scope>
export function make(options?: Options): Effect.Effect<Service, BrokerError, Scope.Scope>
export function make(options: Options = {}): Effect.Effect<Service | Secured, BrokerError, Scope.Scope> {
  return Effect.gen(function* () {
    const { nodes: count = 1, version = defaultVersion() } = options
    const jarFolder = yield* prepare(version)
    const folder = yield* temporaryFolder
    const members = yield* drawMembers(count)
    const clusterId = yield* drawClusterId
    const keystore = options.security === true ? yield* keystores.make(folder) : undefined
    const inJava = [...java.flags, "-cp", path.join(jarFolder, "*")]
    const logOf = (id: number) => path.join(folder, `node-${id}.log`)

    const format = (member: settings.Member) =>
      Effect.gen(function* () {
        const file = path.join(folder, `node-${member.id}.properties`)
        const text = settings.toText({
          ...settings.ofMember(member, members, path.join(folder, `node-${member.id}`), options.defaults !== true),
          ...(keystore === undefined ? {} : settings.security(member, keystore)),
          ...options.settings,
        })
        yield* io(`write ${file}`, () => fs.writeFile(file, text))
        const { username, password } = settings.users.scram
        const scram =
          keystore === undefined
            ? []
            : settings.scramMechanisms.flatMap((mechanism) => [
                "--add-scram",
                `${mechanism}=[name=${username},password=${password}]`,
              ])
        const args = [...inJava, "kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file, ...scram]
        yield* Effect.mapError(
          run("java", args, "60 seconds"),
          ({ description }) =>
            new BrokerError({ reason: "Failed", description: `cannot format node ${member.id}:\n${description}` }),
        )
        return yield* node.make(member.id, member.ports.plain, [...inJava, "kafka.Kafka", file], logOf(member.id))
      })

    const nodes = yield* Effect.forEach(members, format, { concurrency: "unbounded" })
    yield* Effect.forEach(nodes, (each) => each.start, { concurrency: "unbounded", discard: true })
    const ids = members.map(({ id }) => id)
    yield* Effect.forEach(nodes, (each) => each.sees(ids), { concurrency: "unbounded", discard: true })

    const nodeOf = (id: number): Effect.Effect<node.Node> => {
      const found = nodes[id - 1]
      return found === undefined ? Effect.dieMessage(`there is no node ${id}`) : Effect.succeed(found)
    }
    const addresses = (listener: "plain" | "sasl" | "tls") =>
      members.map((member) => settings.address(member.ports[listener]))
    const service = Broker.of({
      version,
      brokers: addresses("plain"),
      logs: ids.map(logOf),
      stop: (id) => Effect.flatMap(nodeOf(id), (each) => each.stop),
      kill: (id, signal = "SIGKILL") => Effect.flatMap(nodeOf(id), (each) => each.kill(signal)),
      start: (id) => Effect.flatMap(nodeOf(id), (each) => each.start),
    })
    if (keystore === undefined) return service
    return {
      ...service,
      sasl: { brokers: addresses("sasl"), ...settings.users },
      tls: { brokers: addresses("tls"), ca: keystore.certificate },
    }
  })
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Broker, BrokerError> => Layer.scoped(Broker, make(options))
