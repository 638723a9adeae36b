/**
 * The figures of the README, as Markdown on standard output.
 *
 *     npm run bench                       everything, about ten minutes
 *     npm run bench -- throughput         one of: throughput, writing, memory, kafka-sink, kafka-source, limits
 *     npm run bench -- --quick            fewer pages and rounds
 */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { kafkaSink } from "./kafkaSink.js"
import { kafkaSource } from "./kafkaSource.js"
import { limits } from "./limits.js"
import { memory } from "./memory.js"
import { throughput } from "./throughput.js"
import { writing } from "./writing.js"

const { positionals, values } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
})
const { quick } = values

const sections: Readonly<Record<string, { readonly title: string; readonly run: () => Promise<string> }>> = {
  throughput: {
    title: "Reading 300 activities a page over loopback",
    run: () => (quick ? throughput(200, 1) : throughput(1_000, 5)),
  },
  writing: { title: "Writing 300 custom activities a call", run: () => (quick ? writing(100, 1) : writing(3_000, 5)) },
  memory: { title: "Memory", run: () => (quick ? memory(100, 1) : memory(500, 3)) },
  "kafka-sink": {
    title: "Into Kafka, six partitions, the broker on the same two cores",
    run: () => (quick ? kafkaSink(20, 1) : kafkaSink(100, 3)),
  },
  "kafka-source": {
    title: "From Kafka, 12 partitions and 5 lanes, 150 ms a call",
    run: () => (quick ? kafkaSource(20_000, 1) : kafkaSource(100_000, 3)),
  },
  limits: { title: "At 100 calls in 20 s", run: () => limits(quick ? 120 : 400) },
}

const unknown = positionals.filter((name) => !(name in sections))
if (unknown.length > 0) {
  process.stderr.write(`${unknown.join(", ")}: choose from ${Object.keys(sections).join(", ")}\n`)
  process.exit(1)
}

const project = fileURLToPath(new URL("../tsconfig.src.json", import.meta.url))
execFileSync("npx", ["tsc", "-b", project], { stdio: "inherit" })

for (const [name, { run, title }] of Object.entries(sections)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  process.stdout.write(`### ${title}\n\n${await run()}\n\n`)
}
