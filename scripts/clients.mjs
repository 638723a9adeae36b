/**
 * Runs what third-party clients have of activities against the simulator's command, and compares the outcome with the table in
 * the simulator's README: `npm run check:clients`. The clients are installed into a temporary folder, from PyPI and npm; it
 * needs `python3` with pip.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { root } from "./workspace.mjs"

const versions = { marketorestpython: "0.5.25", "node-marketo-rest": "0.7.8" }

const folder = mkdtempSync(join(tmpdir(), "marketo-clients-"))
const stdio = ["ignore", "ignore", "inherit"]

const install = () => {
  const packages = join(folder, "python")
  const python = `marketorestpython==${versions.marketorestpython}`
  execFileSync(
    "python3",
    ["-m", "pip", "install", "--quiet", "--root-user-action", "ignore", "--target", packages, python],
    { stdio },
  )
  const npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
  execFileSync("npm", [...npm, `node-marketo-rest@${versions["node-marketo-rest"]}`], { cwd: folder, stdio })
  return { packages }
}

const startSimulator = async () => {
  const bin = join(root, "packages/simulator/src/bin.ts")
  const flags = ["--conditions=@effect-marketo/source", "--import", "tsx", bin, "--activities", "2000"]
  const child = spawn(process.execPath, flags, { cwd: root, stdio: ["ignore", "pipe", "inherit"] })
  const [line] = await once(createInterface(child.stdout), "line")
  const { clientId, clientSecret, url } = JSON.parse(line)
  return { child, args: [url, clientId, clientSecret] }
}

/** The rows of the table, from the lines that a client's script prints. */
const rows = (client, command, args, env = {}) =>
  execFileSync(command, args, { cwd: folder, env: { ...process.env, ...env }, encoding: "utf8" })
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .map(({ call, result }) => ({ client, call, result }))

/** Cells, whatever the spaces that align them. */
const tableOf = (readme) =>
  readme.split("\n").flatMap((line) => {
    const [client, call, result, ...others] = line.split("|").slice(1, -1)
    return others.length === 0 && Object.hasOwn(versions, client?.trim().split(" ")[0] ?? "")
      ? [{ client: client.trim(), call: call.trim().replaceAll("`", ""), result: result.trim() }]
      : []
  })

const nameOf = (client) => `${client} ${versions[client]}`
const text = ({ call, client, result }) => `| ${client} | \`${call}\` | ${result} |`

let simulator
try {
  const { packages } = install()
  simulator = await startSimulator()
  const script = (name) => join(root, "scripts/clients", name)
  const found = [
    ...rows(nameOf("marketorestpython"), "python3", [script("python_client.py"), ...simulator.args], {
      PYTHONPATH: packages,
    }),
    ...rows(nameOf("node-marketo-rest"), process.execPath, [script("nodeClient.cjs"), ...simulator.args]),
  ].map(text)
  console.log(["| client | call | result |", "| --- | --- | --- |", ...found].join("\n"))
  const written = tableOf(readFileSync(join(root, "packages/simulator/README.md"), "utf8")).map(text)
  const differences = [
    ...found.filter((row) => !written.includes(row)).map((row) => `not in the README: ${row}`),
    ...written.filter((row) => !found.includes(row)).map((row) => `only in the README: ${row}`),
  ]
  if (differences.length > 0) {
    console.error(`\nThe simulator's README says something else:\n${differences.join("\n")}`)
    process.exitCode = 1
  }
} finally {
  simulator?.child.kill()
  rmSync(folder, { recursive: true, force: true })
}
