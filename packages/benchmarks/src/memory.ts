/** Peak memory of ours, into a file, for a short read and for one ten times as long. */
import { runReader, withFolder, withServer } from "./processes.js"
import { median, table, whole } from "./report.js"

const peakOf = (pages: number, rounds: number): Promise<number> =>
  withServer<{ url: string }, number>("pageServer", [pages, "plain"], async ({ url }) => {
    const peaks: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const { peakMiB } = await withFolder((folder) => runReader("reader", [url, `${folder}/activities.ndjson`]))
      process.stderr.write(`${pages} pages: peak ${whole(peakMiB)} MiB\n`)
      peaks.push(peakMiB)
    }
    return median(peaks)
  })

export const memory = async (pages: number, rounds: number): Promise<string> => {
  const short = await peakOf(pages, rounds)
  const long = await peakOf(10 * pages, rounds)
  return table(
    ["pages", "peak MiB", "÷ short read"],
    [
      [whole(pages), whole(short), "1.00"],
      [whole(10 * pages), whole(long), (long / short).toFixed(2)],
    ],
  )
}
