import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type { Headers } from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ErrorCode from "../ErrorCode.js"
import { MarketoRejected, MarketoUnavailable, MarketoUndecodable } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import type { RequestPolicy } from "../RequestPolicy.js"
import * as body from "./body.js"
import * as connectionError from "./connectionError.js"
import * as contentCoding from "./contentCoding.js"
import { tagged } from "./count.js"

import type { Failure } from "./failure.js"
import { across } from "./handover.js"
import * as monotonic from "./monotonic.js"
import { BodyTooLarge, Transmission, type Service as TransmissionService } from "./transmission.js"
import { VERSION } from "./version.js"

const headers = { accept: "application/json", "user-agent": `effect-marketo/${VERSION}` }

/**
 * The program's HTTP client as every call uses it. It makes no spans and no trace headers, because addresses hold secrets and
 * ids of leads. `fetch` must not follow a redirect: the access token would go to another host.
 */
export const httpClient: Effect.Effect<HttpClient.HttpClient, never, HttpClient.HttpClient> = Effect.gen(function* () {
  const init = yield* Effect.serviceOption(FetchHttpClient.RequestInit)
  return (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest(HttpClientRequest.setHeaders(headers)),
    HttpClient.withTracerDisabledWhen(() => true),
    HttpClient.transformResponse(
      Effect.provideService(FetchHttpClient.RequestInit, { ...Option.getOrNull(init), redirect: "manual" }),
    ),
  )
})

/** No usable answer, as its row of the table has it. */
const unavailable = (
  endpoint: string,
  reason: MarketoUnavailable["reason"],
  row: Pick<ErrorCode.Row, "action" | "execution"> | undefined,
  details: {
    readonly code?: string | undefined
    readonly redirectedTo?: string | undefined
    readonly contentEncoding?: string | undefined
  } = {},
): Failure => {
  const { action, execution } = row ?? { action: "Fail", execution: "Unknown" }
  return {
    action,
    execution,
    cause: details.code ?? reason,
    toError: (attempts) =>
      new MarketoUnavailable({
        endpoint,
        attempts,
        reason,
        execution,
        code: Option.fromNullable(details.code),
        redirectedTo: Option.fromNullable(details.redirectedTo),
        contentEncoding: Option.fromNullable(details.contentEncoding),
      }),
  }
}

export const malformed = (endpoint: string): Failure =>
  unavailable(endpoint, "Malformed", ErrorCode.get("Client", "Malformed"))

const UNSENT = { action: "Fail", execution: "NotExecuted" } as const

/** What is fixed for every attempt of a call. */
export interface Options {
  readonly endpoint: string
  readonly kind: "read" | "write"
  readonly policy: RequestPolicy
  /** Of the decoded body. */
  readonly maxResponseBytes: number
}

interface Call extends Options {
  readonly transmission: TransmissionService
  readonly clock: Clock.Clock
}

const fromHttpError = (call: Call, error: HttpClientError): Failure => {
  const { endpoint, transmission } = call
  if (error._tag === "ResponseError") {
    if (!isSuccess(error.response.status)) return fromStatus(call, error.response)
    if (error.cause instanceof BodyTooLarge) return tooLarge(endpoint)
  }
  // never the error itself as a cause: it holds the request, and with it tokens and secrets
  const code = connectionError.codeOf(error.cause)
  // a request that could not be made was not sent, and cannot be made the next time either
  if (error._tag === "RequestError" && error.reason !== "Transport") {
    return unavailable(endpoint, "Connection", UNSENT, { code })
  }
  const isUnsent =
    transmission.phase === "NotSent" ||
    (transmission.phase === "Unreported" && error._tag === "RequestError" && connectionError.isUnsent(error.cause))
  return unavailable(endpoint, "Connection", ErrorCode.get("Connection", isUnsent ? "not sent" : "sent"), { code })
}

const onTimeout = ({ endpoint, transmission }: Call): Failure => {
  const { action, execution } = ErrorCode.get("Client", "Timeout") ?? UNSENT
  return unavailable(endpoint, "Timeout", {
    action,
    execution: transmission.phase === "NotSent" ? "NotExecuted" : execution,
  })
}

const isSuccess = (status: number): boolean => status >= 200 && status <= 299

/** `opaqueredirect`, what browsers make of a redirect that is not followed, has status 0. */
const isRedirect = (status: number): boolean => status === 0 || (status >= 300 && status <= 399)

const hostOf = (address: string | undefined, base: string): string | undefined =>
  address !== undefined && URL.canParse(address, base) ? new URL(address, base).host : undefined

/** `Retry-After` in seconds, or as a date, which counts from the server's own `Date` if the answer has one. */
const retryAfter = (headers: Headers, now: number): number => {
  const text = headers["retry-after"]?.trim() ?? ""
  if (/^\d+$/.test(text)) return Number(text)
  const sent = Date.parse(headers.date ?? "")
  return (Date.parse(text) - (Number.isNaN(sent) ? now : sent)) / 1000
}

const pauseOf = ({ clock, policy }: Call, { headers, status }: HttpClientResponse): Duration.Duration | undefined => {
  if (status !== 429 && status !== 503) return undefined
  const seconds = retryAfter(headers, clock.unsafeCurrentTimeMillis())
  return seconds > 0 ? Duration.min(Duration.seconds(seconds), policy.maxRetryAfter) : undefined
}

