/**
 * Runs docgen in every published package, two at a time; it fails on an export without `@since`. The pages it writes are
 * ignored by git. docgen compiles the examples only where it runs them as well, and a pipeline without an account does not
 * run, so snippets.mjs compiles them.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { publishedPackages } from "./workspace.mjs"

const docgen = async ({ name, folder }) => {
  const child = spawn("npx", ["docgen"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, DOCGEN_RUN_EXAMPLES: "false" }, // its flag of that name is ignored by 0.5.2
  })
  const output = child.stdout.toArray()
  const [code] = await once(child, "close")
  if (code === 0) return console.log(`✔ ${name}`)
  console.error(`✘ ${name}\n${(await output).join("")}`)
  process.exitCode = 1
}

const queue = publishedPackages()
const worker = async () => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) await docgen(next)
}
await Promise.all([worker(), worker()])
