import * as Metric from "effect/Metric"
import * as Metrics from "../Metrics.js"
import type { Progress } from "../Progress.js"

/** The metrics of one topic, made once: each is hashed when it is made. */
export interface Counters {
  readonly calls: Metric.Metric.Counter<number>
  readonly retries: Metric.Metric.Counter<number>
  readonly lost: Metric.Metric.Counter<number>
  /** By outcome. */
  readonly records: Readonly<Record<Exclude<keyof Progress, "records">, Metric.Metric.Counter<number>>>
}

export const make = (topic: string): Counters => {
  const ofTopic = (metric: Metric.Metric.Counter<number>) => Metric.tagged(metric, "topic", topic)
  const records = (outcome: string) => Metric.tagged(ofTopic(Metrics.records), "outcome", outcome)
  return {
    calls: ofTopic(Metrics.calls),
    retries: ofTopic(Metrics.retries),
    lost: ofTopic(Metrics.lost),
    records: {
      added: records("added"),
      confirmed: records("confirmed"),
      deadLettered: records("deadLettered"),
      inDoubt: records("inDoubt"),
      dropped: records("dropped"),
    },
  }
}
