/**
 * A ready `HttpClient` for Node: undici with keep-alive, asking for gzip and undoing it. Marketo compresses bodies of
 * 1,024 bytes and more, about 8 to 1. An answer is there when its whole body is, as Marketo's are a few MB at most; for
 * downloads that are to be streamed, take another client.
 *
 * A subpath of its own, because only it needs `@effect/platform-node` and `undici`.
 *
 * @since 0.1.0
 */

import { gunzip } from "node:zlib"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import { Agent, type Dispatcher } from "undici"

/** Of a page, so that it is unzipped in one piece. */
const CHUNK_BYTES = 256 * 1024

/** An answer whose body is in memory. Its bytes are what is asked for; other views go by the platform's own. */
class Whole extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId

  constructor(
    readonly request: HttpClientRequest.HttpClientRequest,
    readonly status: number,
    readonly headers: Headers.Headers,
    readonly body: Uint8Array<ArrayBuffer>,
  ) {
    super()
  }

  get arrayBuffer() {
    const { buffer, byteLength, byteOffset } = this.body
    return Effect.succeed(byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength))
  }

  private get web() {
    const { body, headers, request, status } = this
    return HttpClientResponse.fromWeb(request, new Response(body.length === 0 ? null : body, { status, headers }))
  }

  get remoteAddress() {
    return this.web.remoteAddress
  }
  get cookies() {
    return this.web.cookies
  }
  get json() {
    return this.web.json
  }
  get text() {
    return this.web.text
  }
  get urlParamsBody() {
    return this.web.urlParamsBody
  }
  get formData() {
    return this.web.formData
  }
  get stream() {
    return this.web.stream
  }

  override toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect-marketo/core/NodeHttp",
      request: this.request.toJSON(),
      status: this.status,
    })
  }
}

type Body = NonNullable<Dispatcher.DispatchOptions["body"]> | null

const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): Effect.Effect<Body> => {
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(null)
    case "Uint8Array":
    case "Raw":
      return Effect.succeed(body.body as Uint8Array)
    case "FormData":
      return Effect.succeed(body.formData as unknown as Body)
    case "Stream":
      return NodeStream.toReadable(body.stream)
  }
}

const send = (
  agent: Agent,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  body: Body,
): Effect.Effect<Whole, HttpClientError.HttpClientError> =>
  Effect.async((resume) => {
    let controller: Dispatcher.DispatchController | undefined
    let isInterrupted = false
    const abort = () => controller?.abort(new Error("interrupted"))
    let status = 0
    let headers = Headers.empty
    const chunks: Array<Buffer> = []
    const answer = (bytes: Buffer) => new Whole(request, status, headers, bytes as Uint8Array<ArrayBuffer>)
    const broken = (cause: unknown) =>
      Effect.fail(
        status === 0
          ? new HttpClientError.RequestError({ request, reason: "Transport", cause })
          : new HttpClientError.ResponseError({ request, response: answer(Buffer.alloc(0)), reason: "Decode", cause }),
      )
    agent.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: { ...request.headers, "accept-encoding": "gzip" },
        body,
      },
      {
        onRequestStart: (started) => {
          controller = started
          if (isInterrupted) abort()
        },
        onResponseStart: (_, code, fields) => {
          status = code
          headers = Headers.fromInput(fields)
        },
        onResponseData: (_, chunk) => {
          chunks.push(chunk)
        },
        onResponseEnd: () => {
          const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
          if (headers["content-encoding"] !== "gzip") return resume(Effect.succeed(answer(bytes)))
          headers = Headers.remove(headers, ["content-encoding", "content-length"])
          gunzip(bytes, { chunkSize: CHUNK_BYTES }, (cause, plain) =>
            resume(cause === null ? Effect.succeed(answer(plain)) : broken(cause)),
          )
        },
        onResponseError: (_, cause) => resume(broken(cause)),
      },
    )
    return Effect.sync(() => {
      isInterrupted = true
      abort()
    })
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
    return HttpClient.make((request, url) => Effect.flatMap(bodyOf(request), (body) => send(agent, request, url, body)))
  }),
)
