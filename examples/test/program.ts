/** Runs an example as its reader would: a process of its own. */
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Effect, type Scope } from "effect"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  readonly ended: Effect.Effect<Ended>
}

// resolved here, because the programs run in other folders
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

const node = ["--conditions=@effect-marketo/source", "--import", tsx]

const fileOf = (example: string) => fileURLToPath(new URL(`../src/${example}.ts`, import.meta.url))

/** The command line of an example, for a shell. */
export const commandLine = (example: string): string =>
  [process.execPath, ...node, fileOf(example)].map((word) => `'${word}'`).join(" ")

/** Of this process' environment only what a program needs to start. */
const environment = { PATH: process.env.PATH }

interface Options {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

const launch = (
  command: string,
  args: ReadonlyArray<string>,
  { cwd, env }: Options,
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, { cwd, env: { ...environment, ...env }, stdio: ["ignore", "pipe", "pipe"] })
      const text = { stdout: "", stderr: "" }
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (data: string) => {
          text[name] += data
        })
      }
      const closed = new Promise<Ended>((resolve) => {
        child.once("close", (code, signal) => resolve({ code, signal, ...text }))
      })
      return { process: child, ended: Effect.promise(() => closed) }
    }),
    (running) =>
      Effect.zipRight(
        Effect.sync(() => running.process.kill("SIGKILL")),
        running.ended,
      ),
  )

export const start = (example: string, args: ReadonlyArray<string> = [], options: Options = {}) =>
  launch(process.execPath, [...node, fileOf(example), ...args], options)

export const run = (example: string, args: ReadonlyArray<string> = [], options: Options = {}): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(example, args, options), ({ ended }) => ended))

/** A line for bash, with the exit code of each program of its pipe in `stderr`. */
export const shell = (line: string): Effect.Effect<Ended> =>
  Effect.scoped(
    Effect.flatMap(launch("bash", ["-c", `${line}; echo "\${PIPESTATUS[@]}" >&2`], {}), ({ ended }) => ended),
  )
