/**
 * Ours at the limits of Marketo, which the simulator enforces by arrival: 100 calls in 20 s. The rate is that of whole
 * windows of 100 calls, from the simulator's log of arrivals: the last window of a read is cut off anywhere.
 */
import { runReader, withServer } from "./processes.js"
import { table, whole } from "./report.js"

interface Server {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
}

interface Call {
  readonly at: number
  readonly endpoint: string
  readonly code?: string
  readonly records: number
}

/** One safe window: 20 s, and 250 ms because arrivals differ from starts. */
const WINDOW_SECONDS = 20.25

const callsOf = async ({ url }: Server): Promise<ReadonlyArray<Call>> => {
  const log = await (await fetch(`${url}/_simulator/calls`)).text()
  return log
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Call)
    .filter(({ endpoint }) => endpoint === "leadActivities")
}

const row = (pages: number, types: number, latencyMillis: number): Promise<ReadonlyArray<string>> =>
  withServer<Server, ReadonlyArray<string>>("limitedServer", [pages, types, latencyMillis], async (server) => {
    await runReader("limitedReader", [server.url, server.clientId, server.clientSecret, types])
    const calls = await callsOf(server)
    const full = Math.floor((calls.length - 1) / 100) * 100
    const seconds = ((calls[full]?.at ?? Number.NaN) - (calls[0]?.at ?? Number.NaN)) / 1000
    const activities = calls.slice(0, full).reduce((sum, { records }) => sum + records, 0)
    const chains = types / 10
    const ceiling = Math.min(chains / (latencyMillis / 1000), 100 / WINDOW_SECONDS) * 300
    return [
      `${latencyMillis} ms a call, chains read at once: ${chains}`,
      whole(calls.length),
      (activities / seconds).toFixed(0),
      ceiling.toFixed(0),
      `${((100 * activities) / seconds / ceiling).toFixed(1)} %`,
      whole(calls.filter(({ code }) => code === "606").length),
    ]
  })

export const limits = async (pages: number): Promise<string> =>
  table(
    ["", "calls", "activities/s", "ceiling", "of the ceiling", "refused (606)"],
    [await row(pages, 10, 200), await row(pages, 60, 1_000)],
  )
