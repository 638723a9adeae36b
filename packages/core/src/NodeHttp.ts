/**
 * A ready `HttpClient` for Node: undici with keep-alive, asking for gzip and undoing it. Marketo compresses bodies of
 * 1,024 bytes and more, about 8 to 1.
 *
 * A subpath of its own, because only it needs `@effect/platform-node` and `undici`.
 *
 * @since 0.1.0
 */

import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Agent } from "undici"

const unzip = promisify(gunzip)

/** Of a page, so that it is unzipped in one piece. */
const CHUNK_BYTES = 256 * 1024

/** The whole body, unzipped off the main thread. undici's own interceptor for it is experimental, and warns so. */
const decompress = (
  response: HttpClientResponse.HttpClientResponse,
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.ResponseError> =>
  response.headers["content-encoding"] !== "gzip"
    ? Effect.succeed(response)
    : Effect.gen(function* () {
        const { request, status } = response
        const { "content-encoding": _, "content-length": __, ...headers } = response.headers
        const body = yield* response.arrayBuffer
        const plain = yield* Effect.tryPromise({
          try: () => unzip(body, { chunkSize: CHUNK_BYTES }),
          catch: (cause) => new HttpClientError.ResponseError({ request, response, reason: "Decode", cause }),
        })
        return HttpClientResponse.fromWeb(request, new Response(plain, { status, headers }))
      })

/**
 * Connections that were not used for 4 s are closed. Time limits are the caller's: undici's own are off.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.scoped(
  HttpClient.HttpClient,
  Effect.gen(function* () {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ bodyTimeout: 0, headersTimeout: 0 })),
      (agent) =>
        Effect.tryPromise(() => agent.destroy()).pipe(
          Effect.interruptible,
          Effect.timeoutOption("5 seconds"),
          Effect.ignoreLogged,
        ),
    )
    return NodeHttpClient.makeUndici(agent).pipe(
      HttpClient.mapRequest(HttpClientRequest.setHeader("accept-encoding", "gzip")),
      HttpClient.transformResponse(Effect.flatMap(decompress)),
    )
  }),
)
