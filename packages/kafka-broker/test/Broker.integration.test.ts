import * as fs from "node:fs"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Exit, Option, Schedule, Scope } from "effect"
import * as wire from "./fixtures/wire.js"

/** A connection that is closed at the end. */
const connected = (connect: () => Promise<wire.Connection>) =>
  Effect.acquireRelease(Effect.tryPromise(connect), ({ close }) => Effect.sync(close))

const createTopic = (address: string | undefined, name: string, replicas?: number) =>
  Effect.scoped(
    Effect.flatMap(
      connected(() => wire.connect(address)),
      (connection) => Effect.tryPromise(() => wire.createTopic(connection, name, replicas)),
    ),
  )

const assertRefused = (address: string | undefined) =>
  Effect.map(Effect.flip(Effect.tryPromise(() => wire.connect(address))), ({ error }) =>
    assert.include(String(error), "ECONNREFUSED"),
  )

/**
 * Whether there was such a topic, or it was made now: for what the cluster needs a moment to agree on. It may have carried out what
 * it has not answered, or not in time.
 */
const eventually = <E>(creation: Effect.Effect<number, E>) =>
  creation.pipe(
    Effect.filterOrFail((code) => code === wire.ok || code === wire.topicExists),
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.timeout("60 seconds"),
  )

const quickToNotice = { "broker.session.timeout.ms": 2500, "broker.heartbeat.interval.ms": 400 }

describeWithOwnKafka("Broker", () => {
  it.scopedLive("one node comes back from a freeze, a stop and a kill, and leaves nothing when the scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const broker = yield* Scope.extend(Broker.make({ settings: quickToNotice }), scope)
      const [address, ...others] = broker.brokers
      assert.isEmpty(others)

      yield* broker.kill(1, "SIGSTOP")
      // a signal arrives a moment later
      yield* createTopic(address, "kept").pipe(
        Effect.timeoutOption("500 millis"),
        Effect.repeat({ until: Option.isNone, schedule: Schedule.spaced("100 millis") }),
        Effect.timeout("10 seconds"),
      )
      yield* broker.kill(1, "SIGCONT")
      yield* eventually(createTopic(address, "kept"))

      yield* broker.stop(1)
      yield* assertRefused(address)
      yield* broker.start(1)
      assert.strictEqual(yield* eventually(createTopic(address, "kept")), wire.topicExists)

      yield* broker.kill(1)
      yield* assertRefused(address)
      yield* broker.start(1)
      assert.strictEqual(yield* eventually(createTopic(address, "kept")), wire.topicExists)

      const [log = ""] = broker.logs
      assert.isTrue(fs.existsSync(log))
      yield* Scope.close(scope, Exit.void)
      yield* assertRefused(address)
      assert.isFalse(fs.existsSync(path.dirname(log)))
    }),
  )

  it.scopedLive("two at once, of different versions, do not meet", () =>
    Effect.gen(function* () {
      const logsOfBoth = Effect.scoped(
        Effect.gen(function* () {
          const both = yield* Effect.forEach(["3.9.2", "4.4.0"], (version) => Broker.make({ version }), {
            concurrency: "unbounded",
          })
          return yield* Effect.forEach(both, ({ brokers, logs, version }) =>
            Effect.map(createTopic(brokers[0], "of-both"), (code) => {
              assert.strictEqual(code, wire.ok, version)
              return fs.readFileSync(logs[0] ?? "", "utf8")
            }),
          )
        }),
      )
      // a slow start may be worth a line; what is wrong with the settings is worth one at each start
      const logs = yield* Effect.repeat(logsOfBoth, { times: 2, until: (texts) => texts.every((text) => text === "") })
      assert.deepStrictEqual(logs, ["", ""])
    }),
  )

  it.scopedLive("three nodes go on without one, and take it back", () =>
    Effect.gen(function* () {
      const cluster = yield* Broker.make({ nodes: 3, settings: quickToNotice })
      const [first, second, third] = cluster.brokers
      yield* eventually(createTopic(first, "on-three", 3))
      yield* cluster.kill(2)
      yield* assertRefused(second)
      yield* eventually(createTopic(third, "on-two", 2))
      yield* cluster.start(2)
      assert.strictEqual(yield* eventually(createTopic(second, "on-two", 2)), wire.topicExists)
      yield* eventually(createTopic(second, "on-three-again", 3))
    }),
  )

  it.scopedLive("with security, users sign in and may do what ACLs allow; TLS has a certificate to verify", () =>
    Effect.gen(function* () {
      const { brokers, sasl, tls } = yield* Broker.make({ security: true })
      const [saslAddress] = sasl.brokers
      const signIn = (attempt: (connection: wire.Connection) => Promise<number>) =>
        Effect.flatMap(
          connected(() => wire.connect(saslAddress)),
          (connection) => Effect.promise(() => attempt(connection)),
        )
      const wrong = { ...sasl.scram, password: "wrong" }
      assert.strictEqual(yield* signIn((each) => wire.signInScram(each, "sha256", sasl.scram)), wire.ok)
      assert.strictEqual(yield* signIn((each) => wire.signInScram(each, "sha512", sasl.scram)), wire.ok)
      assert.strictEqual(yield* signIn((each) => wire.signInScram(each, "sha512", wrong)), wire.authenticationFailed)
      assert.strictEqual(yield* signIn((each) => wire.signInPlain(each, wrong)), wire.authenticationFailed)

      const app = yield* connected(() => wire.connect(saslAddress))
      const create = (name: string) => Effect.tryPromise(() => wire.createTopic(app, name))
      assert.strictEqual(yield* Effect.promise(() => wire.signInPlain(app, sasl.plain)), wire.ok)
      assert.strictEqual(yield* create("app-denied"), wire.topicDenied)
      const admin = yield* connected(() => wire.connect(brokers[0]))
      yield* Effect.promise(() => wire.allowCreation(admin, sasl.plain.username, "app-"))
      yield* eventually(create("app-allowed"))
      assert.strictEqual(yield* create("others"), wire.topicDenied)

      const [tlsAddress] = tls.brokers
      const trusting = yield* connected(() => wire.connectTls(tlsAddress, tls.ca))
      assert.strictEqual(yield* Effect.promise(() => wire.createTopic(trusting, "over-tls")), wire.ok)
      const { error } = yield* Effect.flip(Effect.tryPromise(() => wire.connectTls(tlsAddress)))
      assert.strictEqual((error as NodeJS.ErrnoException).code, "DEPTH_ZERO_SELF_SIGNED_CERT")
    }),
  )

  it.scopedLive("a node that cannot start is an error with the end of its log", () =>
    Effect.gen(function* () {
      const start = (settings: Record<string, string>) => Effect.flip(Effect.scoped(Broker.make({ settings })))
      const formatting = yield* start({ "num.io.threads": "none" })
      assert.match(formatting.message, /^cannot format node 1:\n.*num\.io\.threads/s)
      const starting = yield* start({ "authorizer.class.name": "no.such.Class" })
      assert.match(starting.message, /^node 1 ended before it was ready; its log ends:\n.*no\.such\.Class/s)
    }),
  )
})
