/**
 * A Marketo for tests and examples: the Activities REST API with its limits and oddities, a generated data set, and a script
 * of faults. All of it follows from a seed.
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
import type { Endpoint, Fault } from "./Fault.js"
import { makeClient } from "./internal/inProcess.js"
import { Marketo } from "./internal/marketo.js"
import { serve } from "./internal/socket.js"
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
 * One changed field of a lead. `id` is that of the field, `name` its REST API name.
 *
 * @since 0.1.0
 * @category models
 */
export interface LeadChangeField {
  readonly id: number
  readonly name: string
  readonly newValue: string | null
  readonly oldValue: string | null
}

/**
 * An activity to store. What is left out is made up.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewActivity {
  /** Decimal digits, of any size; also the `marketoGUID`. Default: the next one. */
  readonly id?: string | number | undefined
  /** Default: 1, Visit Webpage. */
  readonly activityTypeId?: number | undefined
  /** Decimal digits. Default: 100000. */
  readonly leadId?: string | number | undefined
  /** Default: now. An older date makes it a late arrival. */
  readonly activityDate?: string | undefined
  /** More members of the JSON object, such as `attributes`, `primaryAttributeValue`, or any that Marketo does not have. */
  readonly members?: Readonly<Record<string, unknown>> | undefined
  /** `fields` of a change of type 13, as `leadchanges.json` shows them. */
  readonly fields?: ReadonlyArray<LeadChangeField> | undefined
  /** The JSON text to serve, whatever it holds; the members above then only say which filters it passes. */
  readonly text?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StoredActivity {
  /** Decimal digits. */
  readonly id: string
  readonly activityTypeId: number
  /** Decimal digits. */
  readonly leadId: string
  /** As it stands in the text. */
  readonly activityDate: string
  /** The very JSON text that `activities.json` and `deletedleads.json` serve. */
  readonly text: string
  /** The very JSON text that `leadchanges.json` serves, if it serves this one. */
  readonly leadChange: string | undefined
}

/**
 * One call, as it was decided when it arrived.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  /** Counted from 1; identity has none. */
  readonly number: number | undefined
  /** Instant of arrival, epoch milliseconds. */
  readonly at: number
  readonly endpoint: Endpoint
  readonly method: string
  readonly path: string
  /** Parameters of the query, or of the form that stands for one, without secrets. Repeated ones are joined with commas. */
  readonly query: Readonly<Record<string, string>>
  /** Undefined if the connection was cut. */
  readonly status: number | undefined
  /** The first vendor code of the answer. */
  readonly code: string | undefined
  /** The fault that the call took. */
  readonly fault: Fault["fault"] | undefined
  /** How many activities the answer held; of `addCustomActivities`: how many the request held, whatever became of them. */
  readonly records: number
  /** Whether Marketo carried it out, even if the caller was told something else. */
  readonly executed: boolean
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
  /** Appends to the fault script. `call` counts from the start, not from here. */
  readonly fault: (fault: Fault) => Effect.Effect<void>
  /** The access token in use runs out now: 602 at its next use, 601 after that. */
  readonly expireTokens: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Simulator extends Context.Tag("@effect-marketo/simulator/Simulator")<Simulator, Service>() {}

const makeService = (marketo: Marketo, url: string): Service => ({
  url,
  clientId: marketo.settings.clientId,
  clientSecret: marketo.settings.clientSecret,
  activities: Effect.sync(() =>
    Array.from({ length: marketo.log.storedLength }, (_, entry) => marketo.log.stored(entry)),
  ),
  calls: Effect.sync(() => marketo.calls.slice()),
  peakConcurrency: Effect.sync(() => marketo.usage.peakConcurrency),
  add: (activities) => Effect.map(Clock.currentTimeMillis, (now) => marketo.add(activities, now)),
  fault: (fault) => Effect.sync(() => marketo.fault(fault)),
  expireTokens: Effect.map(Clock.currentTimeMillis, (now) => marketo.expireTokens(now)),
})

/**
 * In process: an `HttpClient` that is answered in the calling fiber, by the clock of that fiber. It knows one host, that of
 * `Simulator.url`. Dies if an option is out of its range.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Simulator | HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.sync(() => {
      const marketo = new Marketo(options, { gzip: false })
      const url = `https://${marketo.settings.munchkinId.toLowerCase()}.mktorest.com`
      return Context.make(Simulator, makeService(marketo, url)).pipe(
        Context.add(HttpClient.HttpClient, makeClient(marketo, url)),
      )
    }),
  )

/**
 * On `localhost`, over a real socket, for any HTTP client and any language. It closes with its scope: within a second, whoever
 * is still connected. Fails if the port is taken; dies if an option is out of its range.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = ({ port = 0, ...options }: ServerOptions = {}): Layer.Layer<Simulator, ServeError> =>
  Layer.scoped(
    Simulator,
    Effect.gen(function* () {
      const marketo = yield* Effect.sync(() => new Marketo(options, { gzip: true }))
      const bound = yield* Effect.mapError(serve(marketo, port), (cause) => new ServeError({ port, cause }))
      return makeService(marketo, `http://localhost:${bound}`)
    }),
  )
