/** Servers and readers as processes of their own, from the compiled JavaScript that users get. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Measured } from "./measured.js"

const launch = (script: string, args: ReadonlyArray<string | number>) => {
  const file = fileURLToPath(new URL(`../dist/${script}.js`, import.meta.url))
  return spawn(process.execPath, [file, ...args.map(String)], { stdio: ["ignore", "pipe", "inherit"] })
}

/** Uses a server, once it has printed its line of JSON. */
export const withServer = async <S, A>(
  script: string,
  args: ReadonlyArray<string | number>,
  use: (server: S) => Promise<A>,
): Promise<A> => {
  const server = launch(script, args)
  try {
    const [line] = (await once(server.stdout.setEncoding("utf8"), "data")) as [string]
    return await use(JSON.parse(line) as S)
  } finally {
    server.kill("SIGKILL")
  }
}

/** Runs a reader to its end. */
export const runReader = async (script: string, args: ReadonlyArray<string | number>): Promise<Measured> => {
  const reader = launch(script, args)
  let output = ""
  reader.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text
  })
  const [code] = (await once(reader, "close")) as [number | null]
  if (code !== 0) throw new Error(`${script} ended with exit code ${code}`)
  return JSON.parse(output) as Measured
}

/** Gives `use` a folder that is gone afterwards. */
export const withFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "bench-"))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
