/**
 * Every metric of this package. Counters are incremented once a call, page or batch; tags have few values: endpoint,
 * outcome, cause, subscription.
 *
 * | name | type | unit | tags | meaning |
 * | --- | --- | --- | --- | --- |
 * | `marketo_requests_total` | counter | calls | endpoint, outcome | calls sent; outcome is `ok`, Marketo's code, an HTTP status or the reason |
 * | `marketo_request_duration_seconds` | histogram | seconds | endpoint | one attempt, from the limiter's permit to the end of the body |
 * | `marketo_retries_total` | counter | calls | endpoint, cause | calls repeated, by what made it necessary |
 * | `marketo_limiter_wait_seconds` | histogram | seconds | – | waited for the limiter before a call |
 * | `marketo_token_refreshes_total` | counter | calls | – | access tokens taken into use |
 * | `marketo_pages_read_total` | counter | pages | endpoint | pages read, empty ones included |
 * | `marketo_activities_read_total` | counter | records | endpoint | records read |
 * | `marketo_activities_rejected_total` | counter | records | endpoint | elements that could not be decoded and were kept aside |
 * | `marketo_activities_written_total` | counter | records | subscription | records made durable by the sink |
 * | `marketo_batches_written_total` | counter | batches | subscription | batches made durable, those without records included |
 * | `marketo_custom_activities_total` | counter | records | outcome | custom activities `added`, `skipped`, `invalid` (not written) or `inDoubt` (may be stored) |
 * | `marketo_lag_seconds` | gauge | seconds | subscription | age of the oldest position when it was made durable |
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

const seconds = MetricBoundaries.fromIterable([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300])

/**
 * @since 0.1.0
 * @category metrics
 */
export const requests: Metric.Metric.Counter<number> = Metric.counter("marketo_requests_total", { incremental: true })

/**
 * @since 0.1.0
 * @category metrics
 */
export const requestDuration: Metric.Metric.Histogram<number> = Metric.histogram(
  "marketo_request_duration_seconds",
  seconds,
)

/**
 * @since 0.1.0
 * @category metrics
 */
export const retries: Metric.Metric.Counter<number> = Metric.counter("marketo_retries_total", { incremental: true })

/**
 * @since 0.1.0
 * @category metrics
 */
export const limiterWait: Metric.Metric.Histogram<number> = Metric.histogram("marketo_limiter_wait_seconds", seconds)

/**
 * @since 0.1.0
 * @category metrics
 */
export const tokenRefreshes: Metric.Metric.Counter<number> = Metric.counter("marketo_token_refreshes_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const pagesRead: Metric.Metric.Counter<number> = Metric.counter("marketo_pages_read_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const activitiesRead: Metric.Metric.Counter<number> = Metric.counter("marketo_activities_read_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const activitiesRejected: Metric.Metric.Counter<number> = Metric.counter("marketo_activities_rejected_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const activitiesWritten: Metric.Metric.Counter<number> = Metric.counter("marketo_activities_written_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const batchesWritten: Metric.Metric.Counter<number> = Metric.counter("marketo_batches_written_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const customActivities: Metric.Metric.Counter<number> = Metric.counter("marketo_custom_activities_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const lag: Metric.Metric.Gauge<number> = Metric.gauge("marketo_lag_seconds")
