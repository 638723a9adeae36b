import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Effect, type Scope } from "effect"

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href
const program = fileURLToPath(new URL("./program.ts", import.meta.url))

/** Runs `program.ts`; killed at the end of the scope. */
export const start = (args: ReadonlyArray<string>): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--conditions=@effect-marketo/source", "--import", tsx, program, ...args], {
        stdio: ["ignore", "ignore", "inherit"],
        env: { PATH: process.env.PATH },
      }),
    ),
    kill,
  )

export const kill = (child: ChildProcess): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
