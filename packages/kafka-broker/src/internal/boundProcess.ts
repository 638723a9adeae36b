/**
 * A process that ends with this one, also when this one is killed by SIGKILL.
 *
 * A shell beside it reads from a pipe whose other end is here. The kernel closes that end together with this process, however
 * it ends, and then the shell kills the program. The program is itself the child, by `exec`, so that signals reach it directly.
 *
 * @since 0.1.0
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import type { Writable } from "node:stream"
import * as Effect from "effect/Effect"

/** `$$` is the shell that becomes the program. A line on the pipe, instead of its end, says that nobody is left to kill. */
const script = '{ read -r _ <&3 || kill -9 $$; } & exec "$@" </dev/null 3<&-'

export interface BoundProcess {
  readonly isRunning: () => boolean
  readonly signal: (signal: NodeJS.Signals) => void
  readonly exit: Effect.Effect<void>
}

/** Starts a program from the `PATH`; what it prints is appended to the file `log`. */
export const start = (program: string, args: ReadonlyArray<string>, log: string): BoundProcess => {
  const output = fs.openSync(log, "a")
  const child = spawn("sh", ["-c", script, "sh", program, ...args], {
    stdio: ["ignore", output, output, "pipe"],
    // a group of its own: Ctrl-C in a terminal ends this process, which then ends that one in its own way
    detached: true,
  })
  fs.closeSync(output)
  const pipe = child.stdio[3] as Writable
  pipe.on("error", () => {})
  let running = true
  const exited = new Promise<void>((resolve) => {
    const ended = () => {
      running = false
      pipe.end("\n")
      resolve()
    }
    child.once("exit", ended).once("error", ended)
  })
  return {
    isRunning: () => running,
    signal: (signal) => {
      if (running) child.kill(signal)
    },
    exit: Effect.promise(() => exited),
  }
}
