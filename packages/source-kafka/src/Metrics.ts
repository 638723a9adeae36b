/**
 * Every metric of this package, beside those of `core`. Counters are incremented once a call.
 *
 * | name | type | unit | tags | meaning |
 * | --- | --- | --- | --- | --- |
 * | `marketo_source_records_total` | counter | records | topic, outcome | records whose offset was committed; outcome is `added`, `confirmed` (found there by reading back), `deadLettered`, `inDoubt` (a dead letter too; may be stored all the same) or `dropped` |
 * | `marketo_source_calls_total` | counter | calls | topic | calls to add custom activities, repeated ones included |
 * | `marketo_source_retries_total` | counter | records | topic | records that Marketo skipped and that are sent again by policy; they hold up what is behind them |
 * | `marketo_source_lost_total` | counter | records | topic | records that were worked on when their partition was taken away; they are delivered again |
 * | `marketo_source_dead_letter_retries_total` | counter | attempts | topic | failed attempts to write dead letters; offsets stand still meanwhile |
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * @since 0.1.0
 * @category metrics
 */
export const records: Metric.Metric.Counter<number> = Metric.counter("marketo_source_records_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const calls: Metric.Metric.Counter<number> = Metric.counter("marketo_source_calls_total", { incremental: true })

/**
 * @since 0.1.0
 * @category metrics
 */
export const retries: Metric.Metric.Counter<number> = Metric.counter("marketo_source_retries_total", {
  incremental: true,
})

/**
 * @since 0.1.0
 * @category metrics
 */
export const lost: Metric.Metric.Counter<number> = Metric.counter("marketo_source_lost_total", { incremental: true })

/**
 * @since 0.1.0
 * @category metrics
 */
export const deadLetterRetries: Metric.Metric.Counter<number> = Metric.counter(
  "marketo_source_dead_letter_retries_total",
  { incremental: true },
)
