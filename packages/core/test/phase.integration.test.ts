/**
 * How far a request came decides whether Marketo may have executed it. Every failure here is one of real sockets.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { FetchHttpClient, type HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { AccessToken, ApiLimits, MarketoClient, type MarketoError, RequestPolicy } from "@effect-marketo/core"
import { Duration, Effect, FastCheck, Layer, Option, Redacted, type Scope } from "effect"
import * as NodeHttp from "../src/NodeHttp.js"
import { certificate, overTls, tcp, trusted } from "./support/servers.js"

/** Long enough for whatever answers; what does not answer is given up then. */
const timeout = Duration.seconds(1)

const token: AccessToken.Token = { value: Redacted.make("secret"), usableUntil: Number.POSITIVE_INFINITY }

const services = Layer.merge(
  Layer.succeed(AccessToken.AccessToken, { get: Effect.succeed(token), invalidate: () => Effect.void }),
  ApiLimits.layer({ calls: 10_000 }),
)

const client = (baseUrl: string) =>
  MarketoClient.make({ baseUrl, maxResponseBytes: 1_000_000, vendorMessages: "include", secrets: [] })

/** One attempt to write. */
const write = (baseUrl: string, limit = timeout) =>
  Effect.flatMap(client(baseUrl), (marketo) =>
    marketo.post("/rest/v1/activities/external.json", '{"input":[]}', {
      policy: { ...RequestPolicy.general, retries: 0, timeout: limit },
    }),
  ).pipe(Effect.provide(services))

/** How it fails. */
const failure = (baseUrl: string, limit?: Duration.Duration) =>
  Effect.flatMap(Effect.flip(write(baseUrl, limit)), (error: MarketoError.MarketoError) =>
    error._tag === "MarketoUnavailable"
      ? Effect.succeed({ reason: error.reason, code: Option.getOrUndefined(error.code), execution: error.execution })
      : Effect.dieMessage(error._tag),
  )

type Case = readonly [what: string, baseUrl: Effect.Effect<string, never, Scope.Scope>]

const http = (onConnection: (socket: Socket) => void) =>
  Effect.map(tcp(onConnection), (port) => `http://127.0.0.1:${port}`)

const https = (port: Effect.Effect<number, never, Scope.Scope>) =>
  Effect.map(port, (number) => `https://localhost:${number}`)

/** A port without a listener. */
const closedPort = Effect.scoped(tcp(() => {}))

const reset = (socket: Socket) => socket.resetAndDestroy()

