/**
 * One Layer for everything: `Marketo.layer` provides the services of one Marketo instance and asks only for an
 * `HttpClient`.
 *
 * The transport is the program's choice: `NodeHttp.layer` of this package (Node, keep-alive, gzip), or any other Layer of
 * `HttpClient`. It must not repeat calls by itself.
 *
 * Provide one Layer value once: given to two `Effect.provide` calls it is built twice, and two limiters allow twice the
 * calls. A second one for a host that is in use is warned of.
 *
 * @example
 * import { Marketo } from "@effect-marketo/core"
 * import * as NodeHttp from "@effect-marketo/core/NodeHttp"
 * import { Config, Layer } from "effect"
 *
 * const MarketoLive = Marketo.layerConfig({
 *   baseUrl: Config.string("MARKETO_BASE_URL"),
 *   clientId: Config.redacted("MARKETO_CLIENT_ID"),
 *   clientSecret: Config.redacted("MARKETO_CLIENT_SECRET")
 * }).pipe(Layer.provide(NodeHttp.layer))
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import * as AccessToken from "./AccessToken.js"
import * as Activities from "./Activities.js"
import * as ApiLimits from "./ApiLimits.js"
import * as CustomActivities from "./CustomActivities.js"
import * as CustomActivityTypes from "./CustomActivityTypes.js"
import { MAX_RESPONSE_BYTES } from "./internal/transmission.js"
import * as MarketoClient from "./MarketoClient.js"
import { MarketoInvalidRequest } from "./MarketoError.js"
import * as MarketoUsage from "./MarketoUsage.js"
import { type EndpointName, endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `https://<munchkin id>.mktorest.com`, without a path. Plain http is for localhost only. */
  readonly baseUrl: string
  readonly clientId: Redacted.Redacted
  readonly clientSecret: Redacted.Redacted
  /** Limit on one attempt, for every endpoint. Default: `RequestPolicy.endpoints`. */
  readonly timeout?: Duration.Duration | undefined
  /** Replaces members of single endpoints' policies; stronger than `timeout`. */
  readonly policies?: { readonly [K in EndpointName]?: Partial<RequestPolicy> | undefined } | undefined
  readonly limits?: ApiLimits.Options | undefined
  /**
   * Where the client id and secret stand when a token is asked for. Default: `"query"`, the only place that Marketo documents.
   * `"form"` keeps them out of addresses, and so out of what other software logs; whether an instance takes it has to be tried.
   */
  readonly credentialsIn?: "query" | "form" | undefined
  /**
   * Limit on one answer, decoded, from 1 byte to 256 MiB. Default: 64 MiB. `NodeHttp` ends a larger one as it arrives. Other HTTP
   * clients give what they decode bit by bit, so that it ends there too.
   */
  readonly maxResponseBytes?: number | undefined
  /**
   * Names the instance in every position. Default: the Munchkin id in the host, else the host with its port. Set it when
   * the address is not the instance's own, as behind a proxy.
   */
  readonly instance?: string | undefined
  /**
   * Whether errors and log lines repeat Marketo's own messages, which speak of the request and may quote it. `"omit"` is
   * for instances whose messages may name people. Spans and metrics never carry them. Default: `"include"`.
   */
  readonly vendorMessages?: "include" | "omit" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export type Services =
  | Activities.Activities
  | CustomActivityTypes.CustomActivityTypes
  | CustomActivities.CustomActivities
  | MarketoUsage.MarketoUsage
  | MarketoClient.MarketoClient

const invalid = (field: string, limit: string) => new MarketoInvalidRequest({ field, limit })

const isLocal = (hostname: string) =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)

const checkBaseUrl = (baseUrl: string): Effect.Effect<URL, MarketoInvalidRequest> =>
  Effect.gen(function* () {
    const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
    if (url === undefined)
      return yield* invalid("baseUrl", "must be an address such as https://123-ABC-456.mktorest.com")
    if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal(url.hostname))) {
      return yield* invalid("baseUrl", "must begin with https:// (plain http is for localhost only)")
    }
    if (url.username !== "" || url.password !== "") return yield* invalid("baseUrl", "must not contain credentials")
    if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
      return yield* invalid(
        "baseUrl",
        `must be an address without a path: ${url.origin}, not ${url.origin}${url.pathname}`,
      )
    }
    return url
  })

/** A text of JavaScript cannot have many more. */
const MOST_RESPONSE_BYTES = 256 * 1024 * 1024

const instanceOf = (url: URL): string =>
  /^(\d{3}-\w{3}-\d{3})\.mktorest\.com$/.exec(url.hostname)?.[1]?.toUpperCase() ?? url.host

