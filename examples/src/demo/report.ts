/** The table at the end. */
import { ErrorCode } from "@effect-marketo/core"
import type { Simulator } from "@effect-marketo/simulator"
import { Effect, Metric, MetricState } from "effect"
import { table } from "../table.js"
import type { Account } from "./account.js"

type Row = readonly [name: string, value: number]

const meaningOf = (cause: string): string =>
  ErrorCode.table.find(({ code }) => code === cause)?.meaning ?? "connection broken"

/** The client counts its retries by endpoint and cause; here the cause is enough. */
const retries = Effect.map(Metric.snapshot, (pairs): ReadonlyArray<Row> => {
  const byCause = new Map<string, number>()
  for (const { metricKey, metricState } of pairs) {
    if (metricKey.name !== "marketo_retries_total" || !MetricState.isCounterState(metricState)) continue
    const cause = metricKey.tags.find(({ key }) => key === "cause")?.value ?? "unknown"
    byCause.set(cause, (byCause.get(cause) ?? 0) + Number(metricState.count))
  }
  return [...byCause].map(([cause, count]) => [`  repeated after ${cause}, ${meaningOf(cause)}`, count])
})

export const report = (simulator: Simulator.Service, result: Account): Effect.Effect<string> =>
  Effect.gen(function* () {
    const calls = yield* simulator.calls
    return table([
      ["calls made", calls.length],
      ...(yield* retries),
      ["activities stored by the simulator", result.stored],
      ["lines in the file", result.lines],
      ["missing", result.missing],
      ["repeated", result.repeated],
    ])
  })
