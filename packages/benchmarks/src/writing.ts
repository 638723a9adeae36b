/** Rate and cost of writing custom activities, against a server that takes no time. Ratios are to the bare loop of the same round. */
import type { Measured } from "./measured.js"
import { runReader, withServer } from "./processes.js"
import { median, table, whole } from "./report.js"

export const writing = (batches: number, rounds: number): Promise<string> =>
  withServer<{ url: string }, string>("batchServer", [], async ({ url }) => {
    const bare: Array<Measured> = []
    const ours: Array<Measured> = []
    for (let round = 0; round < rounds; round++) {
      const bareFirst = round % 2 === 0
      if (bareFirst) bare.push(await runReader("bareWriter", [url, `${batches}`]))
      ours.push(await runReader("writer", [url, `${batches}`]))
      if (!bareFirst) bare.push(await runReader("bareWriter", [url, `${batches}`]))
      process.stderr.write(`writing, round ${round + 1} of ${rounds}\n`)
    }
    const row = (name: string, measures: ReadonlyArray<Measured>) => [
      name,
      whole(median(measures.map(rate))),
      median(measures.map((measured, round) => rate(measured) / rate(bare[round] ?? measured))).toFixed(2),
      median(measures.map(({ activities, cpuSeconds }) => (cpuSeconds / activities) * 1e6)).toFixed(1),
    ]
    return table(
      ["", "records/s", "rate ÷ bare", "CPU s per million"],
      [row("bare loop", bare), row("ours, `CustomActivities.addAll`", ours)],
    )
  })

const rate = ({ activities, seconds }: Measured) => activities / seconds
