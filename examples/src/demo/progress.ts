/** Progress on stderr: a bar on a terminal, plain lines elsewhere. */
import { MultiBar, Presets } from "cli-progress"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Progress {
  readonly show: (activities: number) => void
  /** A line of its own, above the bar. */
  readonly print: (line: string) => void
}

const PLAIN_LINE_EVERY_MILLIS = 500

const print = (line: string) => {
  process.stderr.write(`${line}\n`)
}

export const make = (total: number): Effect.Effect<Progress, never, Scope.Scope> =>
  process.stderr.isTTY ? bar(total) : Effect.sync(() => lines(total))

const bar = (total: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const format = "{bar} {percentage} % · {value} of {total} activities"
      return new MultiBar({ stream: process.stderr, format, hideCursor: true }, Presets.shades_classic)
    }),
    (bars) => Effect.sync(() => bars.stop()),
  ).pipe(
    Effect.map((bars): Progress => {
      const bar = bars.create(total, 0)
      return { show: (activities) => bar.update(activities), print: (line) => bars.log(`${line}\n`) }
    }),
  )

const lines = (total: number): Progress => {
  let last = 0
  return {
    print,
    show: (activities) => {
      const now = Date.now()
      if (activities < total && now - last < PLAIN_LINE_EVERY_MILLIS) return
      last = now
      print(`${activities} of ${total} activities`)
    },
  }
}
