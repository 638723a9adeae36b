import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Duration, Effect, Exit, Layer, Redacted } from "effect"
import { type KafkaClient, type KafkaError, KafkajsClient, type KafkajsOptions } from "../src/index.js"

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
