/**
 * Answers as gateways, proxies and odd servers send them, over real sockets.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { connect } from "node:net"
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import { FetchHttpClient, HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { AccessToken, ApiLimits, Marketo, MarketoClient, type MarketoError, RequestPolicy } from "@effect-marketo/core"
import { Duration, Effect, Layer, Logger, LogLevel, Option, Redacted } from "effect"
import * as NodeHttp from "../src/NodeHttp.js"
import { listening, tcp } from "./support/servers.js"

const quiet = Logger.minimumLogLevel(LogLevel.None)
const ok = '{"requestId":"1#2","success":true,"result":[]}'
const MAX = 1024 * 1024

const token: AccessToken.Token = { value: Redacted.make("secret"), usableUntil: Number.POSITIVE_INFINITY }

const services = Layer.merge(
  Layer.succeed(AccessToken.AccessToken, { get: Effect.succeed(token), invalidate: () => Effect.void }),
  ApiLimits.layer({ calls: 10_000 }),
)

const policy: RequestPolicy.RequestPolicy = {
  ...RequestPolicy.general,
  retries: 3,
  baseDelay: Duration.millis(5),
  maxRetryAfter: Duration.millis(300),
}

const client = (baseUrl: string) =>
  Effect.provide(
    MarketoClient.make({ baseUrl, maxResponseBytes: MAX, vendorMessages: "include", secrets: [] }),
    services,
  )
const read = (baseUrl: string) => Effect.flatMap(client(baseUrl), (marketo) => marketo.get("/x", {}, { policy }))
const write = (baseUrl: string) => Effect.flatMap(client(baseUrl), (marketo) => marketo.post("/x", "{}", { policy }))

const unavailable = (error: MarketoError.MarketoError) =>
  error._tag === "MarketoUnavailable" ? error : assert.fail(error._tag)

const serving = (listener: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.map(
    Effect.suspend(() => listening(createServer(listener))),
    (port) => `http://127.0.0.1:${port}`,
  )

const transports: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["NodeHttp", NodeHttp.layer],
  ["fetch", FetchHttpClient.layer],
]

describe("Retry-After", () => {
  for (const [what, status, header] of [
    ["seconds", 429, () => "5"],
    ["seconds", 503, () => "5"],
    ["a date", 429, () => new Date(Date.now() + 60_000).toUTCString()],
    ["a date", 503, () => new Date(Date.now() + 60_000).toUTCString()],
  ] as const) {
    it.scopedLive(`in ${what} of a ${status} pauses every caller, up to the policy's limit`, () =>
      Effect.gen(function* () {
        const arrivals: Array<number> = []
        const url = yield* serving((_, response) => {
          arrivals.push(performance.now())
          if (arrivals.length > 1) return response.end(ok)
          response.writeHead(status, { "retry-after": header() }).end("<html>")
        })
        const marketo = yield* client(url)
        const get = marketo.get("/x", {}, { policy })
        yield* Effect.all([get, Effect.zipRight(Effect.sleep("100 millis"), get)], { concurrency: 2 })
        const [first = 0, ...others] = arrivals
        assert.strictEqual(others.length, 2)
        for (const other of others) assert.isAtLeast(other - first, 299)
      }).pipe(Effect.provide([NodeHttp.layer, quiet])),
    )
  }

  it.scopedLive("a write that 429 refused is sent again, one that 503 refused is in doubt", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const url = yield* serving((_, response) => {
        seen.push(0)
        if (seen.length === 1) return response.writeHead(429, { "retry-after": "0" }).end()
        if (seen.length === 2) return response.end(ok)
        response.writeHead(503, { "retry-after": "1" }).end()
      })
      yield* write(url)
      assert.strictEqual(seen.length, 2)
      assert.strictEqual(unavailable(yield* Effect.flip(write(url))).execution, "Unknown")
      assert.strictEqual(seen.length, 3)
    }).pipe(Effect.provide([NodeHttp.layer, quiet])),
  )
})

for (const [transport, http] of transports) {
  describe(`${transport}: a redirect`, () => {
    for (const status of [301, 302, 303, 307, 308]) {
      it.scopedLive(`${status} is not followed, and the error names the host: a write was not executed`, () =>
        Effect.gen(function* () {
          const elsewhere: Array<string | undefined> = []
          const target = yield* serving((request, response) => {
            elsewhere.push(request.headers.authorization)
            response.end(ok)
          })
          const url = yield* serving((_, response) => {
            response.writeHead(status, { location: `${target}/login?to=jane@example.com` }).end()
          })
          const error = unavailable(yield* Effect.flip(write(url)))
          assert.deepStrictEqual(elsewhere, [])
          assert.deepStrictEqual([error.reason, error.execution], ["Redirected", "NotExecuted"])
          assert.include(error.message, new URL(target).host)
          assert.include(error.message, "baseUrl")
          assert.include(error.message, "maintenance")
          assert.notInclude(error.message, "jane")
        }).pipe(Effect.provide([http, quiet])),
      )
    }

    it.scopedLive("of identity does not take the secret to another host", () =>
      Effect.gen(function* () {
        const elsewhere: Array<string | undefined> = []
        const target = yield* serving((request, response) => {
          elsewhere.push(request.url)
          response.end("{}")
        })
        const url = yield* serving((request, response) => {
          response.writeHead(307, { location: `${target}${request.url}` }).end()
        })
        const error = yield* Effect.flatMap(MarketoClient.MarketoClient, (marketo) =>
          Effect.flip(marketo.get("/x", {})),
        ).pipe(
          Effect.provide(
            Marketo.layer({ baseUrl: url, clientId: Redacted.make("id"), clientSecret: Redacted.make("hush") }),
          ),
        )
        assert.strictEqual(unavailable(error).reason, "Redirected")
        assert.deepStrictEqual(elsewhere, [])
      }).pipe(Effect.provide([http, quiet])),
    )
  })

  describe(`${transport}: an answer over maxResponseBytes`, () => {
    const zeros = gzipSync(Buffer.alloc(64 * MAX))
    for (const [what, listener] of [
      ["as it is", (_: IncomingMessage, response: ServerResponse) => response.end(Buffer.alloc(2 * MAX, 32))],
      [
        "that never ends",
        (_: IncomingMessage, response: ServerResponse) => {
          const more = () => {
            while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, 32)));
          }
          response.on("drain", more)
          more()
        },
      ],
      [
        "that unpacks to 640 MiB",
        (_: IncomingMessage, response: ServerResponse) => {
          response.setHeader("content-encoding", "gzip")
          for (let i = 0; i < 10; i++) response.write(zeros)
          response.end()
        },
      ],
    ] as const) {
      it.scopedLive(`${what} is ended there, and not asked for again`, () =>
        Effect.gen(function* () {
          let calls = 0
          const url = yield* serving((request, response) => {
            calls++
            listener(request, response)
          })
          const error = unavailable(yield* Effect.flip(read(url)))
          assert.deepStrictEqual([error.reason, error.isRetryable, calls], ["TooLarge", false, 1])
        }).pipe(Effect.provide([http, quiet])),
      )
    }
  })
}

describe("a redirect that the program's client follows", () => {
  const following = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.followRedirects(3)),
  ).pipe(Layer.provide(NodeHttp.layer))

  it.scopedLive("is an error all the same, and a write may have been executed there", () =>
    Effect.gen(function* () {
      const target = yield* serving((_, response) => response.end(ok))
      const url = yield* serving((_, response) => response.writeHead(307, { location: `${target}/x` }).end())
      const error = unavailable(yield* Effect.flip(write(url)))
      assert.deepStrictEqual([error.reason, error.execution, error.attempts], ["Redirected", "Unknown", 1])
      assert.deepStrictEqual(error.redirectedTo, Option.some(new URL(target).host))
    }).pipe(Effect.provide([following, quiet])),
  )
})

describe("Content-Encoding", () => {
  const text = Buffer.from(ok)
  for (const [coding, body] of [
    ["gzip", gzipSync(text)],
    ["GZIP", gzipSync(text)],
    ["x-gzip", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["deflate", deflateRawSync(text)],
    ["br", brotliCompressSync(text)],
    ["identity", text],
    ["deflate, Gzip", gzipSync(deflateSync(text))],
    ["gzip", text.subarray(0, 0)],
  ] as const) {
    it.scopedLive(`${coding} is undone (${body.length} bytes)`, () =>
      Effect.gen(function* () {
        const url = yield* serving((_, response) => response.setHeader("content-encoding", coding).end(body))
        const response = yield* Effect.flatMap(HttpClient.HttpClient, (client) => client.get(url))
        assert.strictEqual(yield* response.text, body.length === 0 ? "" : ok)
      }).pipe(Effect.provide([NodeHttp.layer, quiet])),
    )
  }

  it.scopedLive("one that is not known is named in the error", () =>
    Effect.gen(function* () {
      const url = yield* serving((_, response) => response.setHeader("content-encoding", "zstd").end("?"))
      const error = unavailable(yield* Effect.flip(read(url)))
      assert.deepStrictEqual(
        [error.reason, Option.getOrNull(error.contentEncoding), error.attempts],
        ["Encoding", "zstd", 1],
      )
      assert.include(error.message, "zstd")
    }).pipe(Effect.provide([NodeHttp.layer, quiet])),
  )
})

describe("a proxy of the environment", () => {
  /** What the variable was is put back at the end of the scope. */
  const variable = (name: string, value: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = process.env[name]
        process.env[name] = value
        return before
      }),
      (before) =>
        Effect.sync(() => {
          if (before === undefined) delete process.env[name]
          else process.env[name] = before
        }),
    )

  const through = (proxyPort: number, effect: Effect.Effect<void, unknown, HttpClient.HttpClient>) =>
    Effect.gen(function* () {
      yield* variable("http_proxy", `http://user:hush@127.0.0.1:${proxyPort}`)
      yield* variable("no_proxy", "")
      yield* Effect.provide(effect, NodeHttp.layerWith({ proxy: "environment" }))
    })

  it.scopedLive("is asked for a tunnel with its credentials, and carries the calls", () =>
    Effect.gen(function* () {
      const url = yield* serving((_, response) => response.end(ok))
      const asked: Array<readonly [string | undefined, string | undefined]> = []
      const proxy = createServer().on("connect", (request, socket) => {
        asked.push([request.url, request.headers["proxy-authorization"]])
        const { hostname, port } = new URL(`http://${request.url}`)
        const server = connect(Number(port), hostname, () => {
          socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
          socket.pipe(server).pipe(socket)
        })
        socket.on("error", () => {})
        server.on("error", () => {})
      })
      yield* through(yield* listening(proxy), Effect.asVoid(write(url)))
      assert.deepStrictEqual(asked, [[new URL(url).host, `Basic ${Buffer.from("user:hush").toString("base64")}`]])
    }).pipe(Effect.provide(quiet)),
  )

  for (const [what, code, answer] of [
    ["wants other credentials", "PROXY_407", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"],
    ["refuses the host", "PROXY_403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"],
    ["closes the connection", "UND_ERR_SOCKET", ""],
  ] as const) {
    it.scopedLive(`that ${what} is an error, and nothing was sent`, () =>
      Effect.gen(function* () {
        let connections = 0
        const proxy = yield* tcp((socket) => {
          connections++
          socket.once("data", () => socket.end(answer))
        })
        yield* through(
          proxy,
          Effect.gen(function* () {
            const error = unavailable(yield* Effect.flip(write("http://127.0.0.1:9")))
            assert.deepStrictEqual(
              [Option.getOrNull(error.code), error.execution, error.attempts],
              [code, "NotExecuted", 4],
            )
            assert.notInclude(error.message, "hush")
          }),
        )
        assert.isAtMost(connections, 8)
      }).pipe(Effect.provide(quiet)),
    )
  }

  it.scopedLive("that is no address is refused without its credentials", () =>
    Effect.gen(function* () {
      yield* variable("https_proxy", "http://user:hush@not an address")
      const error = yield* Effect.flip(
        Effect.provide(HttpClient.HttpClient, NodeHttp.layerWith({ proxy: "environment" })),
      )
      assert.include(error.message, "HTTPS_PROXY")
      assert.notInclude(error.message, "hush")
    }),
  )
})

