/**
 * One call to Marketo: token, limits, time limit, retry, envelope, errors. Everything in this package calls through it,
 * and programs may, for endpoints that are not modelled here.
 *
 * Marketo answers errors with HTTP 200; here they are errors. What is repeated is `ErrorCode.table`, how often and how
 * long is `RequestPolicy`. The `HttpClient` that it is given must not repeat calls by itself.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AccessToken from "./AccessToken.js"
import * as ApiLimits from "./ApiLimits.js"
import * as ErrorCode from "./ErrorCode.js"
import { count } from "./internal/count.js"
import { type Failure, retry } from "./internal/failure.js"
import { encodeQuery } from "./internal/query.js"
import * as transport from "./internal/transport.js"
import { Limited, type MarketoError, Rejected, Unauthorized } from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import { general, type RequestPolicy } from "./RequestPolicy.js"

/**
 * An answer with `success: true`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  /** The body as it came. */
  readonly text: string
  /** The body parsed; `JSON.parse` rounds integers past 2^53. */
  readonly json: Readonly<Record<string, unknown>>
  /** Marketo's id of the call; empty when it sent none. */
  readonly requestId: string
  /** Marketo's clock, where the answer tells it; else this machine's. */
  readonly time: DateTime.Utc
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CallOptions {
  /** Names the call in errors, spans and metrics. Default: the path. */
  readonly endpoint?: string | undefined
  /** Default: `RequestPolicy.general`. */
  readonly policy?: RequestPolicy | undefined
  /** An answer of which this is false is treated like a cut one: repeated, then `Unavailable`. */
  readonly isComplete?: ((json: Answer["json"]) => boolean) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Reads. Values are URL-encoded here. A query over 7 KB goes as a form, `POST …?_method=GET`: Marketo takes addresses
   * of up to 8 KB.
   */
  readonly get: (
    path: string,
    query: Readonly<Record<string, string>>,
    options?: CallOptions,
  ) => Effect.Effect<Answer, MarketoError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class MarketoClient extends Context.Tag("@effect-marketo/core/MarketoClient")<MarketoClient, Service>() {}

const MAX_QUERY = 7_000

const requestFor = (url: string, query: Readonly<Record<string, string>>): HttpClientRequest.HttpClientRequest => {
  const encoded = encodeQuery(query)
  if (encoded.length > MAX_QUERY) {
    return HttpClientRequest.post(`${url}?_method=GET`).pipe(
      HttpClientRequest.bodyText(encoded, "application/x-www-form-urlencoded"),
    )
  }
  return HttpClientRequest.get(encoded === "" ? url : `${url}?${encoded}`)
}

/** Marketo documents text; numbers were seen. */
const codesOf = (json: Answer["json"]): ReadonlyArray<string> =>
  (Array.isArray(json.errors) ? json.errors : [])
    .map((error: unknown) => (typeof error === "object" && error !== null && "code" in error ? error.code : undefined))
    .filter((code) => typeof code === "string" || typeof code === "number")
    .map(String)

/** With several codes the one that asks for most care decides. */
const byCare: ReadonlyArray<ErrorCode.Action> = [
  "Fail",
  "WaitQuota",
  "WaitWindow",
  "Reauthenticate",
  "RetryFew",
  "Retry",
]

const isWarning = (json: Answer["json"]) => Array.isArray(json.warnings) && json.warnings.length > 0

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly baseUrl: string
}): Effect.Effect<Service, never, HttpClient.HttpClient | AccessToken.AccessToken | ApiLimits.ApiLimits> =>
  Effect.gen(function* () {
    // the query names leads, and the vendor has no use for our trace headers
    const client = (yield* HttpClient.HttpClient).pipe(HttpClient.withTracerDisabledWhen(() => true))
    const accessToken = yield* AccessToken.AccessToken
    const limits = yield* ApiLimits.ApiLimits

    const fromEnvelope = (endpoint: string, json: Answer["json"]): Effect.Effect<never, Failure> =>
      Effect.gen(function* () {
        const [first, ...rest] = codesOf(json)
        if (first === undefined) {
          return yield* Effect.fail(
            transport.unavailable(endpoint, "Retry", { reason: "Malformed", execution: "Unknown" }),
          )
        }
        const codes = [first, ...rest] as const
        const rows = codes.map((code) => ErrorCode.get(code))
        const action = byCare.find((a) => rows.some((row) => (row?.action ?? "Fail") === a)) ?? "Fail"
        const deciding = Math.max(
          0,
          rows.findIndex((row) => (row?.action ?? "Fail") === action),
        )
        const code = codes[deciding] ?? first
        const requestId = typeof json.requestId === "string" ? json.requestId : undefined
        const now = yield* DateTime.now
        const common = { endpoint, requestId }
        const limited = (
          reason: Limited["reason"],
          retryAt: DateTime.Utc,
          doing: ErrorCode.Action,
          waits: boolean,
        ): Failure => ({
          action: doing,
          cause: code,
          ...(waits ? { retryAt } : {}),
          toError: (attempts) => new Limited({ ...common, attempts, reason, retryAt }),
        })
        if (action === "WaitQuota") {
          const retryAt = ApiLimits.quotaReset(now)
          if (limits.dailyQuota === "fail") return yield* Effect.fail(limited("DailyQuota", retryAt, "Fail", true))
          yield* limits.pauseUntil(retryAt)
          return yield* Effect.fail(limited("DailyQuota", retryAt, action, true))
        }
        if (action === "WaitWindow") {
          const retryAt = DateTime.addDuration(now, limits.window)
          yield* limits.pauseUntil(retryAt)
          return yield* Effect.fail(limited("Rate", retryAt, action, true))
        }
        if (code === "615") return yield* Effect.fail(limited("Concurrency", now, action, false))
        if (code === "603") {
          return yield* Effect.fail<Failure>({
            action,
            cause: code,
            toError: (attempts) => new Unauthorized({ ...common, attempts, reason: "Permission" }),
          })
        }
        const execution = rows.every((row) => row?.execution === "NotExecuted") ? "NotExecuted" : "Unknown"
        return yield* Effect.fail<Failure>({
          action,
          cause: code,
          toError: (attempts) =>
            action === "Reauthenticate"
              ? new Unauthorized({ ...common, attempts, reason: "Token" })
              : new Rejected({ ...common, attempts, codes, execution, isRetryable: action !== "Fail" }),
        })
      })

    const get: Service["get"] = (path, query, call = {}) => {
      const endpoint = call.endpoint ?? path
      const policy = call.policy ?? general
      const request = requestFor(`${options.baseUrl}${path}`, query)
      const send = (token: AccessToken.Token): Effect.Effect<Answer, Failure> =>
        limits.run(
          Effect.gen(function* () {
            const authorized = HttpClientRequest.bearerToken(request, token.value)
            const { date, json, text } = yield* transport.execute(client, endpoint, authorized, policy.timeout)
            if (json.success === false) return yield* fromEnvelope(endpoint, json)
            if (json.success !== true || call.isComplete?.(json) === false) {
              return yield* Effect.fail(
                transport.unavailable(endpoint, "Retry", { reason: "Malformed", execution: "Unknown" }),
              )
            }
            if (isWarning(json))
              yield* Effect.logWarning("Marketo answered with warnings").pipe(Effect.annotateLogs({ endpoint }))
            const requestId = typeof json.requestId === "string" ? json.requestId : ""
            const now = yield* Clock.currentTimeMillis
            const time = Option.getOrElse(DateTime.make(date ?? now), () => DateTime.unsafeMake(now))
            return { text, json, requestId, time: DateTime.toUtc(time) }
          }).pipe(
            Effect.tapBoth({
              onSuccess: () => count(Metrics.requests, { endpoint, outcome: "ok" }),
              onFailure: (failure) => count(Metrics.requests, { endpoint, outcome: failure.cause }),
            }),
          ),
        )
      const token = Effect.mapError(
        accessToken.get,
        (error): Failure => ({ action: "Fail", cause: error._tag, toError: () => error }),
      )
      /** 601 and 602 alike: drop that token and repeat the call once with a new one. */
      const attempt = Effect.flatMap(token, (first) =>
        Effect.catchIf(
          send(first),
          (failure) => failure.action === "Reauthenticate",
          (failure) =>
            accessToken.invalidate(first).pipe(
              Effect.zipRight(count(Metrics.retries, { endpoint, cause: failure.cause })),
              Effect.zipRight(token),
              Effect.flatMap(send),
              Effect.mapError(
                (again): Failure => (again.action === "Reauthenticate" ? { ...again, action: "Fail" } : again),
              ),
            ),
        ),
      )
      return retry(endpoint, policy, attempt).pipe(
        Effect.withSpan("MarketoClient.get", {
          captureStackTrace: false,
          attributes: { "marketo.endpoint": endpoint, "server.address": new URL(options.baseUrl).host },
        }),
      )
    }
    return MarketoClient.of({ get })
  })
