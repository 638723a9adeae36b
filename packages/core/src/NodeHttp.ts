/**
 * A ready `HttpClient` for Node: undici with keep-alive, asking for gzip and undoing it. Marketo compresses bodies of
 * 1,024 bytes and more, about 8 to 1. An answer is there when its whole body is, as Marketo's are a few MB at most; for
 * downloads that are to be streamed, take another client.
 *
 * It tells the services of this package how far each request came: what failed before it was handed to a connected socket was
 * not sent, and may be sent again. For other clients only some errors tell that (`ErrorCode.unsent`).
 *
 * Redirects are not followed. Certificates are checked against Node's list of authorities; `NODE_EXTRA_CA_CERTS` adds those of
 * a company's own.
 *
 * A subpath of its own, because only it needs `@effect/platform-node` and `undici`.
 *
 * @since 0.1.0
 */

import { brotliDecompress, gunzip, inflate, inflateRaw, type ZlibOptions } from "node:zlib"
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
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from "undici"
import * as contentCoding from "./internal/contentCoding.js"
import {
  BodyTooLarge,
  MAX_RESPONSE_BYTES,
  Transmission,
  type Service as TransmissionService,
} from "./internal/transmission.js"
import { MarketoInvalidRequest } from "./MarketoError.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * `"environment"` goes through the proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (or their names in lower case)
   * say, by CONNECT. Default: `"none"`, whatever these variables are.
   */
  readonly proxy?: "environment" | "none" | undefined
}

/** Larger than a page, so that gunzip returns it in one chunk. */
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
    return this.body.length === 0 ? Stream.empty : Stream.succeed(this.body)
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

interface Raw {
  readonly status: number
  readonly headers: Headers.Headers
  readonly body: Uint8Array<ArrayBuffer>
}

const toResponse = (request: HttpClientRequest.HttpClientRequest, { body, headers, status }: Raw) =>
  new Whole(request, status, headers, body)

/** The answer had begun. */
const broken = (request: HttpClientRequest.HttpClientRequest, raw: Raw, cause: unknown) =>
  new HttpClientError.ResponseError({ request, response: toResponse(request, raw), reason: "Decode", cause })

const EMPTY = new Uint8Array(0)

/** The answer as it came. A body over the limit is cut off as it arrives. */
const send = (
  dispatcher: Dispatcher,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  body: Body,
  transmission: TransmissionService,
): Effect.Effect<Raw, HttpClientError.HttpClientError> =>
  Effect.async((resume) => {
    let controller: Dispatcher.DispatchController | undefined
    let isInterrupted = false
    const abort = () => controller?.abort(new Error("interrupted"))
    let status = 0
    let headers = Headers.empty
    const chunks: Array<Buffer> = []
    let length = 0
    const fail = (cause: unknown) =>
      resume(
        Effect.fail(
          status === 0
            ? new HttpClientError.RequestError({ request, reason: "Transport", cause })
            : broken(request, { status, headers, body: EMPTY }, cause),
        ),
      )
    if (transmission.phase === "Unreported") transmission.phase = "NotSent"
    dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: { ...request.headers, "accept-encoding": "gzip" },
        body,
      },
      {
        // undici calls it when it has a connected socket, TLS included, just before it writes to it
        onRequestStart: (started) => {
          controller = started
          if (isInterrupted) abort()
          else transmission.phase = "Sent"
        },
        onResponseStart: (_, code, fields) => {
          status = code
          headers = Headers.fromInput(fields)
        },
        onResponseData: (_, chunk) => {
          length += chunk.length
          if (length <= transmission.maxResponseBytes) return void chunks.push(chunk)
          fail(new BodyTooLarge())
          abort()
        },
        onResponseEnd: () => {
          const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
          resume(Effect.succeed({ status, headers, body: bytes as Uint8Array<ArrayBuffer> }))
        },
        onResponseError: (_, cause) => fail(cause),
      },
    )
    return Effect.sync(() => {
      isInterrupted = true
      abort()
    })
  })

type Decoder = (
  bytes: Uint8Array,
  options: ZlibOptions,
  done: (error: NodeJS.ErrnoException | null, plain: Buffer) => void,
) => void

/**
 * Some servers send deflate without the two bytes of zlib's header. In that header the first byte names method 8, and both
 * bytes as one number are a multiple of 31.
 */
const inflateEither: Decoder = (bytes, options, done) => {
  const [first = 0, second = 0] = bytes
  const hasHeader = first % 16 === 8 && (first * 256 + second) % 31 === 0
  return (hasHeader ? inflate : inflateRaw)(bytes, options, done)
}