const fromStatus = (call: Call, response: HttpClientResponse): Failure => {
  const { endpoint } = call
  const code = String(response.status)
  if (isRedirect(response.status)) {
    const redirectedTo = hostOf(response.headers.location, response.request.url)
    return unavailable(endpoint, "Redirected", ErrorCode.get("HTTP", "3xx"), { code, redirectedTo })
  }
  const row = ErrorCode.get("HTTP", code)
  if (row !== undefined && row.action !== "Fail") {
    return { ...unavailable(endpoint, "Gateway", row, { code }), pause: pauseOf(call, response) }
  }
  const execution = row?.execution ?? "Unknown"
  return {
    action: "Fail",
    execution,
    cause: code,
    toError: (attempts) => new MarketoRejected({ endpoint, attempts, codes: [code], execution, isRetryable: false }),
  }
}

/** The address that answered, if a client has followed a redirect: Effect's clients tell by the request, `fetch` by its response. */
const followedTo = (asked: HttpClientRequest.HttpClientRequest, response: HttpClientResponse): string | undefined => {
  if (response.request.url !== asked.url) return response.request.url
  const { source } = response as { readonly source?: { readonly redirected?: boolean; readonly url?: string } }
  return source?.redirected === true ? source.url : undefined
}

export type Json = Readonly<Record<string, unknown>>

/** What came back, whole. */
export interface Answer {
  readonly body: Uint8Array
  readonly json: body.Json
  readonly unreadable: body.Body["unreadable"]
  /** The `Date` header. */
  readonly date: string | undefined
}

/** A body that is no JSON, however often it is asked for. A write keeps its doubt: `MarketoUnavailable` says what was executed. */
const unreadable = ({ endpoint, kind }: Call, { headers }: HttpClientResponse, problem: body.Unreadable): Failure => {
  const contentEncoding = contentCoding.unknown(headers)
  if (contentEncoding !== undefined) {
    return unavailable(endpoint, "Encoding", ErrorCode.get("Client", "Encoding"), { contentEncoding })
  }
  const failure = malformed(endpoint)
  if (problem._tag === "Cut" || kind === "write") return failure
  const paths = [problem.problem]
  return {
    ...failure,
    toError: (attempts) => new MarketoUndecodable({ endpoint, attempts, index: Option.none(), paths }),
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const tooLarge = (endpoint: string): Failure => unavailable(endpoint, "TooLarge", ErrorCode.get("Client", "TooLarge"))

/** The body, whatever client it comes from. A larger one is cut off as it arrives. */
const read = (call: Call, response: HttpClientResponse): Effect.Effect<Uint8Array, Failure> =>
  Effect.suspend(() => {
    if (call.transmission.phase !== "Unreported") {
      return Effect.mapBoth(response.arrayBuffer, {
        onFailure: (error) => fromHttpError(call, error),
        onSuccess: (buffer) => new Uint8Array(buffer),
      })
    }
    const chunks: Array<Uint8Array> = []
    let length = 0
    return response.stream.pipe(
      // inside the stream: its fiber logs what it fails with, and the client's error quotes the address
      Stream.catchAll((error) =>
        error.reason === "EmptyBody" ? Stream.empty : Stream.fail(fromHttpError(call, error)),
      ),
      Stream.runForEach((chunk) => {
        length += chunk.length
        if (length > call.transmission.maxResponseBytes) return Effect.fail(tooLarge(call.endpoint))
        chunks.push(chunk)
        return Effect.void
      }),
      Effect.map(() => (chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks, length))),
    )
  })

/** One attempt: a request, its whole body within the policy's time limit, and the body as a JSON object. */
export const execute = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  options: Options,
): Effect.Effect<Answer, Failure> =>
  Effect.clockWith((clock) => {
    const { endpoint, maxResponseBytes, policy } = options
    const transmission: TransmissionService = { maxResponseBytes, phase: "Unreported" }
    const call: Call = { ...options, transmission, clock }
    return Effect.gen(function* () {
      const started = yield* monotonic.now
      const response = yield* client.execute(request)
      const followed = followedTo(request, response)
      if (followed !== undefined) {
        const redirectedTo = hostOf(followed, request.url)
        return yield* Effect.fail(
          unavailable(endpoint, "Redirected", ErrorCode.get("Client", "Redirected"), { redirectedTo }),
        )
      }
      const bytes = yield* Effect.either(read(call, response))
      const took = (yield* monotonic.now) - started
      yield* Metric.update(tagged(Metrics.requestDuration, { endpoint }), took / 1000)
      if (!isSuccess(response.status)) return yield* Effect.fail(fromStatus(call, response))
      if (Either.isLeft(bytes)) return yield* Effect.fail(bytes.left)
      const parsed = body.parse(bytes.right)
      if (Either.isLeft(parsed)) return yield* Effect.fail(unreadable(call, response, parsed.left))
      return { ...parsed.right, body: bytes.right, date: response.headers.date }
    }).pipe(
      Effect.provideService(Transmission, transmission),
      Effect.catchTags({
        RequestError: (error) => Effect.fail(fromHttpError(call, error)),
        ResponseError: (error) => Effect.fail(fromHttpError(call, error)),
      }),
      across(Effect.timeoutFail({ duration: policy.timeout, onTimeout: () => onTimeout(call) })),
    )
  })
