import type * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as ErrorCode from "../ErrorCode.js"
import { type Execution, Rejected, Unavailable } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import type { Failure } from "./failure.js"

/**
 * Codes of fetch, undici and node:http that say that nothing was sent: no connection was made, or TLS was not agreed on.
 * Any other broken connection may have broken after the server executed the call.
 */
const beforeSending: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
])

/** The code at the bottom of a driver's error, however many wrappers it has. */
const codeOf = (error: unknown): string | undefined => {
  for (let e: unknown = error, depth = 0; typeof e === "object" && e !== null && depth < 8; depth++) {
    const { cause, code, errors } = e as { cause?: unknown; code?: unknown; errors?: ReadonlyArray<unknown> }
    if (typeof code === "string") return code
    e = errors?.[0] ?? cause
  }
  return undefined
}

export const unavailable = (
  endpoint: string,
  action: ErrorCode.Action,
  error: { readonly reason: Unavailable["reason"]; readonly execution: Execution; readonly code?: string | undefined },
): Failure => ({
  action,
  cause: error.code ?? error.reason,
  toError: (attempts) => new Unavailable({ endpoint, attempts, ...error }),
})

const fromHttpError =
  (endpoint: string) =>
  (error: HttpClientError): Failure => {
    const code = codeOf(error.cause)
    const nothingSent = error._tag === "RequestError" && (error.reason !== "Transport" || beforeSending.has(code ?? ""))
    // never the error itself as a cause: it holds the request, and with it tokens and secrets
    return unavailable(endpoint, error._tag === "RequestError" && error.reason !== "Transport" ? "Fail" : "Retry", {
      reason: "Connection",
      execution: nothingSent ? "NotExecuted" : "Unknown",
      code,
    })
  }

const fromStatus = (endpoint: string, status: number): Failure => {
  const row = ErrorCode.getStatus(status)
  const action = row?.action ?? "Fail"
  const execution = row?.execution ?? "Unknown"
  return action === "Fail"
    ? {
        action,
        cause: String(status),
        toError: (attempts) =>
          new Rejected({ endpoint, attempts, codes: [String(status)], execution, isRetryable: false }),
      }
    : unavailable(endpoint, action, { reason: "Gateway", execution, code: String(status) })
}

export type Json = Readonly<Record<string, unknown>>

/** What came back, whole. */
export interface Answer {
  readonly text: string
  readonly json: Json
  /** The `Date` header. */
  readonly date: string | undefined
}

const parse = (text: string): Json | undefined => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? (json as Json) : undefined
  } catch {
    return undefined
  }
}

/** One attempt: a request, its whole body within `timeout`, and the body as a JSON object. */
export const execute = (
  client: HttpClient.HttpClient,
  endpoint: string,
  request: HttpClientRequest.HttpClientRequest,
  timeout: Duration.Duration,
): Effect.Effect<Answer, Failure> =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const response = yield* client.execute(request)
    const text = yield* response.text
    const took = (yield* Clock.currentTimeMillis) - started
    yield* Metric.update(Metrics.requestDuration.pipe(Metric.tagged("endpoint", endpoint)), took / 1000)
    if (response.status < 200 || response.status > 299) return yield* Effect.fail(fromStatus(endpoint, response.status))
    const json = parse(text)
    if (json === undefined) {
      return yield* Effect.fail(unavailable(endpoint, "Retry", { reason: "Malformed", execution: "Unknown" }))
    }
    return { text, json, date: response.headers.date }
  }).pipe(
    Effect.catchTags({
      RequestError: (error) => Effect.fail(fromHttpError(endpoint)(error)),
      ResponseError: (error) => Effect.fail(fromHttpError(endpoint)(error)),
    }),
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => unavailable(endpoint, "Retry", { reason: "Timeout", execution: "Unknown" }),
    }),
  )
