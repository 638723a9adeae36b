import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setImmediate } from "node:timers/promises"
import { gunzipSync } from "node:zlib"
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Fault, Simulator } from "@effect-marketo/simulator"
import { Chunk, Effect, Exit, Fiber, Layer, Schedule, Scope, Stream, TestClock } from "effect"
import { accessToken, activitiesPath, codeOf, type Envelope, get, post, send, since, tenTypes, text } from "./reader.js"

const provide = (options?: Simulator.ServerOptions) =>
  Effect.provide(Layer.merge(Simulator.layerServer(options), NodeHttpClient.layerUndici))

const firstPage = Effect.gen(function* () {
  const token = yield* accessToken
  const params = { activityTypeIds: tenTypes, nextPageToken: yield* since(token, "2026-01-01T00:00:00Z") }
  return { token, params }
})

describe("over a socket", () => {
  it.live("serves what it serves in process, byte for byte", () =>
    Effect.gen(function* () {
      const page = Effect.flatMap(firstPage, ({ params, token }) => text(token, activitiesPath, params))
      const withoutRequestId = (body: string) => body.replace(/"requestId":"[^"]*"/, "")
      const here = yield* page.pipe(Effect.provide(Simulator.layer()))
      const there = yield* page.pipe(provide())
      assert.strictEqual(withoutRequestId(there), withoutRequestId(here))
    }),
  )

  it.live("compresses bodies of 1,024 bytes and more, when asked to", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const { params, token } = yield* firstPage
      const client = yield* HttpClient.HttpClient
      const ask = (path: string, encoding: string, urlParams: Record<string, string> = {}) =>
        HttpClientRequest.get(`${url}${path}`, { urlParams }).pipe(
          HttpClientRequest.bearerToken(token),
          HttpClientRequest.setHeader("accept-encoding", encoding),
          client.execute,
        )
      const zipped = yield* ask(activitiesPath, "gzip, br", params)
      assert.strictEqual(zipped.headers["content-encoding"], "gzip")
      const page: Envelope = JSON.parse(gunzipSync(Buffer.from(yield* zipped.arrayBuffer)).toString())
      assert.strictEqual(page.result?.length, 300)
      const small = yield* ask("/rest/v1/stats/usage.json", "gzip")
      assert.notProperty(small.headers, "content-encoding")
      const plain = yield* ask(activitiesPath, "identity", params)
      assert.notProperty(plain.headers, "content-encoding")
      assert.strictEqual(((yield* plain.json) as Envelope).result?.length, 300)
    }).pipe(provide()),
  )

  it.live("compresses nothing when told so", () =>
    Effect.gen(function* () {
      const { params, token } = yield* firstPage
      const client = yield* HttpClient.HttpClient
      const { url } = yield* Simulator.Simulator
      const response = yield* HttpClientRequest.get(`${url}${activitiesPath}`, { urlParams: params }).pipe(
        HttpClientRequest.bearerToken(token),
        HttpClientRequest.setHeader("accept-encoding", "gzip"),
        client.execute,
      )
      assert.notProperty(response.headers, "content-encoding")
    }).pipe(provide({ gzip: false })),
  )

  const cuts: ReadonlyArray<Fault.Fault> = [
    { fault: "cut", match: { endpoint: "leadActivities" } },
    { fault: "cut", executed: true, match: { endpoint: "leadActivities" } },
    { fault: "cutBody", match: { endpoint: "leadActivities" } },
    { fault: "cutBody", bytes: 0, match: { endpoint: "leadActivities" } },
  ]

  it.live("cuts connections before the answer and in the middle of its body, and goes on", () =>
    Effect.gen(function* () {
      const { params, token } = yield* firstPage
      for (const executed of [false, true]) {
        const error = yield* Effect.flip(send(token, activitiesPath, params))
        assert.deepInclude(error, { _tag: "RequestError", reason: "Transport" })
        assert.propertyVal(error.cause, "code", "UND_ERR_SOCKET")
        const calls = yield* (yield* Simulator.Simulator).calls
        assert.deepInclude(calls[calls.length - 1], { fault: "cut", executed, status: undefined })
      }
      for (const bytes of ["half", "none"]) {
        const response = yield* send(token, activitiesPath, params)
        assert.strictEqual(response.status, 200, bytes)
        assert.isAbove(Number(response.headers["content-length"]), 100_000)
        assert.strictEqual((yield* Effect.flip(response.text))._tag, "ResponseError")
      }
      assert.strictEqual((yield* get(token, activitiesPath, params)).result?.length, 300)
    }).pipe(provide({ faults: cuts })),
  )

  it.live("stores what is written, also when the connection is cut after that", () =>
    Effect.gen(function* () {
      const { activities, calls } = yield* Simulator.Simulator
      const token = yield* accessToken
      const input = Array.from({ length: 300 }, () => ({
        leadId: 100_000,
        activityDate: "2026-03-04T15:41:32-05:00",
        activityTypeId: 100_001,
        primaryAttributeValue: "Zoë",
        attributes: [],
      }))
      const before = (yield* activities).length
      const error = yield* Effect.flip(post(token, "/rest/v1/activities/external.json", { input }))
      assert.deepInclude(error, { _tag: "RequestError", reason: "Transport" })
      assert.strictEqual((yield* activities).length, before + 300)
      assert.deepInclude((yield* calls).at(-1), { records: 300, executed: true, status: undefined })
      assert.include((yield* activities).at(-1)?.text, '"primaryAttributeValue":"Zoë"')
    }).pipe(provide({ faults: [{ fault: "cut", executed: true }] })),
  )

  it.live("a cut body holds the first bytes of the real one", () =>
    Effect.gen(function* () {
      const { params, token } = yield* firstPage
      const received: Array<Uint8Array> = []
      const response = yield* send(token, activitiesPath, params)
      yield* response.stream.pipe(
        Stream.runForEach((bytes) => Effect.sync(() => received.push(bytes))),
        Effect.flip,
      )
      assert.strictEqual(Buffer.concat(received).length, 10_000)
      assert.strictEqual(Buffer.concat(received).subarray(0, 1).toString(), "{")
    }).pipe(provide({ faults: [{ fault: "cutBody", bytes: 10_000, match: { endpoint: "leadActivities" } }] })),
  )

  it.live("long addresses and large bodies", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const token = yield* accessToken
      assert.strictEqual((yield* send(token, activitiesPath, { nextPageToken: "A".repeat(12_000) })).status, 414)
      const client = yield* HttpClient.HttpClient
      const large = yield* client.execute(
        HttpClientRequest.post(`${url}${activitiesPath}?_method=GET`).pipe(
          HttpClientRequest.bodyText("x".repeat(3_000_000), "application/x-www-form-urlencoded"),
        ),
      )
      assert.strictEqual(large.status, 413)
    }).pipe(provide()),
  )

  it.live("shows what is stored and what was called, and counts neither look", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const lines = (path: string) =>
        client.get(`${simulator.url}/_simulator/${path}`).pipe(
          Effect.flatMap((response) => response.text),
          Effect.map((body) => body.split("\n").slice(0, -1)),
        )
      yield* firstPage
      yield* simulator.add([{ text: '{\n  "id": 1\r\n}' }])
      const stored = (yield* simulator.activities).map((activity) => activity.text)
      assert.deepStrictEqual(yield* lines("activities"), [...stored.slice(0, -1), '{   "id": 1 }'])
      const calls = yield* simulator.calls
      assert.deepStrictEqual(
        (yield* lines("calls")).map((line) => JSON.parse(line)),
        calls.map((call) => JSON.parse(JSON.stringify(call))),
      )
      assert.strictEqual(calls.length, 2)
      assert.strictEqual((yield* client.get(`${simulator.url}/_simulator/leads`)).status, 404)
    }).pipe(provide({ data: { activities: 700 } })),
  )

  it.live("ten thousand activities stream in pieces", () =>
    Effect.gen(function* () {
      const { url } = yield* Simulator.Simulator
      const client = yield* HttpClient.HttpClient
      const response = yield* client.get(`${url}/_simulator/activities`)
      assert.notProperty(response.headers, "content-length")
      const chunks = yield* Stream.runCollect(response.stream)
      assert.isAbove(Chunk.size(chunks), 10)
    }).pipe(provide({ data: { activities: 10_000 } })),
  )

  it.live("a call that nobody waits for any more is not in flight", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      const token = yield* accessToken
      const slow = yield* Effect.fork(get(token, activitiesPath))
      yield* Effect.repeat(simulator.calls, {
        until: (calls) => calls.length === 2,
        schedule: Schedule.spaced("5 millis"),
      })
      yield* Fiber.interrupt(slow)
      const code = Effect.map(get(token, "/rest/v1/activities/types.json"), codeOf)
      yield* Effect.repeat(code, { until: (code) => code === undefined, schedule: Schedule.spaced("5 millis") })
    }).pipe(
      provide({
        limits: { concurrent: 1 },
        faults: [{ fault: "delay", delay: "1 hour", match: { endpoint: "leadActivities" } }],
      }),
    ),
  )

  /** In real time, whatever the clock: for what comes over a socket. */
  const untilCalls = (simulator: Simulator.Service, count: number) =>
    Effect.repeat(
      Effect.zipRight(
        Effect.promise(() => setImmediate()),
        simulator.calls,
      ),
      { until: (calls) => calls.length === count },
    )

  const closing = <E>(
    use: Effect.Effect<unknown, E, Simulator.Simulator | HttpClient.HttpClient>,
    options?: Simulator.Options,
  ) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Layer.buildWithScope(Simulator.layerServer(options), scope)
      yield* Effect.provide(use, server)
      return yield* Effect.fork(Scope.close(scope, Exit.void))
    })

  it.effect("closes at once with connections kept alive", () =>
    Effect.gen(function* () {
      yield* Fiber.join(yield* closing(firstPage))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)),
  )

  it.effect("closes within a second with a call in flight", () =>
    Effect.gen(function* () {
      const stuck = Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        const token = yield* accessToken
        yield* Effect.forkDaemon(get(token, activitiesPath))
        yield* untilCalls(simulator, 2)
      })
      const delay: Fault.Fault = { fault: "delay", delay: "1 hour", match: { endpoint: "leadActivities" } }
      const closed = yield* closing(stuck, { faults: [delay] })
      yield* TestClock.adjust("999 millis")
      assert.isNull(closed.unsafePoll())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closed)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)),
  )

  it.scopedLive("a port in use is a typed error that says so", () =>
    Effect.gen(function* () {
      const other = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen({ host: "localhost", port: 0 }, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close()),
      )
      const { port } = other.address() as AddressInfo
      const error = yield* Effect.flip(Layer.build(Simulator.layerServer({ port })))
      assert.strictEqual(error._tag, "ServeError")
      assert.strictEqual(error.message, `Port ${port} is in use: choose another, or 0 for any free one`)
    }),
  )
})
