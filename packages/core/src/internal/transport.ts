import type * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as ErrorCode from "../ErrorCode.js"
import { MarketoRejected, MarketoUnavailable } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import { tagged } from "./count.js"

import type { Failure } from "./failure.js"
import { across } from "./handover.js"

/** The code of a driver's error, under however many wrappers that have none. */
const codeOf = (error: unknown): string | undefined => {
  for (let e: unknown = error, depth = 0; typeof e === "object" && e !== null && depth < 8; depth++) {
    const { cause, code, errors } = e as { cause?: unknown; code?: unknown; errors?: ReadonlyArray<unknown> }
    if (typeof code === "string") return code
    e = errors?.[0] ?? cause
  }
  return undefined
}

/** No usable answer, as its row of the table has it. */
const unavailable = (
  endpoint: string,
  reason: MarketoUnavailable["reason"],
  row: Pick<ErrorCode.Row, "action" | "execution"> | undefined,
  code?: string,
): Failure => {
  const { action, execution } = row ?? { action: "Fail", execution: "Unknown" }
  return {
    action,
    execution,
    cause: code ?? reason,
    toError: (attempts) => new MarketoUnavailable({ endpoint, attempts, reason, execution, code }),
  }
}

export const malformed = (endpoint: string): Failure =>
  unavailable(endpoint, "Malformed", ErrorCode.get("Client", "Malformed"))

const UNSENT = { action: "Fail", execution: "NotExecuted" } as const

const fromHttpError =
  (endpoint: string) =>
  (error: HttpClientError): Failure => {
    // never the error itself as a cause: it holds the request, and with it tokens and secrets
    const code = codeOf(error.cause)
    // an answer had begun: whatever broke it, the call may have been executed
    if (error._tag === "ResponseError") {
      return unavailable(endpoint, "Connection", ErrorCode.get("Connection", "other"), code)
    }
    // a request that could not be made was not sent, and cannot be made the next time either
    const row = error.reason === "Transport" ? ErrorCode.get("Connection", code ?? "other") : UNSENT
    return unavailable(endpoint, "Connection", row, code)
  }

const fromStatus = (endpoint: string, status: number): Failure => {
  const code = String(status)
  const row = ErrorCode.get("HTTP", code)
  if (row !== undefined && row.action !== "Fail") return unavailable(endpoint, "Gateway", row, code)
  const execution = row?.execution ?? "Unknown"
  return {
    action: "Fail",
    execution,
    cause: code,
    toError: (attempts) => new MarketoRejected({ endpoint, attempts, codes: [code], execution, isRetryable: false }),
  }
}

export type Json = Readonly<Record<string, unknown>>

/** What came back, whole. */
export interface Answer {
  readonly body: Uint8Array
  readonly json: Json
  /** The `Date` header. */
  readonly date: string | undefined
}

const decoder = new TextDecoder()

const parse = (text: string): Json | undefined => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? (json as Json) : undefined
  } catch {
    return undefined
  }
}

/** One attempt: a request, its whole body within `timeout`, and the body as a JSON object. */
export const execute: (
  client: HttpClient.HttpClient,
  endpoint: string,
  request: HttpClientRequest.HttpClientRequest,
  timeout: Duration.Duration,
) => Effect.Effect<Answer, Failure> = Effect.fnUntraced(
  function* (client, endpoint, request, _timeout) {
    const started = yield* Clock.currentTimeMillis
    const response = yield* client.execute(request)
    const body = new Uint8Array(yield* response.arrayBuffer)
    const took = (yield* Clock.currentTimeMillis) - started
    yield* Metric.update(tagged(Metrics.requestDuration, { endpoint }), took / 1000)
    if (response.status < 200 || response.status > 299) return yield* Effect.fail(fromStatus(endpoint, response.status))
    const json = parse(decoder.decode(body))
    if (json === undefined) {
      return yield* Effect.fail(malformed(endpoint))
    }
    return { body, json, date: response.headers.date }
  },
  (attempt, _client, endpoint, _request, timeout) =>
    attempt.pipe(
      Effect.catchTags({
        RequestError: (error) => Effect.fail(fromHttpError(endpoint)(error)),
        ResponseError: (error) => Effect.fail(fromHttpError(endpoint)(error)),
      }),
      across(
        Effect.timeoutFail({
          duration: timeout,
          onTimeout: () => unavailable(endpoint, "Timeout", ErrorCode.get("Client", "Timeout")),
        }),
      ),
    ),
)
