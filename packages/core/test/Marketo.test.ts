import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Activities, ApiLimits, Marketo } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { Cause, Config, ConfigProvider, Duration, Effect, Layer, Logger, Redacted } from "effect"
import { flowing, simulated, since } from "./support/simulated.js"

const http = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make(() => Effect.dieMessage("no call is made")),
)

const options: Marketo.Options = {
  baseUrl: "https://123-abc-456.mktorest.com",
  clientId: Redacted.make("id"),
  clientSecret: Redacted.make("hush"),
}

const instanceOf = (o: Partial<Marketo.Options>) =>
  Effect.map(Activities.Activities, (activities) => activities.instance).pipe(
    Effect.provide(Layer.provide(Marketo.layer({ ...options, ...o }), http)),
  )

describe("baseUrl", () => {
  for (const [baseUrl, instance] of [
    ["https://123-ABC-456.mktorest.com", "123-ABC-456"],
    ["https://123-abc-456.mktorest.com/", "123-ABC-456"],
    ["https://proxy.example.com:8443", "proxy.example.com:8443"],
    ["http://localhost:8080", "localhost:8080"],
    ["http://127.0.0.1:8080", "127.0.0.1:8080"],
    ["http://[::1]:8080", "[::1]:8080"],
  ] as const) {
    it.effect(`${baseUrl} is instance ${instance}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* instanceOf({ baseUrl }), instance)
        assert.strictEqual(yield* instanceOf({ baseUrl, instance: "mine" }), "mine")
      }),
    )
  }

  for (const baseUrl of [
    "",
    "123-ABC-456.mktorest.com",
    "http://123-ABC-456.mktorest.com",
    "http://localhost.example.com",
    "ftp://123-ABC-456.mktorest.com",
    "https://123-ABC-456.mktorest.com/rest",
    "https://123-ABC-456.mktorest.com//",
    "https://123-ABC-456.mktorest.com/?a=1",
    "https://user:hush@123-ABC-456.mktorest.com",
  ]) {
    it.effect(`"${baseUrl}" is refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(instanceOf({ baseUrl }))
        assert.deepStrictEqual([error._tag, error.field], ["MarketoInvalidRequest", "baseUrl"])
        assert.notInclude(error.message, "hush")
      }),
    )
  }
})

describe("secrets", () => {
  for (const field of ["clientId", "clientSecret"] as const) {
    it.effect(`an empty ${field} is refused`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(instanceOf({ [field]: Redacted.make(" ") }))
        assert.strictEqual(error.field, field)
      }),
    )
  }

  const fromEnv = (env: Readonly<Record<string, string>>) =>
    Effect.map(Activities.Activities, (activities) => activities.instance).pipe(
      Effect.provide(
        Marketo.layerConfig({
          baseUrl: Config.string("MARKETO_BASE_URL"),
          clientId: Config.redacted("MARKETO_CLIENT_ID"),
          clientSecret: Config.redacted("MARKETO_CLIENT_SECRET"),
          limits: { calls: Config.integer("CALLS").pipe(Config.withDefault(50)) },
        }).pipe(Layer.provide(http)),
      ),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
    )
  const env = { MARKETO_BASE_URL: options.baseUrl, MARKETO_CLIENT_ID: "the-id", MARKETO_CLIENT_SECRET: "hush" }

  it.effect("layerConfig reads the program's variables", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* fromEnv(env), "123-ABC-456")
    }),
  )

  for (const name of ["MARKETO_CLIENT_ID", "MARKETO_CLIENT_SECRET"] as const) {
    for (const [what, value] of [
      ["missing", undefined],
      ["empty", ""],
      ["blank", "  "],
    ] as const) {
      it.effect(`${name} ${what}: a config error that names the variable, never a value`, () =>
        Effect.gen(function* () {
          const { [name]: _, ...rest } = env
          const cause = yield* Effect.sandbox(fromEnv(value === undefined ? rest : { ...rest, [name]: value })).pipe(
            Effect.flip,
          )
          const text = Cause.pretty(cause)
          assert.include(text, name)
          assert.notInclude(text, "hush")
          assert.notInclude(text, "the-id")
        }),
      )
    }
  }

  it.effect("limits out of range are refused by their own name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(fromEnv({ ...env, CALLS: "0" }))
      assert.strictEqual("field" in error && error.field, "limits.calls")
    }),
  )
})

describe("timeout", () => {
  it.effect("limits one attempt at every endpoint, unless the endpoint's policy says otherwise", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const activities = yield* Activities.Activities
      for (const endpoint of ["identity", "activityTypes", "pagingToken"] as const) {
        yield* simulator.fault({ fault: "delay", delay: "1 hour", match: { endpoint } })
      }
      yield* flowing(Effect.zipRight(activities.types, activities.pagingToken(since)))
      const calls = yield* simulator.calls
      const gap = (endpoint: string) => {
        const [first, second] = calls.filter((c) => c.endpoint === endpoint).map((c) => c.at)
        return (second ?? 0) - (first ?? 0)
      }
      for (const [endpoint, seconds] of [
        ["identity", 5],
        ["activityTypes", 5],
        ["pagingToken", 7],
      ] as const) {
        assert.closeTo(gap(endpoint), seconds * 1_000 + 500, 100, endpoint)
      }
    }).pipe(
      Effect.provide(
        simulated({}, { timeout: Duration.seconds(5), policies: { pagingToken: { timeout: Duration.seconds(7) } } }),
      ),
    ),
  )
})

describe("limits", () => {
  const warnings = (program: Effect.Effect<unknown, unknown>) => {
    const lines: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => lines.push(String(message))),
    )
    return Effect.as(Effect.provide(program, logger), lines)
  }
  const use = Effect.asVoid(Activities.Activities)

  it.effect("a second set for one host warns while the first is in use", () =>
    Effect.gen(function* () {
      const layer = Layer.provide(Marketo.layer(options), http)
      const lines = yield* warnings(use.pipe(Effect.provide(layer), Effect.zipRight(use), Effect.provide(layer)))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "123-abc-456.mktorest.com")
    }),
  )

  it.effect("one after the other, other hosts and shared limits do not", () =>
    Effect.gen(function* () {
      const layer = Layer.provide(Marketo.layer(options), http)
      const other = Layer.provide(Marketo.layer({ ...options, baseUrl: "http://localhost:1" }), http)
      const limits = ApiLimits.layer()
      const shared = Marketo.layerWithoutLimits(options).pipe(Layer.provide(http))
      const share = Layer.provide(Layer.fresh(shared), ApiLimits.layerShare({ calls: 5 }))
      const twice = Layer.mergeAll(shared, Layer.fresh(shared), share).pipe(Layer.provide(limits))
      const lines = yield* warnings(
        use.pipe(
          Effect.provide(layer),
          Effect.zipRight(Effect.provide(use, layer)),
          Effect.zipRight(use.pipe(Effect.provide(other), Effect.zipRight(use), Effect.provide(layer))),
          Effect.zipRight(Effect.provide(use, twice)),
        ),
      )
      assert.deepStrictEqual(lines, [])
    }),
  )
})
