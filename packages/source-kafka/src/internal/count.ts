import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Adds to a counter, under tags. */
export const count = (
  metric: Metric.Metric.Counter<number>,
  tags: Readonly<Record<string, string>>,
  by = 1,
): Effect.Effect<void> => (by === 0 ? Effect.void : Effect.tagMetrics(Metric.incrementBy(metric, by), tags))
