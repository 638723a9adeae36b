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
 * Effect.runPromise(program.pipe(Effect.provide(Simulator.layer({ activities: 500 }))))
 * ```
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Endpoint, Fault } from "./Fault.js"
import { makeClient } from "./internal/inProcess.js"
import { Marketo } from "./internal/marketo.js"
import { serve } from "./internal/socket.js"

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
export interface Options {
  /** Everything generated follows from it. Default: 7. */
  readonly seed?: number | undefined
  /** Size of the generated data set. Default: 1,000. */
  readonly activities?: number | undefined
  /** When the generated activities happened, ISO 8601. Default: 2026-01-01T00:00:00Z. */
  readonly from?: string | undefined
  /** Default: 2026-01-31T00:00:00Z. */
  readonly to?: string | undefined
  /** How many leads the activities are spread over, unevenly; those with ids from 100000 on exist, and no others. Default: a twentieth of `activities`, at least 50. */
  readonly leads?: number | undefined
  /** Paging tokens of one instance are refused by another. Default: `123-ABC-456`. */
  readonly munchkinId?: string | undefined
  /** Default: `simulated-client`. */
  readonly clientId?: string | undefined
  /** Default: made from the seed. */
  readonly clientSecret?: string | undefined
  /** How long each call takes. Default: no time. */
  readonly latency?: Duration.DurationInput | undefined
  /** Whether bodies of 1,024 bytes and more are compressed when the caller asks for gzip. Default: true over a socket, false in process. */
  readonly gzip?: boolean | undefined
  readonly limits?: Limits | undefined
  /** How long an access token lives. Default: 3600 seconds. */
  readonly tokenLifetime?: Duration.DurationInput | undefined
  /** Until then an access token may be a query parameter, ISO 8601. Default: 2026-08-31T00:00:00Z. */
  readonly queryTokenUntil?: string | undefined
  /** From then on a `listId` of a list with 10,000 or more members is refused, ISO 8601. Default: 2026-12-30T00:00:00Z. */
  readonly listLimitFrom?: string | undefined
  /**
   * How many entries of its log the server looks at for one page. A narrow filter over much other traffic gives runs of empty
   * pages with `moreResult: true`. Default: 3,000.
   */
  readonly blockSize?: number | undefined
  /** What a page without records has for its `result`. Default: `absent`. */
  readonly emptyResult?: "absent" | "null" | "array" | undefined
  /**
   * Whether a reader that pages on sees an activity that is stored later with an older date. Marketo does not say. `seen`: pages
   * follow the order of storing; `missed`: they follow the activities' dates. Default: `seen`.
   */
  readonly lateArrivals?: "seen" | "missed" | undefined
  /** Whether activities vanish after 14 days, 90 days or 25 months, by their type and the clock. Default: false. */
  readonly retention?: boolean | undefined
  /** Share of the generated activities that have no `id`, 0 to 1. Default: 0. */
  readonly missingIds?: number | undefined
  /** Whether attributes declared as integers come as strings. Default: false. */
  readonly integersAsStrings?: boolean | undefined
  /** Whether `API Method Name`, `Modifying User` and `Request Id` come in lower case, as recorded. Default: true. */
  readonly lowerCaseNames?: boolean | undefined
  /** Whether activities hold an attribute that `types.json` does not declare. Default: false. */
  readonly extraAttributes?: boolean | undefined
  /**
   * Custom activity types that are there at the start, with ids from 100001 on. Default: one approved type `acmeRentKayak`,
   * with the primary attribute `kayakModel` and, secondary, `bookingNumber`, `rentalHours` (float) and `pickedUpAt` (datetime).
   */
  readonly customTypes?: ReadonlyArray<CustomType> | undefined
  /** How long a written activity is stored before readers see it. Default: no time. */
  readonly visibilityDelay?: Duration.DurationInput | undefined
  /** Whether the attributes of custom activities are served with their `apiName` beside their `name`. Default: false. */
  readonly customApiNames?: boolean | undefined
  /** Where a refused record has its errors; Marketo's pages disagree. Default: `errors`. */
  readonly recordErrors?: "errors" | "reasons" | undefined
  /**
   * How a change of a custom activity type is refused, which Marketo does not say: with `success: false`, or as a skipped
   * record. Default: `response`.
   */
  readonly customTypeErrors?: "response" | "record" | undefined
  /** Codes of refusals that Marketo does not document. */
  readonly codes?: Codes | undefined
  /** What goes wrong, and when. Default: nothing. */
  readonly faults?: ReadonlyArray<Fault> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions extends Options {
  /** Default: 0, any free port. */
  readonly port?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Calls in a moving `window`, by arrival; one more is refused with 606. Default: 100. */
  readonly calls?: number | undefined
  /** Default: 20 seconds. */
  readonly window?: Duration.DurationInput | undefined
  /** Calls in flight; one more is refused with 615. Default: 10. */
  readonly concurrent?: number | undefined
  /** Calls a day of US Central Time; one more is refused with 607. Default: 50,000. */
  readonly dailyQuota?: number | undefined
  /** Whether a call that ends in an error counts against window and quota; Marketo's documentation says no. Default: false. */
  readonly countErrors?: boolean | undefined
  /** Custom activity types; one more is refused with 1027. Default: 10. */
  readonly customTypes?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomType {
  /** Letters and digits. */
  readonly apiName: string
  readonly name: string
  readonly description?: string | undefined
  /** Default: `name`. */
  readonly triggerName?: string | undefined
  /** Default: `name`. */
  readonly filterName?: string | undefined
  readonly primaryAttribute: CustomTypeAttribute
  /** The secondary ones, at most 20. Default: none. */
  readonly attributes?: ReadonlyArray<CustomTypeAttribute> | undefined
  /** Default: `approved`. */
  readonly status?: "draft" | "approved" | "approved with draft" | "deleted" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CustomTypeAttribute {
  readonly apiName: string
  readonly name: string
  readonly dataType:
    | "string"
    | "boolean"
    | "integer"
    | "float"
    | "link"
    | "email"
    | "currency"
    | "date"
    | "datetime"
    | "phone"
    | "text"
  readonly description?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Codes {
  /** A paging token that is malformed or of another instance. Default: 1003. */
  readonly pagingToken?: string | undefined
  /** A `sinceDatetime` or `activityDate` that is no date. Default: 1001. */
  readonly date?: string | undefined
  /** More than 10 type ids, 30 lead ids, 300 records. Default: 1003. */
  readonly tooMany?: string | undefined
  /** An unknown list or activity type; a custom type without the version that is asked for. Default: 1013. */
  readonly notFound?: string | undefined
  /** An unknown lead field, or attribute of a custom type. Default: 1006. */
  readonly field?: string | undefined
  /** A record of a custom type that is a draft, or deleted. Default: 1003. */
  readonly notApproved?: string | undefined
  /** A value of another type than the member or attribute has. Default: 1001. */
  readonly value?: string | undefined
  /** A member that is missing, of a record, a type or an attribute; an `input` that is missing or empty. Default: 1002. */
  readonly missing?: string | undefined
  /** A name or data type that a custom type cannot have. Default: 1003. */
  readonly invalid?: string | undefined
  /** An `apiName`, `triggerName` or `filterName` that is taken. Default: 1017. */
  readonly exists?: string | undefined
  /** A change that the state of a custom type forbids, such as approving it without a draft. Default: 709. */
  readonly rule?: string | undefined
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
export const layerServer = (options: ServerOptions = {}): Layer.Layer<Simulator, ServeError> =>
  Layer.scoped(
    Simulator,
    Effect.gen(function* () {
      const marketo = yield* Effect.sync(() => new Marketo(options, { gzip: true }))
      const port = yield* Effect.mapError(
        serve(marketo, options.port ?? 0),
        (cause) => new ServeError({ port: options.port ?? 0, cause }),
      )
      return makeService(marketo, `http://localhost:${port}`)
    }),
  )
