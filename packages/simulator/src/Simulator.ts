/**
 * A Marketo for tests and examples: the Activities REST API with its limits and oddities, a generated data set, and a
 * script of faults. All of it follows from a seed.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Simulator } from "@effect-marketo/simulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const { calls, clientId, clientSecret, url } = yield* Simulator.Simulator
 *   const client = yield* HttpClient.HttpClient
 *   yield* client.get(`${url}/identity/oauth/token`, {
 *     urlParams: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret },
 *   })
 *   return yield* calls // one, of identity
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(Simulator.layer({ data: { activities: 500 } }))))
 * ```
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Call } from "./Call.js"
import type { CustomType, Lead, NewActivity, StoredActivity } from "./Data.js"
import type { Fault } from "./Fault.js"
import { makeClient } from "./internal/server/inProcess.js"
import { Instance } from "./internal/server/instance.js"
import { serve } from "./internal/server/socket.js"
import type * as AllOptions from "./Options.js"

/**
 * The server cannot listen on its port.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServeError extends Schema.TaggedError<ServeError>("@effect-marketo/simulator/ServeError")("ServeError", {
  port: Schema.Number,
  cause: Schema.Defect,
}) {
  override get message(): string {
    const { code } = Object(this.cause) as { readonly code?: unknown }
    return code === "EADDRINUSE"
      ? `Port ${this.port} is in use: choose another, or 0 for any free one`
      : `Cannot listen on port ${this.port} of localhost${code === undefined ? "" : ` (${code})`}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends AllOptions.Options {}

/**
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions extends Options {
  /** Default: 0, any free port. */
  readonly port?: number | undefined
}

/**
 * Controls a running simulator, and tells what happened to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Without a path: `https://<munchkinId>.mktorest.com` in process, `http://localhost:<port>` over a socket. */
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  /** Everything stored, in the order of storing; what readers cannot see yet is last. Holds every text at once. */
  readonly activities: Effect.Effect<ReadonlyArray<StoredActivity>>
  /** Every call so far, in the order of arrival. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
  /** The most calls that were in flight at once, identity apart. */
  readonly peakConcurrency: Effect.Effect<number>
  /** Stores activities, in this order, now. Dies if an `activityDate` is no date. */
  readonly add: (activities: ReadonlyArray<NewActivity>) => Effect.Effect<ReadonlyArray<StoredActivity>>
  /** Lets leads exist, in this order; one that exists gets the values. */
  readonly addLeads: (leads: ReadonlyArray<Lead>) => Effect.Effect<void>
  /** Lets custom activity types exist. Dies if one breaks a rule for them, such as their number. */
  readonly addCustomTypes: (types: ReadonlyArray<CustomType>) => Effect.Effect<void>
  /** Appends to the fault script. `call` counts from the start, not from here. */
  readonly fault: (fault: Fault) => Effect.Effect<void>
  /** The access tokens in use run out now: 602 at its next use, 601 after that. */
  readonly expireTokens: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Simulator extends Context.Tag("@effect-marketo/simulator/Simulator")<Simulator, Service>() {}

const makeService = (instance: Instance, url: string): Service => ({
  url,
  clientId: instance.settings.clients[0].clientId,
  clientSecret: instance.settings.clients[0].clientSecret,
  activities: Effect.sync(() =>
    Array.from({ length: instance.log.storedLength }, (_, entry) => instance.log.stored(entry)),
  ),
  calls: Effect.sync(() => instance.calls.slice()),
  peakConcurrency: Effect.sync(() => instance.usage.peakConcurrency),
  add: (activities) => Effect.map(Clock.currentTimeMillis, (now) => instance.add(activities, now)),
  addLeads: (leads) => Effect.sync(() => instance.addLeads(leads)),
  addCustomTypes: (types) => Effect.map(Clock.currentTimeMillis, (now) => void instance.addCustomTypes(types, now)),
  fault: (fault) => Effect.sync(() => instance.fault(fault)),
  expireTokens: Effect.map(Clock.currentTimeMillis, (now) => instance.expireTokens(now)),
})

/**
 * In process: an `HttpClient` that is answered in the calling fiber, by the clock of that fiber. It knows one host,
 * that of `Simulator.url`. Dies if an option is out of its range.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Simulator | HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.sync(() => {
      const instance = new Instance(options, { gzip: false })
      const url = `https://${instance.settings.munchkinId.toLowerCase()}.mktorest.com`
      return Context.make(Simulator, makeService(instance, url)).pipe(
        Context.add(HttpClient.HttpClient, makeClient(instance, url)),
      )
    }),
  )

/**
 * On `localhost`, over a real socket, for any HTTP client and any language. It closes with its scope: within a second,
 * whoever is still connected. Fails if the port is taken; dies if an option is out of its range.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = ({ port = 0, ...options }: ServerOptions = {}): Layer.Layer<Simulator, ServeError> =>
  Layer.scoped(
    Simulator,
    Effect.gen(function* () {
      const instance = yield* Effect.sync(() => new Instance(options, { gzip: true }))
      const bound = yield* Effect.mapError(serve(instance, port), (cause) => new ServeError({ port, cause }))
      return makeService(instance, `http://localhost:${bound}`)
    }),
  )