/** Limits in use, by host: two sets for one host allow twice the calls. */
const limitsInUse = globalValue(
  "@effect-marketo/core/Marketo/limitsInUse",
  () => new Map<string, ReadonlyArray<ApiLimits.Service>>(),
)

const noteLimits = (host: string) =>
  Effect.gen(function* () {
    const limits = yield* ApiLimits.ApiLimits
    const others = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const before = limitsInUse.get(host) ?? []
        limitsInUse.set(host, [...before, limits])
        return before
      }),
      () => Effect.sync(() => limitsInUse.set(host, removeOne(limitsInUse.get(host) ?? [], limits))),
    )
    // limits derived with `layerShare` reuse the parent's `pauseFor`
    if (others.some(({ pauseFor }) => pauseFor !== limits.pauseFor)) {
      yield* Effect.logWarning(
        `a second set of limits for ${host} is in use in this process: together they allow more calls than each says. Provide one Marketo layer once, or share one ApiLimits layer by Marketo.layerWithoutLimits`,
      )
    }
  })

const removeOne = <A>(all: ReadonlyArray<A>, one: A): ReadonlyArray<A> => {
  const at = all.indexOf(one)
  return at < 0 ? all : all.toSpliced(at, 1)
}

/**
 * With limits that are shared: give all clients of one instance one `ApiLimits.layer`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWithoutLimits = (
  options: Options,
): Layer.Layer<Services, MarketoInvalidRequest, HttpClient.HttpClient | ApiLimits.ApiLimits> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const { clientId, clientSecret, timeout } = options
      const url = yield* checkBaseUrl(options.baseUrl)
      if (isBlank(clientId)) return yield* invalid("clientId", "must not be empty")
      if (isBlank(clientSecret)) return yield* invalid("clientSecret", "must not be empty")
      const { credentialsIn = "query", maxResponseBytes = MAX_RESPONSE_BYTES, vendorMessages = "include" } = options
      if (!Number.isInteger(maxResponseBytes) || maxResponseBytes < 1 || maxResponseBytes > MOST_RESPONSE_BYTES) {
        return yield* invalid("maxResponseBytes", `must be a whole number from 1 to ${MOST_RESPONSE_BYTES}`)
      }
      yield* noteLimits(url.host)
      const policies = Record.map(
        endpoints,
        ({ policy }, name): RequestPolicy => ({
          ...policy,
          ...(timeout === undefined ? {} : { timeout }),
          ...options.policies?.[name],
        }),
      )
      const baseUrl = url.origin
      const token = Layer.effect(
        AccessToken.AccessToken,
        AccessToken.make({
          baseUrl,
          clientId,
          clientSecret,
          credentialsIn,
          maxResponseBytes,
          policy: policies.identity,
        }),
      )
      const client = Layer.provide(
        Layer.effect(
          MarketoClient.MarketoClient,
          MarketoClient.make({ baseUrl, maxResponseBytes, vendorMessages, secrets: [clientId, clientSecret] }),
        ),
        token,
      )
      const instance = options.instance ?? instanceOf(url)
      const services = Layer.mergeAll(
        CustomActivities.layer({ policies }),
        CustomActivityTypes.layer({ policies }),
        MarketoUsage.layer({ policies }),
      )
      return services.pipe(Layer.provideMerge(Activities.layer({ instance, policies })), Layer.provideMerge(client))
    }),
  )

/**
 * Everything for one Marketo instance.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options,
): Layer.Layer<Services | ApiLimits.ApiLimits, MarketoInvalidRequest, HttpClient.HttpClient> =>
  Layer.provideMerge(layerWithoutLimits(options), ApiLimits.layer(options.limits))

const isBlank = (secret: Redacted.Redacted) => Redacted.value(secret).trim() === ""

/** A blank secret is a missing one: fails with the error of its config when nothing is set, which names the variable. */
const missing = (config: Config.Config<Redacted.Redacted>) =>
  Effect.withConfigProvider(config, ConfigProvider.fromMap(new Map()))

/**
 * The same from the program's own `Config`s. A secret that is missing or blank is a `ConfigError` that names the variable.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>,
): Layer.Layer<Services | ApiLimits.ApiLimits, ConfigError | MarketoInvalidRequest, HttpClient.HttpClient> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const options = yield* Config.unwrap<Options>(config)
      if (!Config.isConfig(config)) {
        if (isBlank(options.clientId)) yield* missing(config.clientId)
        if (isBlank(options.clientSecret)) yield* missing(config.clientSecret)
      }
      return layer(options)
    }),
  )
