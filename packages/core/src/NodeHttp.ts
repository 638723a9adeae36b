/**
 * A ready `HttpClient` for Node: undici with keep-alive, asking for gzip and undoing it. Marketo compresses bodies of
 * 1,024 bytes and more, about 8 to 1.
 *
 * A subpath of its own, because only it needs `@effect/platform-node` and `undici`.
 *
 * @since 0.1.0
 */

import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Agent, interceptors } from "undici"

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
    const client = NodeHttpClient.makeUndici(agent.compose(interceptors.decompress()))
    return HttpClient.mapRequest(client, HttpClientRequest.setHeader("accept-encoding", "gzip"))
  }),
)
