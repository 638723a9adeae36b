/**
 * One call to Marketo: token, limits, time limit, retry, envelope, errors. Everything in this package calls through it,
 * and programs may, for endpoints that are not modelled here.
 *
 * Marketo answers errors with HTTP 200; here they are errors. What is repeated is `ErrorCode.table`, how often and how
 * long is `RequestPolicy`. The `HttpClient` that it is given must not repeat calls by itself.
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as AccessToken from "./AccessToken.js"
import * as ApiLimits from "./ApiLimits.js"
import { count } from "./internal/count.js"
import { failureOf, messagesOf, requestIdOf } from "./internal/envelope.js"
import { type Failure, retry } from "./internal/failure.js"
import * as monotonic from "./internal/monotonic.js"
import { encodeQuery } from "./internal/query.js"
import { span } from "./internal/span.js"
import * as transport from "./internal/transport.js"
import { type CallError, MarketoInvalidRequest, MarketoUnavailable, MarketoUndecodable } from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import { endpoints, general, type RequestPolicy } from "./RequestPolicy.js"

/**
 * An answer with `success: true`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  /** The body as it came, in UTF-8. */
  readonly body: Uint8Array
  /** The body parsed; `JSON.parse` rounds integers past 2^53. An element of `result` that is not valid JSON is `null`. */
  readonly json: Readonly<Record<string, unknown>>
  /** What is wrong with such elements, by their index in `result`. Empty unless the call was made with `unreadable: "keep"`. */
  readonly unreadable: ReadonlyMap<number, string>
  /** Marketo's id of the call. */
  readonly requestId: Option.Option<string>
  /** Marketo's clock, where the answer tells it; else this machine's. */
  readonly time: DateTime.Utc
}

