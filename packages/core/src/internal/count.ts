import type * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricLabel from "effect/MetricLabel"

type Tags = Readonly<Record<string, string>>

// biome-ignore lint/suspicious/noExplicitAny: of any type
type AnyMetric = Metric.Metric<any, any, any>

/** Metrics under the tags that they were used with, of which there are few: made for each use they are hashed at each. */
const made = new Map<AnyMetric, Map<string, AnyMetric>>()

/** A metric under tags. */
export const tagged = <M extends AnyMetric>(metric: M, tags: Tags): M => {
  const underTags = made.get(metric) ?? new Map<string, AnyMetric>()
  made.set(metric, underTags)
  const key = JSON.stringify(tags)
  let found = underTags.get(key)
  if (found === undefined) {
    const labels = Object.entries(tags).map(([name, value]) => MetricLabel.make(name, value))
    found = Metric.taggedWithLabels(metric, labels)
    underTags.set(key, found)
  }
  return found as M
}

/** Adds to a counter, under tags. */
export const count = (metric: Metric.Metric.Counter<number>, tags: Tags, by = 1): Effect.Effect<void> =>
  Metric.incrementBy(tagged(metric, tags), by)
