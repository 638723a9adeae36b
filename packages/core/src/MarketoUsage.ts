/**
 * The calls that an instance has counted, for programs that plan their quota.
 *
 * Marketo counts for the whole instance: calls of other programs and users are in it. The quota is that of the
 * subscription (50,000 a day for most), and the day ends at midnight in US Central Time. Asking costs a call too.
 *
 * @example
 * import { MarketoUsage } from "@effect-marketo/core"
 * import { Effect } from "effect"
 *
 * // how much of a quota of 50,000 is left today
 * const left = Effect.gen(function*() {
 *   const usage = yield* MarketoUsage.MarketoUsage
 *   const { total } = yield* usage.today
 *   return 50_000 - total
 * })
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as lenient from "./internal/lenient.js"
import * as MarketoClient from "./MarketoClient.js"
import type { CallError } from "./MarketoError.js"
import { type EndpointName, endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * The calls of one API user.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserUsage = Schema.Struct({
  /** The user's e-mail address. */
  userId: Schema.String,
  count: Schema.Int,
}).annotations({ identifier: "UserUsage" })

/**
 * @since 0.1.0
 * @category models
 */
export interface UserUsage extends Schema.Schema.Type<typeof UserUsage> {}

/**
 * The calls of one day.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Usage = Schema.Struct({
  /** `2026-03-04`, a day of US Central Time, as Marketo writes it. */
  date: lenient.text,
  /** Calls of all users. */
  total: Schema.Int,
  users: lenient.list(UserUsage),
}).annotations({ identifier: "Usage" })

/**
 * @since 0.1.0
 * @category models
 */
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The calls so far today; none before the first one of a day. It needs no permission. The source is Adobe's page
   * "Usage".
   */
  readonly today: Effect.Effect<Usage, CallError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class MarketoUsage extends Context.Tag("@effect-marketo/core/MarketoUsage")<MarketoUsage, Service>() {}

const ENDPOINT = "usage"

const decodeDays = Schema.decodeUnknownOption(Schema.Array(Usage))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly policies: Readonly<Record<EndpointName, RequestPolicy>>
}): Effect.Effect<Service, never, MarketoClient.MarketoClient> =>
  Effect.map(MarketoClient.MarketoClient, (client) => ({
    today: Effect.map(
      client.get(
        endpoints[ENDPOINT].path,
        {},
        {
          endpoint: ENDPOINT,
          policy: options.policies[ENDPOINT],
          isComplete: ({ result }) => Option.isSome(decodeDays(result)),
        },
      ),
      ({ json }) => {
        const [today] = Option.getOrElse(decodeDays(json.result), () => [])
        return today ?? { date: Option.none(), total: 0, users: [] }
      },
    ),
  }))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Parameters<typeof make>[0],
): Layer.Layer<MarketoUsage, never, MarketoClient.MarketoClient> => Layer.effect(MarketoUsage, make(options))
