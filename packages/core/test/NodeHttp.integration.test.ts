import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Activities, Feed, Marketo, MarketoClient, RequestPolicy } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { Chunk, Duration, Effect, Fiber, Layer, Logger, LogLevel, Option, Redacted, Stream } from "effect"
import * as NodeHttp from "../src/NodeHttp.js"

/** Repeats are expected here, and warned of. */
const quiet = Logger.minimumLogLevel(LogLevel.None)

const quick = Object.fromEntries(
  Object.keys(RequestPolicy.endpoints).map((name) => [
    name,
    { baseDelay: Duration.millis(5), maxDelay: Duration.millis(20) },
  ]),
)

const marketo = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, (simulator) =>
    Marketo.layer({
      baseUrl: simulator.url,
      clientId: Redacted.make(simulator.clientId),
      clientSecret: Redacted.make(simulator.clientSecret),
      limits: { calls: 10_000, window: Duration.millis(50), concurrent: 10 },
      policies: quick,
    }),
  ),
).pipe(Layer.provide(NodeHttp.layer), Layer.provideMerge(quiet))

const live = (options: Simulator.ServerOptions) =>
  Layer.provideMerge(marketo, Simulator.layerServer({ limits: { calls: 10_000, concurrent: 100 }, ...options }))

const visits = Feed.leadActivities({ activityTypeIds: [1, 2, 6, 7, 10, 11] })

/** A server of the test's own; gives its address. */
const serving = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close()),
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

describe("over a real socket", () => {
  it.scopedLive("gzip, multi-byte text and broken connections: every text as stored", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const activities = yield* Activities.Activities
      const pages = yield* Stream.runCollect(
        activities.pages(visits, { since: "2026-01-01T00:00:00Z", batchSize: 100 }),
      )
      const texts = Chunk.toReadonlyArray(pages).flatMap((p) => Chunk.toReadonlyArray(p.records).map((r) => r.text))
      const stored = (yield* simulator.activities).filter((a) => [1, 2, 6, 7, 10, 11].includes(a.activityTypeId))
      assert.deepStrictEqual(
        texts,
        stored.map((a) => a.text),
      )
      const calls = yield* simulator.calls
      assert.isTrue(
        ["cut", "cutBody", "http", "empty", "malformed"].every((fault) => calls.some((c) => c.fault === fault)),
      )
    }).pipe(
      Effect.provide(
        live({
          data: { activities: 3_000 },
          faults: [
            { fault: "cut", call: 2 },
            { fault: "cut", executed: true, call: 4 },
            { fault: "cutBody", call: 6 },
            { fault: "cutBody", bytes: 0, call: 8 },
            { fault: "http", status: 502, call: 10 },
            { fault: "empty", call: 12 },
            { fault: "malformed", call: 14 },
          ],
        }),
      ),
    ),
  )

  it.scopedLive("asks for gzip and undoes it", () =>
    Effect.gen(function* () {
      const accepted: Array<string | ReadonlyArray<string> | undefined> = []
      const url = yield* serving((request, response) => {
        accepted.push(request.headers["accept-encoding"])
        response.setHeader("content-encoding", "gzip").end(gzipSync("one".repeat(1_000)))
      })
      const response = yield* Effect.flatMap(HttpClient.HttpClient, (http) => http.get(url))
      assert.strictEqual(yield* response.text, "one".repeat(1_000))
      assert.deepStrictEqual(accepted, ["gzip"])
    }).pipe(Effect.provide(NodeHttp.layer)),
  )

  it.scopedLive("reads what Marketo compresses", () =>
    Effect.gen(function* () {
      const client = yield* MarketoClient.MarketoClient
      const answer = yield* client.get(RequestPolicy.endpoints.activityTypes.path, {})
      assert.isAbove(answer.body.length, 1_024)
      assert.strictEqual(answer.json.success, true)
    }).pipe(Effect.provide(live({ gzip: true }))),
  )

  it.scopedLive("a refused connection is one error, with the code and the attempts", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flatMap(Activities.Activities, (a) => Effect.flip(a.types)).pipe(
        Effect.provide(
          Marketo.layer({
            baseUrl: "http://localhost:1",
            clientId: Redacted.make("id"),
            clientSecret: Redacted.make("hush"),
            policies: quick,
          }).pipe(Layer.provide(NodeHttp.layer), Layer.provideMerge(quiet)),
        ),
      )
      assert.deepStrictEqual(
        error._tag === "MarketoUnavailable" && [
          error.endpoint,
          error.reason,
          Option.getOrNull(error.code),
          error.execution,
          error.attempts,
        ],
        ["identity", "Connection", "ECONNREFUSED", "NotExecuted", 9],
      )
    }),
  )

  it.scopedLive("an unknown host likewise", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flatMap(Activities.Activities, (a) => Effect.flip(a.types)).pipe(
        Effect.provide(
          Marketo.layer({
            baseUrl: "https://no-such-host.invalid",
            clientId: Redacted.make("id"),
            clientSecret: Redacted.make("hush"),
            policies: { identity: { retries: 0 } }, // each attempt asks the system for the name, which may take seconds
          }).pipe(Layer.provide(NodeHttp.layer), Layer.provideMerge(quiet)),
        ),
      )
      assert.deepStrictEqual(error._tag === "MarketoUnavailable" && [error.reason, error.execution], [
        "Connection",
        "NotExecuted",
      ])
    }),
  )

  it.scopedLive(
    "a request that is interrupted before it is on the wire is not sent, and one that waits is cut off",
    () =>
      Effect.gen(function* () {
        const http = yield* HttpClient.HttpClient
        const asked: Array<string | undefined> = []
        const cut: Array<string | undefined> = []
        const url = yield* serving((request, response) => {
          asked.push(request.url)
          if (request.url === "/last") response.end("yes")
          response.on("close", () => response.writableFinished || cut.push(request.url))
        })
        const get = (path: string) => http.get(`${url}${path}`)
        const early = yield* Effect.fork(get("/early"))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(early)
        const late = yield* Effect.fork(get("/late"))
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => asked.includes("/late") })
        yield* Fiber.interrupt(late)
        const response = yield* get("/last")
        assert.deepStrictEqual([response.status, yield* response.text, yield* response.text], [200, "yes", "yes"])
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => cut.includes("/late") })
        assert.deepStrictEqual(asked, ["/late", "/last"])
      }).pipe(Effect.provide(NodeHttp.layer)),
  )
})