/**
 * What has to be held while a call is on the wire, and only then, such as a claim on the records that it writes. A call may
 * wait for limits, a token or its repeat for as long as an outage lasts; during such waits nothing is held.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hold {
  /** Before an attempt, which waits for it. Who cannot get it interrupts the call. */
  readonly acquire: Effect.Effect<void>
  /** After an attempt that Marketo did not execute. After any other it is still held: the caller has something to settle. */
  readonly release: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CallOptions {
  /**
   * Names the call in errors, spans and metrics. Default: the path, with `:id` for numbers in it and `:value` for what is no
   * plain word. A client takes up to 100 names beside those of `RequestPolicy.endpoints`, because metrics keep each; further
   * ones are all called "other".
   */
  readonly endpoint?: string | undefined
  /** Default: `RequestPolicy.general`. */
  readonly policy?: RequestPolicy | undefined
  /** If this is false for an answer, the answer counts as cut: the call is retried, then fails as `MarketoUnavailable`. */
  readonly isComplete?: ((json: Answer["json"]) => boolean) | undefined
  /**
   * What happens if an element of `result` is not valid JSON in UTF-8 and the rest of the body is: `"fail"` ends the call as
   * `MarketoUndecodable`; `"keep"` lists it in `Answer.unreadable`. Default: `"fail"`.
   */
  readonly unreadable?: "fail" | "keep" | undefined
  readonly hold?: Hold | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Reads `path`, which begins with "/" and has no "?" or "#". Values of `query` are URL-encoded here. A query over 7 KB goes as a form, `POST …?_method=GET`: Marketo takes addresses
   * of up to 8 KB.
   */
  readonly get: (
    path: string,
    query: Readonly<Record<string, string>>,
    options?: CallOptions,
  ) => Effect.Effect<Answer, CallError>
  /**
   * Writes `body`, JSON as text or in UTF-8. Repeated only where `ErrorCode.table` says that the call was not executed; where it may have
   * been, the error's `execution` is `Unknown`, and it is the caller's to find out.
   */
  readonly post: (path: string, body: string | Uint8Array, options?: CallOptions) => Effect.Effect<Answer, CallError>
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

const MAX_NAMES = 100

/** A path without the ids and values in it. */
const nameOf = (path: string): string =>
  path
    .split("/")
    .map((segment) => (/^[\w.-]*$/.test(segment) ? segment.replace(/^\d+(?=\.|$)/, ":id") : ":value"))
    .join("/")

/** The token ran out while the call waited for the limiter: nothing was sent. */
const ranOut: Failure = {
  action: "Reauthenticate",
  execution: "NotExecuted",
  cause: "TokenRanOut",
  toError: (attempts) =>
    new MarketoUnavailable({ endpoint: "identity", attempts, reason: "TokenRefused", execution: "NotExecuted" }),
}

/** Elements that are not valid JSON, where the caller has no use for a part of the answer. */
const undecodable = (endpoint: string, requestId: Answer["requestId"], unreadable: Answer["unreadable"]): Failure => ({
  action: "Fail",
  execution: "Unknown",
  cause: "Undecodable",
  toError: (attempts) =>
    new MarketoUndecodable({
      endpoint,
      requestId,
      attempts,
      index: Option.fromNullable([...unreadable.keys()][0]),
      paths: [...new Set(unreadable.values())],
    }),
})

const holding = <A>({ acquire, release }: Hold, attempt: Effect.Effect<A, Failure>): Effect.Effect<A, Failure> =>
  Effect.zipRight(
    acquire,
    Effect.tapError(attempt, ({ execution }) => (execution === "NotExecuted" ? release : Effect.void)),
  )

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly baseUrl: string
  readonly maxResponseBytes: number
  /** Whether errors and logs repeat Marketo's own words. */
  readonly vendorMessages: "include" | "omit"
  /** What errors and logs must not repeat, beside the access token. */
  readonly secrets: ReadonlyArray<Redacted.Redacted>
}): Effect.Effect<Service, never, HttpClient.HttpClient | AccessToken.AccessToken | ApiLimits.ApiLimits> =>
  Effect.gen(function* () {
    const client = yield* transport.httpClient
    const accessToken = yield* AccessToken.AccessToken
    const limits = yield* ApiLimits.ApiLimits
    const { maxResponseBytes } = options
    const { host } = new URL(options.baseUrl)
    const names = new Set<string>()
    const nameFor = (path: string, given: string | undefined): string => {
      const name = given ?? nameOf(path)
      if (name in endpoints) return name
      if (names.size >= MAX_NAMES && !names.has(name)) return "other"
      names.add(name)
      return name
    }

    const token = Effect.mapError(
      accessToken.get,
      (error): Failure => ({ action: "Fail", execution: "NotExecuted", cause: error._tag, toError: () => error }),
    )

    const wordingFor = (used: AccessToken.Token) => ({
      vendorMessages: options.vendorMessages,
      secrets: [...options.secrets, used.value],
    })

    /** One call on the wire, and what its envelope says. */
    const exchange: (
      endpoint: string,
      request: HttpClientRequest.HttpClientRequest,
      used: AccessToken.Token,
      options: CallOptions,
      kind: "read" | "write",
    ) => Effect.Effect<Answer, Failure> = Effect.fnUntraced(
      function* (endpoint, unsigned, used, { isComplete, policy = general, unreadable: onUnreadable = "fail" }, kind) {
        const request = HttpClientRequest.bearerToken(unsigned, used.value)
        const answer = yield* transport.execute(client, request, { endpoint, kind, policy, maxResponseBytes })
        const { body, date, json, unreadable } = answer
        const now = yield* DateTime.now
        if (json.success === false) return yield* Effect.fail(failureOf(endpoint, json, now, limits, wordingFor(used)))
        if (json.success !== true || isComplete?.(json) === false)
          return yield* Effect.fail(transport.malformed(endpoint))
        if (Array.isArray(json.warnings) && json.warnings.length > 0) {
          const messages = messagesOf(json.warnings, wordingFor(used)).join("; ")
          yield* Effect.logWarning("Marketo answered with warnings").pipe(Effect.annotateLogs({ endpoint, messages }))
        }
        // a write has been executed, whatever its answer looks like
        if (kind === "read" && onUnreadable === "fail" && unreadable.size > 0) {
          return yield* Effect.fail(undecodable(endpoint, requestIdOf(json), unreadable))
        }
        const millis = Date.parse(date ?? "")
        const time = Number.isNaN(millis) ? now : DateTime.unsafeMake(millis)
        return { body, json, unreadable, requestId: requestIdOf(json), time }
      },
      (exchanged, endpoint) =>
        Effect.tapBoth(exchanged, {
          onSuccess: () => count(Metrics.requests, { endpoint, outcome: "ok" }),
          onFailure: ({ cause, pause }) =>
            Effect.zipRight(
              pause === undefined ? Effect.void : limits.pauseFor(pause),
              count(Metrics.requests, { endpoint, outcome: cause }),
            ),
        }),
    )

    const call = (
      path: string,
      request: HttpClientRequest.HttpClientRequest,
      options: CallOptions,
      kind: "read" | "write",
    ): Effect.Effect<Answer, CallError> => {
      if (!/^\/(?!\/)[^?#]*$/.test(path)) {
        return new MarketoInvalidRequest({ field: "path", limit: 'must begin with one "/", without "?" and "#"' })
      }
      const { policy = general } = options
      const endpoint = nameFor(path, options.endpoint)
      return Effect.suspend(() => {
        let calls = 0
        const send = (used: AccessToken.Token): Effect.Effect<Answer, Failure> =>
          limits.run(
            Effect.flatMap(monotonic.now, (now) => {
              if (now >= used.usableUntil) return Effect.fail(ranOut)
              const sent = Effect.suspend(() => {
                calls++
                return exchange(endpoint, request, used, options, kind)
              })
              return options.hold === undefined ? sent : holding(options.hold, sent)
            }),
          )
        /**
         * 601 and 602 alike: drop that token and repeat the call with the one that identity gives then. If that is refused
         * too, which happens to good tokens, the call is repeated after a backoff.
         */
        const attempt = (refusals: number): Effect.Effect<Answer, Failure> =>
          Effect.flatMap(token, (used) =>
            Effect.catchIf(
              send(used),
              (failure) => failure.action === "Reauthenticate",
              (failure) => {
                // by its cause: inside a span a failure is a copy
                if (failure.cause === ranOut.cause) return attempt(refusals)
                if (refusals > 0) return Effect.fail<Failure>({ ...failure, action: "Retry" })
                return accessToken
                  .invalidate(used)
                  .pipe(
                    Effect.zipRight(count(Metrics.retries, { endpoint, cause: failure.cause })),
                    Effect.zipRight(attempt(refusals + 1)),
                  )
              },
            ),
          )
        const counted = Effect.mapError(attempt(0), (failure) => ({
          ...failure,
          toError: () => failure.toError(calls),
        }))
        return retry(endpoint, policy, counted, kind)
      }).pipe(span("MarketoClient.call", { "marketo.endpoint": endpoint, "server.address": host }))
    }
    const urlOf = (path: string) => `${options.baseUrl}${path}`
    return MarketoClient.of({
      get: (path, query, callOptions = {}) => call(path, requestFor(urlOf(path), query), callOptions, "read"),
      post: (path, body, callOptions = {}) =>
        call(
          path,
          typeof body === "string"
            ? HttpClientRequest.bodyText(HttpClientRequest.post(urlOf(path)), body, "application/json")
            : HttpClientRequest.bodyUint8Array(HttpClientRequest.post(urlOf(path)), body, "application/json"),
          callOptions,
          "write",
        ),
    })
  })