const decoders: Readonly<Record<contentCoding.Coding, Decoder>> = {
  gzip: gunzip,
  "x-gzip": gunzip,
  deflate: inflateEither,
  br: brotliDecompress,
}

/** Undoes one coding. What would grow over the limit is given up at the limit. */
const undo = (
  bytes: Uint8Array<ArrayBuffer>,
  coding: contentCoding.Coding,
  maxOutputLength: number,
): Effect.Effect<Uint8Array<ArrayBuffer>, Error> =>
  Effect.async((resume) =>
    decoders[coding](bytes, { chunkSize: CHUNK_BYTES, maxOutputLength }, (error, plain) => {
      if (error === null) return resume(Effect.succeed(plain as Uint8Array<ArrayBuffer>))
      resume(Effect.fail(error.code === "ERR_BUFFER_TOO_LARGE" ? new BodyTooLarge() : error))
    }),
  )

const decoded = (
  request: HttpClientRequest.HttpClientRequest,
  raw: Raw,
  transmission: TransmissionService,
): Effect.Effect<Whole, HttpClientError.ResponseError> => {
  const codings = contentCoding.decodable(raw.headers)
  if (codings.length === 0 || raw.body.length === 0) return Effect.succeed(toResponse(request, raw))
  const headers = Headers.remove(raw.headers, ["content-encoding", "content-length"])
  return Effect.reduce(codings.toReversed(), raw.body, (bytes, coding) =>
    undo(bytes, coding, transmission.maxResponseBytes),
  ).pipe(
    Effect.mapBoth({
      onFailure: (cause) => broken(request, raw, cause),
      onSuccess: (body) => toResponse(request, { ...raw, headers, body }),
    }),
  )
}

/** For a request that does not come from this package: its phase is not read, and the default limit applies. */
const newTransmission = (): TransmissionService => ({ maxResponseBytes: MAX_RESPONSE_BYTES, phase: "Unreported" })

const clientOf = (dispatcher: Dispatcher): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const transmission = Option.getOrElse(yield* Effect.serviceOption(Transmission), newTransmission)
      const body = yield* bodyOf(request)
      return yield* decoded(request, yield* send(dispatcher, request, url, body, transmission), transmission)
    }),
  )

/** Time limits are the caller's. */
const limits: Agent.Options = { bodyTimeout: 0, headersTimeout: 0 }

/** undici tells the status of a proxy that opens no tunnel in the text alone; it is what a person needs to know. */
const refusedBy = (cause: Error): Error => {
  const status = /^Proxy response \((\d+)\)/.exec(cause.message)?.[1]
  return Object.assign(new Error("no connection through the proxy", { cause }), status && { code: `PROXY_${status}` })
}

/**
 * The pools of one origin behind a proxy. undici connects again and again, without a pause, after an error that has this code;
 * a proxy that closes the connection instead of answering makes one.
 */
const tunnelled: Agent.Options["factory"] = (origin, options: Pool.Options) => {
  const { connect } = options
  if (typeof connect !== "function") return new Pool(origin, options)
  return new Pool(origin, {
    ...options,
    connect: (target, callback) =>
      connect(target, (...[error, socket]) =>
        error === null ? callback(null, socket) : callback(refusedBy(error), null),
      ),
  })
}

const dispatcherOf = ({ proxy = "none" }: Options): Effect.Effect<Dispatcher, MarketoInvalidRequest> =>
  proxy === "none"
    ? Effect.sync(() => new Agent(limits))
    : Effect.try({
        try: () => new EnvHttpProxyAgent({ ...limits, factory: tunnelled }),
        // not the error itself: it quotes the address, which may hold a password
        catch: () =>
          new MarketoInvalidRequest({
            field: "HTTPS_PROXY, HTTP_PROXY",
            limit: "must be addresses such as http://proxy.example.com:3128",
          }),
      })

const layerOf = (options: Options): Layer.Layer<HttpClient.HttpClient, MarketoInvalidRequest> =>
  Layer.scoped(
    HttpClient.HttpClient,
    Effect.acquireRelease(dispatcherOf(options), (dispatcher) =>
      Effect.tryPromise(() => dispatcher.destroy()).pipe(
        Effect.interruptible,
        Effect.timeoutOption("5 seconds"),
        Effect.ignoreLogged,
      ),
    ).pipe(Effect.map(clientOf)),
  )

/**
 * Connections that were not used for 4 s are closed. Time limits are the caller's: undici's own are off, but for 10 s to make a
 * connection.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.orDie(layerOf({}))

/**
 * The same with options. Fails if the environment names a proxy that is no address.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith: (options: Options) => Layer.Layer<HttpClient.HttpClient, MarketoInvalidRequest> = layerOf
