/**
 * The access token of one custom service: fetched once for any number of waiting callers, renewed before it ends.
 *
 * Marketo's identity service returns the *same* token until it has expired, with the seconds that remain (Adobe's page
 * "Authentication"). So a token near its end cannot be renewed, only waited out: within the last 10 s of its hour calls
 * wait for the next token.
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import { type Failure, retry } from "./internal/failure.js"
import * as monotonic from "./internal/monotonic.js"
import * as permits from "./internal/permits.js"
import { encodeQuery } from "./internal/query.js"
import { execute, httpClient, malformed } from "./internal/transport.js"
import { type CallError, MarketoUnauthorized, MarketoUnavailable } from "./MarketoError.js"
import * as Metrics from "./Metrics.js"
import { endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Token {
  readonly value: Redacted.Redacted
  /** No call starts with the token after that, in milliseconds of the monotonic clock. */
  readonly usableUntil: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly baseUrl: string
  readonly clientId: Redacted.Redacted
  readonly clientSecret: Redacted.Redacted
  readonly policy: RequestPolicy
  /** See `Marketo.Options`. */
  readonly credentialsIn: "query" | "form"
  readonly maxResponseBytes: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** A token that is good for a call that starts now. */
  readonly get: Effect.Effect<Token, CallError>
  /** The API refused this very token. Ignored when another one is in use by now, so that many refusals cause one refresh. */
  readonly invalidate: (token: Token) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class AccessToken extends Context.Tag("@effect-marketo/core/AccessToken")<AccessToken, Service>() {}

/** Between the start of a call and its arrival. */
const MARGIN = Duration.seconds(10)

/** OAuth's words for wrong credentials; some clients have met them with HTTP 200. */
const refusals: ReadonlySet<string> = new Set(["invalid_client", "unauthorized", "unauthorized_client"])

/** Longest total wait for a token to expire. One that was refused and lives longer is handed out again. */
const MAX_WAIT = Duration.seconds(60)

const ENDPOINT = "identity"

/** A token goes into a header, which takes visible ASCII only. */
const isToken = (value: unknown): value is string => typeof value === "string" && /^[\x21-\x7e]+$/.test(value)

const secondsOf = (value: unknown): number =>
  typeof value === "number" || typeof value === "string" ? Number(value) : Number.NaN

const unauthorized: Failure = {
  action: "Fail",
  execution: "NotExecuted",
  cause: "Credentials",
  toError: (attempts) => new MarketoUnauthorized({ endpoint: ENDPOINT, attempts, reason: "Credentials" }),
}

interface State {
  readonly token: Option.Option<Token>
  /** The last token that the API refused. */
  readonly refused: Option.Option<Token>
  /** Renewals that have ended, and how the last one failed. */
  readonly renewals: number
  readonly failure: Option.Option<CallError>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* httpClient
    const state = yield* Ref.make<State>({
      token: Option.none(),
      refused: Option.none(),
      renewals: 0,
      failure: Option.none(),
    })
    const oneAtATime = permits.make(1)

    const fetch = Effect.gen(function* () {
      const asked = yield* monotonic.now
      const credentials = encodeQuery({
        grant_type: "client_credentials",
        client_id: Redacted.value(options.clientId),
        client_secret: Redacted.value(options.clientSecret),
      })
      const url = `${options.baseUrl}${endpoints.identity.path}`
      const request =
        options.credentialsIn === "query"
          ? HttpClientRequest.get(`${url}?${credentials}`)
          : HttpClientRequest.bodyText(HttpClientRequest.post(url), credentials, "application/x-www-form-urlencoded")
      const { json } = yield* execute(client, request, {
        endpoint: ENDPOINT,
        kind: "read",
        policy: options.policy,
        maxResponseBytes: options.maxResponseBytes,
      })
      if (typeof json.error === "string" && refusals.has(json.error)) return yield* Effect.fail(unauthorized)
      const value = json.access_token
      const seconds = secondsOf(json.expires_in)
      if (!isToken(value) || !Number.isFinite(seconds)) return yield* Effect.fail(malformed(ENDPOINT))
      return { value, asked, lifetime: Duration.seconds(Math.max(0, seconds)) }
    }).pipe(
      Effect.mapError((failure) => (failure.cause === "401" ? unauthorized : failure)),
      (attempt) => retry(ENDPOINT, options.policy, attempt),
    )

    const renew = (refused: Option.Option<Token>): Effect.Effect<Token, CallError> =>
      Effect.gen(function* () {
        for (let waited = Duration.zero; ; ) {
          const { asked, lifetime, value } = yield* fetch
          const isRefused = Option.exists(refused, (token) => Redacted.value(token.value) === value)
          // identity calls it valid: it may be refused by only one of Marketo's servers, for a moment
          if (Duration.greaterThan(lifetime, isRefused ? MAX_WAIT : MARGIN)) {
            yield* Metric.increment(Metrics.tokenRefreshes)
            const usable = Duration.toMillis(lifetime) - Duration.toMillis(MARGIN)
            return { value: Redacted.make(value), usableUntil: asked + usable }
          }
          const wait = Duration.max(lifetime, Duration.seconds(1))
          waited = Duration.sum(waited, wait)
          if (Duration.greaterThan(waited, MAX_WAIT)) {
            return yield* new MarketoUnavailable({
              endpoint: ENDPOINT,
              attempts: 1,
              reason: "TokenRefused",
              execution: "NotExecuted",
            })
          }
          yield* Effect.logDebug("waiting for the access token to run out, so that a new one is issued")
          yield* Effect.sleep(wait)
        }
      })

    const usable = Effect.flatMap(monotonic.now, (now) =>
      Effect.map(Ref.get(state), ({ token }) => Option.filter(token, ({ usableUntil }) => now < usableUntil)),
    )

    // not a Cache: there an interrupted first caller takes every waiting one with it
    const getRenewed = Effect.flatMap(Ref.get(state), (arrived) =>
      oneAtATime(
        Effect.gen(function* () {
          const token = yield* usable
          if (Option.isSome(token)) return token.value
          const { failure, refused, renewals } = yield* Ref.get(state)
          // whoever waited for a renewal shares its end, the bad one too
          if (renewals > arrived.renewals && Option.isSome(failure)) return yield* Effect.fail(failure.value)
          const renewed = yield* Effect.either(renew(refused))
          yield* Ref.set(state, {
            token: Either.getRight(renewed),
            refused: Either.isRight(renewed) ? Option.none() : refused,
            renewals: renewals + 1,
            failure: Either.getLeft(renewed),
          })
          return yield* renewed
        }),
      ),
    )

    return AccessToken.of({
      get: Effect.flatMap(usable, Option.match({ onNone: () => getRenewed, onSome: Effect.succeed })),
      invalidate: (token) =>
        Ref.update(state, (current) =>
          Option.contains(current.token, token)
            ? { ...current, token: Option.none(), refused: Option.some(token) }
            : current,
        ),
    })
  })
