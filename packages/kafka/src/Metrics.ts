/**
 * Every metric of this package.
 *
 * | name | type | unit | tags | meaning |
 * | --- | --- | --- | --- | --- |
 * | `kafka_consumer_gap_offsets_total` | counter | offsets | topic | offsets that the topic did not have any more when `consume` came to read them |
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * @since 0.1.0
 * @category metrics
 */
export const gapOffsets: Metric.Metric.Counter<number> = Metric.counter("kafka_consumer_gap_offsets_total", {
  incremental: true,
})
