import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Duration, Effect, Exit, Layer, Logger, Redacted } from "effect"
import { type KafkaClient, type KafkaError, KafkajsClient, type KafkajsOptions } from "../src/index.js"
import * as pem from "./pem.js"

const brokers = ["127.0.0.1:1"]
const password = Redacted.make("secret")

const errorOf = <E>(layer: Layer.Layer<KafkaClient.KafkaClient, E>) => Effect.flip(Effect.scoped(Layer.build(layer)))

describe("options that cannot be meant", () => {
  const cases: ReadonlyArray<[options: KafkajsOptions.Options, words: string]> = [
    [{ brokers: [] }, "brokers must name at least one"],
    [{ brokers: ["kafka.example.com"] }, "brokers[0] must be host:port"],
    [{ brokers: ["127.0.0.1:1", "kafka://example.com:9092"] }, "brokers[1] must be host:port, without a scheme"],
    [{ brokers: ["example.com:99999"] }, "brokers[0]"],
    [{ brokers: [" example.com:9092"] }, "brokers[0]"],
    [{ brokers: ["[::1]:9092"] }, "brokers[0]"],
    // with a password in it, which is not shown
    [{ brokers: ["SASL_SSL://me:secret@example.com:9092"] }, "brokers[0]"],
    [{ brokers, clientId: " " }, "clientId"],
    [{ brokers, sasl: { mechanism: "plain", username: "", password } }, "sasl.username"],
    [{ brokers, sasl: { mechanism: "plain", username: "me", password: Redacted.make(" ") } }, "sasl.password"],
    [{ brokers, tls: { cert: "PEM" } }, "tls.cert and tls.key belong together"],
    [{ brokers, tls: { key: Redacted.make("PEM") } }, "tls.cert and tls.key belong together"],
    [{ brokers, tls: { ca: "PEM" } }, "tls.ca is no certificate in PEM"],
    [{ brokers, tls: { ca: "" } }, "tls.ca is no certificate in PEM"],
    [{ brokers, tls: { cert: "PEM", key: Redacted.make("PEM") } }, "tls.cert is no certificate in PEM"],
    [{ brokers, tls: { cert: pem.certificate, key: Redacted.make("PEM") } }, "tls.key cannot be used"],
    [{ brokers, tls: { cert: pem.certificate, key: Redacted.make(pem.otherKey) } }, "tls.key cannot be used"],
    [{ brokers, tls: { cert: pem.certificate, key: Redacted.make(pem.encryptedKey) } }, "tls.passphrase is missing"],
    [{ brokers, tls: { cert: pem.expired, key: Redacted.make(pem.key) } }, "tls.cert has expired"],
    [{ brokers, connectTimeout: Duration.zero }, "connectTimeout"],
    [{ brokers, requestTimeout: Duration.infinity }, "requestTimeout"],
    [{ brokers, startTimeout: Duration.zero }, "startTimeout"],
    [{ brokers, deliveryTimeout: Duration.days(2) }, "deliveryTimeout"],
  ]
  for (const [options, words] of cases) {
    it.effect(`are refused in words: ${words}`, () =>
      Effect.gen(function* () {
        const error = yield* errorOf(KafkajsClient.layer(options))
        assert.strictEqual(error.reason, "Misconfigured")
        assert.include(error.message, words)
      }),
    )
  }

  it.live("do not include a key with its certificate and passphrase", () =>
    Effect.gen(function* () {
      const startTimeout = Duration.millis(50)
      for (const tls of [
        { cert: pem.certificate, key: Redacted.make(pem.key) },
        { cert: pem.certificate, key: Redacted.make(pem.encryptedKey), passphrase: Redacted.make("word") },
      ]) {
        const error = yield* errorOf(
          KafkajsClient.layer({ brokers, tls: { ca: pem.certificate, ...tls }, startTimeout }),
        )
        assert.strictEqual(error.reason, "Unavailable")
      }
    }),
  )

  it.live("a password in plain text is warned of once, and not with TLS", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => lines.push(`${message}`))
      const sasl = { mechanism: "plain", username: "me", password } as const
      const start = (tls: boolean) =>
        errorOf(KafkajsClient.layer({ brokers, sasl, tls, startTimeout: Duration.millis(50) }))
      yield* Effect.zipRight(start(true), start(false)).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      )
      assert.strictEqual(lines.filter((line) => line.includes("in plain text")).length, 1)
    }),
  )

  it.live("are not these", () =>
    Effect.gen(function* () {
      for (const broker of ["localhost:1", "127.0.0.1:1"]) {
        const error = yield* errorOf(KafkajsClient.layer({ brokers: [broker], startTimeout: Duration.millis(50) }))
        assert.strictEqual(error.reason, "Unavailable")
      }
    }),
  )
})

describe("layerConfig", () => {
  const layer = KafkajsClient.layerConfig({
    brokers: Config.array(Config.string(), "BROKERS"),
    sasl: {
      mechanism: Config.succeed("plain" as const),
      username: Config.string("USER"),
      password: Config.redacted("PASSWORD"),
    },
    startTimeout: Config.duration("START").pipe(Config.withDefault(Duration.millis(50))),
  })

  const build = (values: ReadonlyArray<readonly [string, string]>) =>
    Effect.withConfigProvider(Effect.exit(errorOf(layer)), ConfigProvider.fromMap(new Map(values)))

  const reasonOf = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isSuccess(exit) && (exit.value as KafkaError.KafkaError).reason

  it.live("takes the options from the program's own configuration", () =>
    Effect.gen(function* () {
      const given = [
        ["BROKERS", "127.0.0.1:1,127.0.0.1:2"],
        ["USER", "me"],
        ["PASSWORD", "secret"],
      ] as const
      assert.strictEqual(reasonOf(yield* build(given)), "Unavailable")
      assert.strictEqual(reasonOf(yield* build([["BROKERS", "nonsense"], ...given.slice(1)])), "Misconfigured")
      assert.strictEqual(reasonOf(yield* build([...given, ["START", "0 millis"]])), "Misconfigured")
      const missing = yield* build(given.slice(0, 2))
      assert.include(JSON.stringify(missing), "PASSWORD")
    }),
  )
})