describe("credentials", () => {
  for (const credentialsIn of ["query", "form"] as const) {
    it.scopedLive(`go to identity in the ${credentialsIn} when told so`, () =>
      Effect.gen(function* () {
        const seen: Array<readonly [string | undefined, string]> = []
        const url = yield* serving(async (request, response) => {
          const body = Buffer.concat(await request.toArray()).toString()
          if (!request.url?.startsWith("/identity/")) return void response.end(ok)
          seen.push([request.url, body])
          response.end('{"access_token":"t","expires_in":3600}')
        })
        yield* Effect.flatMap(MarketoClient.MarketoClient, (marketo) => marketo.get("/x", {})).pipe(
          Effect.provide(
            Marketo.layer({
              baseUrl: url,
              clientId: Redacted.make("id"),
              clientSecret: Redacted.make("hush & hush"),
              credentialsIn,
            }),
          ),
        )
        const credentials = "grant_type=client_credentials&client_id=id&client_secret=hush%20%26%20hush"
        assert.deepStrictEqual(seen, [
          credentialsIn === "query"
            ? [`/identity/oauth/token?${credentials}`, ""]
            : ["/identity/oauth/token", credentials],
        ])
      }).pipe(Effect.provide([NodeHttp.layer, quiet])),
    )
  }
})
