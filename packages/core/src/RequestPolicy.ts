/**
 * Time limits and retries of every endpoint, as data.
 *
 * Marketo's own server gives up after 30 s on Activities endpoints, 300 s on the paging token and 90 s on adding custom
 * activities (Adobe's page "Activities"). The limits here lie a little above, so that the server's own answer arrives
 * instead of a doubt of ours. A limit is for one attempt: it starts after the limiter's permit and ends after the body.
 *
 * With the default policy a call that keeps failing is repeated after 0.5, 1, 2, 4, 8, 16, 30 and 30 s (each ± 20 %), 92 s
 * in all. What is repeated at all is `ErrorCode.table`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * @since 0.1.0
 * @category models
 */
export interface RequestPolicy {
  /** Limit on one attempt, from the limiter's permit to the end of the body. */
  readonly timeout: Duration.Duration
  /** Attempts after the first. */
  readonly retries: number
  /** Before the first repeat; doubled for each one after. */
  readonly baseDelay: Duration.Duration
  /** The longest backoff. Waits that an answer asks for may be longer. */
  readonly maxDelay: Duration.Duration
  /** The longest wait that `Retry-After` of a 429 or 503 can ask for; what asks for more is asked again after this. */
  readonly maxRetryAfter: Duration.Duration
}

/**
 * The policy of an endpoint that has none of its own.
 *
 * @since 0.1.0
 * @category models
 */
export const general: RequestPolicy = {
  timeout: Duration.seconds(35),
  retries: 8,
  baseDelay: Duration.millis(500),
  maxDelay: Duration.seconds(30),
  maxRetryAfter: Duration.minutes(5),
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Endpoint {
  readonly path: string
  readonly policy: RequestPolicy
}

const types = "/rest/v1/activities/external/type"

/**
 * Every endpoint that is called; `{apiName}` stands for that of a custom activity type.
 *
 * @since 0.1.0
 * @category models
 */
export const endpoints = {
  identity: { path: "/identity/oauth/token", policy: general },
  activityTypes: { path: "/rest/v1/activities/types.json", policy: general },
  pagingToken: {
    path: "/rest/v1/activities/pagingtoken.json",
    policy: { ...general, timeout: Duration.seconds(310) },
  },
  leadActivities: { path: "/rest/v1/activities.json", policy: general },
  leadChanges: { path: "/rest/v1/activities/leadchanges.json", policy: general },
  deletedLeads: { path: "/rest/v1/activities/deletedleads.json", policy: general },
  addCustomActivities: {
    path: "/rest/v1/activities/external.json",
    policy: { ...general, timeout: Duration.seconds(100) },
  },
  customActivityTypes: { path: "/rest/v1/activities/external/types.json", policy: general },
  createCustomActivityType: { path: `${types}.json`, policy: general },
  updateCustomActivityType: { path: `${types}/{apiName}.json`, policy: general },
  describeCustomActivityType: { path: `${types}/{apiName}/describe.json`, policy: general },
  approveCustomActivityType: { path: `${types}/{apiName}/approve.json`, policy: general },
  discardCustomActivityTypeDraft: { path: `${types}/{apiName}/discardDraft.json`, policy: general },
  deleteCustomActivityType: { path: `${types}/{apiName}/delete.json`, policy: general },
  createCustomActivityTypeAttributes: { path: `${types}/{apiName}/attributes/create.json`, policy: general },
  updateCustomActivityTypeAttributes: { path: `${types}/{apiName}/attributes/update.json`, policy: general },
  deleteCustomActivityTypeAttributes: { path: `${types}/{apiName}/attributes/delete.json`, policy: general },
  usage: { path: "/rest/v1/stats/usage.json", policy: general },
} as const satisfies Record<string, Endpoint>

/**
 * @since 0.1.0
 * @category models
 */
export type EndpointName = keyof typeof endpoints

/**
 * The wait before repeat number `repeat` (1 is the first), without jitter.
 *
 * @since 0.1.0
 * @category accessors
 */
export const delay = (policy: RequestPolicy, repeat: number): Duration.Duration =>
  Duration.min(Duration.times(policy.baseDelay, 2 ** (repeat - 1)), policy.maxDelay)
