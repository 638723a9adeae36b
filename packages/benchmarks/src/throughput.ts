/**
 * Rate and cost of reading. Each reader is a fresh process; each round begins with another reader. Ratios are to the bare
 * loop of the same round; the median of the rounds is shown.
 */
import type { Measured } from "./measured.js"
import { runReader, withFolder, withServer } from "./processes.js"
import { median, table, whole } from "./report.js"

interface Variant {
  readonly name: string
  readonly encoding: "plain" | "gzip"
  readonly reader: "bareReader" | "reader"
  /** The name of the file, and more. */
  readonly args: readonly [file: string, ...Array<string>]
}

const bare: Variant = { name: "bare loop → file", encoding: "plain", reader: "bareReader", args: ["activities.ndjson"] }

const variants: ReadonlyArray<Variant> = [
  bare,
  // a full batch of ours has ten pages, and is synced
  { ...bare, name: "bare loop → file, fsync every 10 pages", args: ["activities.ndjson", "10"] },
  { ...bare, name: "bare loop → file, gzip on the wire", encoding: "gzip" },
  { ...bare, name: "ours → NDJSON sink, fsync every batch", reader: "reader" },
  { ...bare, name: "ours → NDJSON sink, gzip on the wire", reader: "reader", encoding: "gzip" },
  { ...bare, name: "ours → NDJSON sink, compressed file", reader: "reader", args: ["activities.ndjson.gz"] },
  { ...bare, name: "ours, pages without a sink", reader: "reader", args: ["-"] },
]

export const throughput = async (pages: number, rounds: number): Promise<string> => {
  const results = new Map<Variant, Array<Measured>>(variants.map((variant) => [variant, []]))
  await withServer<{ url: string }, void>("pageServer", [pages, "plain"], (plain) =>
    withServer<{ url: string }, void>("pageServer", [pages, "gzip"], async (gzip) => {
      for (let round = 0; round < rounds; round++) {
        const start = round % variants.length
        for (const variant of [...variants.slice(start), ...variants.slice(0, start)]) {
          const { args, encoding, name, reader } = variant
          const [file, ...more] = args
          const { url } = { plain, gzip }[encoding]
          const measured = await withFolder((folder) =>
            runReader(reader, [url, file === "-" ? file : `${folder}/${file}`, ...more]),
          )
          process.stderr.write(`round ${round + 1}, ${name}: ${whole(rate(measured))} activities/s\n`)
          results.get(variant)?.push(measured)
        }
      }
    }),
  )
  const baseline = results.get(bare) ?? []
  const ratio = (measures: ReadonlyArray<Measured>, of: (measured: Measured) => number) =>
    median(measures.map((measured, round) => of(measured) / of(baseline[round] ?? measured))).toFixed(2)
  return table(
    ["", "activities/s", "rate ÷ bare", "CPU s per million", "CPU ÷ bare", "peak MiB"],
    Array.from(results, ([{ name }, measures]) => [
      name,
      whole(median(measures.map(rate))),
      ratio(measures, rate),
      median(measures.map(cpu)).toFixed(1),
      ratio(measures, cpu),
      whole(median(measures.map(({ peakMiB }) => peakMiB))),
    ]),
  )
}

const rate = ({ activities, seconds }: Measured) => activities / seconds

const cpu = ({ activities, cpuSeconds }: Measured) => (cpuSeconds / activities) * 1e6
