import { assert, describe, it } from "@effect/vitest"
import { ApiLimits, MarketoClient, RequestPolicy } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { Clock, Duration, Effect, Fiber, TestClock } from "effect"
import { flowing, simulated } from "./support/simulated.js"
import { stub } from "./support/stub.js"

const get = Effect.flatMap(MarketoClient.MarketoClient, (client) =>
  client.get(RequestPolicy.endpoints.activityTypes.path, {}),
)

const identityCalls = Effect.flatMap(Simulator.Simulator, (simulator) =>
  Effect.map(simulator.calls, (calls) => calls.filter((c) => c.endpoint === "identity").length),
)
const apiCalls = Effect.flatMap(Simulator.Simulator, (simulator) =>
  Effect.map(simulator.calls, (calls) => calls.filter((c) => c.endpoint === "activityTypes")),
)

describe("AccessToken", () => {
  it.effect("one refresh for any number of waiting callers", () =>
    Effect.gen(function* () {
      yield* flowing(
        Effect.all(
          Array.from({ length: 50 }, () => get),
          { concurrency: "unbounded" },
        ),
      )
      assert.strictEqual(yield* identityCalls, 1)
    }).pipe(Effect.provide(simulated({ latency: "1 seconds" }))),
  )

  it.effect("the caller that started the refresh is interrupted: the others get a token all the same", () =>
    Effect.gen(function* () {
      const first = yield* Effect.fork(get)
      yield* Effect.yieldNow()
      const others = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 5 }, () => get),
          { concurrency: "unbounded" },
        ),
      )
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(first)
      const answers = yield* flowing(Fiber.join(others))
      assert.strictEqual(answers.length, 5)
    }).pipe(Effect.provide(simulated({ latency: "1 seconds" }))),
  )

  it.effect("renewed before it ends, so that no call meets 602", () =>
    Effect.gen(function* () {
      yield* flowing(Effect.repeatN(Effect.zipRight(Effect.sleep("7 seconds"), get), 40))
      const calls = yield* apiCalls
      assert.deepStrictEqual([...new Set(calls.map((c) => c.code))], [undefined])
      assert.isAbove(yield* identityCalls, 3)
    }).pipe(Effect.provide(simulated({ limits: { tokenLifetime: "60 seconds" } }))),
  )

  for (const code of ["601", "602"]) {
    it.effect(`${code}: that token is dropped and the call repeated once with a new one`, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        yield* get
        yield* simulator.expireTokens
        if (code === "601") yield* simulator.fault({ fault: "error", code: 601, call: 2 })
        yield* Effect.all([get, get, get], { concurrency: "unbounded" })
        assert.strictEqual((yield* apiCalls).find((c) => c.code !== undefined)?.code, code)
        assert.strictEqual(yield* identityCalls, 2)
      }).pipe(Effect.provide(simulated())),
    )
  }

  it.effect("many calls in flight meet the expired token: one refresh", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* flowing(get)
      yield* simulator.expireTokens
      yield* flowing(
        Effect.all(
          Array.from({ length: 20 }, () => get),
          { concurrency: "unbounded" },
        ),
      )
      assert.strictEqual(yield* identityCalls, 2)
      const codes = (yield* apiCalls).map((c) => c.code)
      assert.isTrue(codes.includes("602") && codes.includes("601"))
    }).pipe(Effect.provide(simulated({ latency: "1 seconds" }))),
  )

  it.effect("a call in the last 10 seconds of a token's life asks identity first", () =>
    Effect.gen(function* () {
      yield* get
      yield* TestClock.adjust("49 seconds")
      yield* get
      assert.strictEqual(yield* identityCalls, 1)
      yield* TestClock.adjust("2 seconds")
      yield* flowing(get)
      assert.strictEqual(yield* identityCalls, 3)
      const [first, , third] = yield* apiCalls
      assert.strictEqual((third?.at ?? 0) - (first?.at ?? 0), 60_000)
    }).pipe(Effect.provide(simulated({ limits: { tokenLifetime: "60 seconds" } }))),
  )

  it.effect("a token that ran out while the call waited for the limiter is no refusal: a 601 may still follow", () =>
    Effect.gen(function* () {
      const { calls, layer, sent } = yield* stub([
        '{"success":false,"errors":[{"code":"601"}]}',
        '{"success":true,"result":[]}',
      ])
      const fiber = yield* Effect.fork(
        Effect.gen(function* () {
          const limits = yield* ApiLimits.ApiLimits
          yield* limits.pauseFor(Duration.hours(2))
          yield* get
        }).pipe(Effect.provide(layer)),
      )
      yield* TestClock.adjust("3 hours")
      yield* Fiber.join(fiber)
      const tokens = (yield* calls).map((call) => call.headers.authorization)
      assert.deepStrictEqual(tokens, ["Bearer secret-token-2:ab", "Bearer secret-token-3:ab"])
      assert.strictEqual((yield* sent).length, 5)
    }),
  )

  it.effect("a renewal that fails is shared by all who wait for it; the next caller tries afresh", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "http", status: 502, match: { endpoint: "identity" }, times: 9 })
      const results = yield* flowing(
        Effect.all(
          Array.from({ length: 10 }, () => Effect.either(get)),
          { concurrency: "unbounded" },
        ),
      )
      assert.isTrue(results.every((result) => result._tag === "Left" && result.left._tag === "MarketoUnavailable"))
      assert.strictEqual(yield* identityCalls, 9)
      yield* get
      assert.strictEqual(yield* identityCalls, 10)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("a lifetime counts from the call that brought the token, not from the repeats before it", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "http", status: 502, match: { endpoint: "identity" }, times: 8 })
      yield* simulator.fault({ fault: "expiresIn", seconds: 80, match: { endpoint: "identity" }, times: 1_000 })
      yield* flowing(get)
      assert.deepStrictEqual([yield* identityCalls, (yield* apiCalls).length], [9, 1])
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("a nearly dead token is waited out", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "expiresIn", seconds: 4, match: { endpoint: "identity" } })
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(get)
      const [call] = yield* apiCalls
      assert.isAtLeast((call?.at ?? 0) - begun, 4_000)
      assert.strictEqual((yield* apiCalls).length, 1)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("expires_in: 0 is waited out", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "expiresIn", seconds: 0, match: { endpoint: "identity" }, times: 3 })
      yield* flowing(get)
      assert.isAtLeast(yield* identityCalls, 4)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("expires_in: 0 for ever is an error within a minute or so", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "expiresIn", seconds: 0, match: { endpoint: "identity" }, times: 1_000 })
      const begun = yield* Clock.currentTimeMillis
      const error = yield* flowing(Effect.flip(get))
      assert.deepStrictEqual([error._tag, error.isRetryable], ["MarketoUnavailable", true])
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 65_000)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect(
    "a token that identity calls good and the API refuses is tried again within the policy, then an error that may pass",
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        yield* simulator.fault({ fault: "error", code: 601, match: { endpoint: "activityTypes" }, times: 1_000 })
        const error = yield* flowing(Effect.flip(get))
        assert.strictEqual(error._tag === "MarketoUnavailable" && error.reason, "TokenRefused")
        assert.isTrue(error.isRetryable)
        assert.strictEqual((yield* apiCalls).length, 18)
      }).pipe(Effect.provide(simulated())),
  )

  for (const code of [601, 602]) {
    it.effect(`a few times ${code} for a token that identity still hands out end nothing`, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        yield* simulator.fault({ fault: "error", code, match: { endpoint: "activityTypes" }, times: 5 })
        yield* flowing(get)
        assert.strictEqual((yield* apiCalls).length, 6)
      }).pipe(Effect.provide(simulated())),
    )
  }

  it.effect("wrong credentials fail at once and say so", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "unauthorized", match: { endpoint: "identity" }, times: 1_000 })
      const error = yield* Effect.flip(get)
      assert.strictEqual(error._tag === "MarketoUnauthorized" && error.reason, "Credentials")
      assert.include(error.message, "client id or the client secret")
      assert.strictEqual(yield* identityCalls, 1)
    }).pipe(Effect.provide(simulated())),
  )

  for (const word of ["invalid_client", "unauthorized", "unauthorized_client"]) {
    it.effect(`wrong credentials told with HTTP 200 (${word}) likewise`, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        const body = JSON.stringify({ error: word, error_description: "no such client" })
        yield* simulator.fault({ fault: "malformed", body, match: { endpoint: "identity" }, times: 1_000 })
        const error = yield* flowing(Effect.flip(get))
        assert.strictEqual(error._tag === "MarketoUnauthorized" && error.reason, "Credentials")
        assert.strictEqual(yield* identityCalls, 1)
      }).pipe(Effect.provide(simulated())),
    )
  }

  it.effect("another OAuth error says nothing of credentials: it is repeated", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const body = JSON.stringify({ error: "temporarily_unavailable" })
      yield* simulator.fault({ fault: "malformed", body, match: { endpoint: "identity" } })
      yield* flowing(get)
      assert.strictEqual(yield* identityCalls, 2)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("a proxy's 403 says nothing of credentials", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "http", status: 403, match: { endpoint: "identity" } })
      const error = yield* Effect.flip(get)
      assert.deepStrictEqual(error._tag === "MarketoRejected" && [error.endpoint, error.codes], ["identity", ["403"]])
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("trouble at identity is repeated", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      for (const fault of ["empty", "malformed", "cut"] as const)
        yield* simulator.fault({ fault, match: { endpoint: "identity" } })
      yield* simulator.fault({ fault: "http", status: 502, match: { endpoint: "identity" } })
      yield* flowing(get)
      assert.strictEqual(yield* identityCalls, 5)
    }).pipe(Effect.provide(simulated())),
  )
})
