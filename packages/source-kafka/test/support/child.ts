import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Progress } from "@effect-marketo/source-kafka"
import { Effect, type Scope } from "effect"

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href
const program = fileURLToPath(new URL("./program.ts", import.meta.url))

export interface Child {
  readonly process: ChildProcess
  /** Of what it has committed, as far as it could still say so. */
  readonly progress: () => Progress.Progress
}

/** Runs `program.ts`; killed at the end of the scope. */
export const start = (args: ReadonlyArray<string>): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const process = spawn(
        globalThis.process.execPath,
        ["--conditions=@effect-marketo/source", "--import", tsx, program, ...args],
        { stdio: ["ignore", "pipe", "inherit"], env: { PATH: globalThis.process.env.PATH } },
      )
      let progress = Progress.empty
      createInterface(process.stdout).on("line", (line) => {
        progress = Progress.add(progress, JSON.parse(line))
      })
      return { process, progress: () => progress }
    }),
    ({ process }) => kill(process),
  )

export const kill = (child: ChildProcess): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