const OLD = { ciphers: "DEFAULT:@SECLEVEL=0", minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const

const before: ReadonlyArray<Case> = [
  ["the host has no address", Effect.succeed("https://no-such-host.invalid")],
  ["nobody listens", Effect.map(closedPort, (port) => `http://127.0.0.1:${port}`)],
  ["nobody listens at any address of the host", Effect.map(closedPort, (port) => `http://localhost:${port}`)],
  ["the certificate is self-signed", https(overTls(certificate("selfSigned")))],
  ["the certificate has expired", https(overTls(certificate("expired")))],
  ["the certificate is for another host", https(overTls(certificate("otherHost")))],
  ["the server speaks TLS 1.1 only", https(overTls({ ...certificate("localhost"), ...OLD }))],
  ["no cipher is shared", https(overTls({}))],
  [
    "the server speaks no TLS",
    https(tcp((socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")))),
  ],
  ["the handshake is reset", https(tcp((socket) => socket.once("data", () => reset(socket))))],
  ["the connection is closed in the handshake", https(tcp((socket) => socket.once("data", () => socket.end())))],
  ["the connection is closed before the handshake", https(tcp((socket) => socket.end()))],
  ["the handshake is never answered, until the time limit", https(tcp(() => {}))],
]

const answering = (answer: string) => http((socket) => socket.once("data", () => socket.end(answer)))

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

/** A kept-alive connection that dies when the second request arrives. */
const diesWhenUsedAgain = http((socket) => {
  let requests = 0
  socket.on("data", (data) => {
    if (!data.toString("latin1").startsWith("POST")) return
    if (++requests > 1) return reset(socket)
    socket.write(`${HEAD.replace("100", "34")}{"success":true,"requestId":"1#2"}`)
  })
})

const after: ReadonlyArray<Case> = [
  ["the connection is closed at once", http((socket) => socket.end())],
  ["the connection is reset when the request arrives", http((socket) => socket.once("data", () => reset(socket)))],
  ["the connection is closed without an answer", answering("")],
  ["the answer is no HTTP", answering("SSH-2.0-OpenSSH_9.6\r\n")],
  ["the answer is cut in its first line", answering("HTTP/1.1 20")],
  ["the answer is cut in its headers", answering("HTTP/1.1 200 OK\r\nContent-Le")],
  ["the answer is cut in its body", answering(`${HEAD}{"success":true`)],
  ["nothing is answered until the time limit", http(() => {})],
  ["the answer stops in its body until the time limit", http((socket) => socket.write(HEAD))],
  [
    "the connection is reset when the request arrives over TLS",
    https(overTls(certificate("localhost"), (socket) => socket.once("data", () => socket.destroy()))),
  ],
  [
    "the server asks for a certificate of the client, which TLS 1.3 refuses after the request",
    https(overTls({ ...certificate("localhost"), requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" })),
  ],
]

const transports: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["NodeHttp", NodeHttp.layer],
  ["fetch", FetchHttpClient.layer],
]

/** What `fetch` does not let know: they are in doubt with it. */
const unknownToFetch = new Set([
  "no cipher is shared",
  "the server speaks no TLS",
  "the handshake is reset",
  "the connection is closed in the handshake",
  "the connection is closed before the handshake",
  "the handshake is never answered, until the time limit",
])

for (const [transport, layer] of transports) {
  describe(`${transport}: never in doubt though never sent`, () => {
    for (const [what, server] of before) {
      const expected = transport === "fetch" && unknownToFetch.has(what) ? "Unknown" : "NotExecuted"
      it.scopedLive(`${what}: ${expected}`, () =>
        Effect.gen(function* () {
          yield* trusted
          const found = yield* failure(yield* server)
          assert.deepStrictEqual(found, { ...found, execution: expected })
        }).pipe(Effect.provide(layer)),
      )
    }
  })

  describe(`${transport}: never sent again though it may have arrived`, () => {
    for (const [what, server] of after) {
      it.scopedLive(`${what}: Unknown`, () =>
        Effect.gen(function* () {
          yield* trusted
          const found = yield* failure(yield* server)
          assert.deepStrictEqual(found, { ...found, execution: "Unknown" })
        }).pipe(Effect.provide(layer)),
      )
    }

    it.scopedLive("a connection that was kept alive dies when it is used again: Unknown", () =>
      Effect.gen(function* () {
        const url = yield* diesWhenUsedAgain
        yield* write(url)
        // undici gives the connection back when the answer was handed over
        yield* Effect.promise(() => new Promise(setImmediate))
        assert.strictEqual((yield* failure(url)).execution, "Unknown")
      }).pipe(Effect.provide(layer)),
    )
  })
}

/** Forwards to `port` until the server has sent `bytes`, and then breaks the connection to the client as `end` does. */
const cutting = (port: number, bytes: number, end: (socket: Socket) => void) =>
  tcp((socket) => {
    const server = connect(port, "127.0.0.1")
    const close = () => server.destroy()
    server.on("error", () => {})
    socket.on("close", close)
    socket.pipe(server)
    let left = bytes
    server.on("data", (chunk) => {
      socket.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) end(socket)
    })
  })

/** Bytes that the server sends before the client can send anything but its greeting. */
const flightOf = (port: number) =>
  Effect.gen(function* () {
    let sent = 0
    let flight = 0
    const relay = yield* tcp((socket) => {
      const server = connect(port, "127.0.0.1")
      let greeted = false
      socket.on("data", (chunk) => {
        if (greeted && flight === 0) flight = sent
        greeted = true
        server.write(chunk)
      })
      server.on("data", (chunk) => {
        sent += chunk.length
        socket.write(chunk)
      })
      server.on("error", () => {})
    })
    yield* failure(`https://localhost:${relay}`)
    return flight
  })

describe("a TLS handshake that breaks anywhere", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it.scopedLive(`${version}: not executed before its end, and unknown whenever the request arrived`, () =>
      Effect.gen(function* () {
        yield* trusted
        const arrived: Array<boolean> = []
        const port = yield* overTls(
          { ...certificate("localhost"), minVersion: version, maxVersion: version },
          (socket) => socket.on("data", () => arrived.push(true)),
        )
        const flight = yield* Effect.scoped(flightOf(port))
        assert.isAbove(flight, 500)
        const cut = (bytes: number, end: (socket: Socket) => void) =>
          Effect.scoped(
            Effect.gen(function* () {
              arrived.length = 0
              const relay = yield* cutting(port, bytes, end)
              const { execution } = yield* failure(`https://localhost:${relay}`)
              if (bytes < flight) assert.strictEqual(execution, "NotExecuted")
              if (arrived.length > 0) assert.strictEqual(execution, "Unknown")
            }),
          )
        const ends = FastCheck.constantFrom(reset, (socket: Socket) => void socket.end())
        const runtime = yield* Effect.runtime<HttpClient.HttpClient>()
        const run = (effect: Effect.Effect<void, unknown, HttpClient.HttpClient>) =>
          Effect.runPromise(Effect.provide(effect, runtime))
        yield* Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(FastCheck.integer({ min: 1, max: flight + 200 }), ends, (bytes, end) =>
              run(cut(bytes, end)),
            ),
            { numRuns: 40 },
          ),
        )
      }).pipe(Effect.provide(NodeHttp.layer)),
    )
  }
})

const mayUnshare = () => {
  if (process.platform !== "linux") return "it is no Linux"
  try {
    execFileSync("unshare", ["-rn", "ip", "link", "set", "lo", "up"], { stdio: "ignore" })
    return undefined
  } catch {
    return "`unshare -rn` with `ip` is not allowed or not there"
  }
}

describe("no route to Marketo", () => {
  const reason = mayUnshare()
  const program = fileURLToPath(new URL("./fixtures/noRoute.ts", import.meta.url))

  it.skipIf(reason !== undefined)(
    `addAll: while there is none, nothing is in doubt, and all is written once it is back${reason === undefined ? "" : ` (skipped: ${reason})`}`,
    { timeout: 60_000 },
    () => {
      const node = [process.execPath, "--conditions=@effect-marketo/source", "--import", "tsx", program]
      const { status, stderr, stdout } = spawnSync("unshare", ["-rn", ...node], { encoding: "utf8", timeout: 50_000 })
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(JSON.parse(stdout), [
        { lost: "no route", transport: "NodeHttp", codes: ["ENETUNREACH"], outcomes: ["Added"], stored: 600 },
        { lost: "unreachable", transport: "NodeHttp", codes: ["EHOSTUNREACH"], outcomes: ["Added"], stored: 600 },
        { lost: "prohibit", transport: "NodeHttp", codes: ["EACCES"], outcomes: ["Added"], stored: 600 },
        { lost: "blackhole", transport: "NodeHttp", codes: ["EINVAL"], outcomes: ["Added"], stored: 600 },
        { lost: "no route", transport: "fetch", codes: ["ENETUNREACH"], outcomes: ["Added"], stored: 600 },
        { lost: "unreachable", transport: "fetch", codes: ["EHOSTUNREACH"], outcomes: ["Added"], stored: 600 },
      ])
    },
  )
})
