/**
 * One node of a cluster: a process that comes and goes over the same data.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { BrokerError } from "../BrokerError.js"
import * as boundProcess from "./boundProcess.js"
import { lastLines } from "./command.js"
import * as metadata from "./metadata.js"

export interface Node {
  readonly start: Effect.Effect<void, BrokerError>
  /** Waits until the node sees all of these. */
  readonly sees: (ids: ReadonlyArray<number>) => Effect.Effect<void, BrokerError>
  readonly stop: Effect.Effect<void, BrokerError>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void, BrokerError>
}

/** After SIGKILL on the default session time-out it takes twelve seconds, and on a busy machine everything twice as long. */
const startLimit = "60 seconds"

const killLimit = "5 seconds"

/** A node that does not run yet. It is killed when the scope closes. */
export const make = (
  id: number,
  port: number,
  java: ReadonlyArray<string>,
  log: string,
): Effect.Effect<Node, never, Scope.Scope> =>
  Effect.gen(function* () {
    let current: boundProcess.BoundProcess | undefined

    const failed = (what: string) =>
      Effect.promise(() => fs.readFile(log, "utf8").catch(() => "")).pipe(
        Effect.flatMap(
          (text) =>
            new BrokerError({ reason: "Failed", description: `node ${id} ${what}; its log ends:\n${lastLines(text)}` }),
        ),
      )

    /** Sends a signal that ends the node, and waits until it has. */
    const end = (signal: "SIGTERM" | "SIGKILL", limit: string & Duration.DurationInput) =>
      Effect.suspend(() => {
        current?.signal(signal)
        return (current?.exit ?? Effect.void).pipe(
          Effect.interruptible, // or, in a finalizer, the limit would wait as well
          Effect.timeoutOption(limit),
          Effect.flatMap((ended) =>
            ended._tag === "Some" ? Effect.void : failed(`did not end within ${limit} of ${signal}`),
          ),
        )
      })

    // nothing that it holds outlives it, so there is no need to stop it in order
    yield* Effect.addFinalizer(() => Effect.ignoreLogged(end("SIGKILL", killLimit)))

    const sees: Node["sees"] = (ids) =>
      metadata.nodes(port).pipe(
        Effect.repeat({
          until: (seen) => ids.every((each) => seen.includes(each)),
          schedule: Schedule.spaced("50 millis"),
        }),
        Effect.raceFirst(Effect.zipRight(current?.exit ?? Effect.void, failed("ended before it was ready"))),
        Effect.timeoutOption(startLimit),
        Effect.flatMap((ready) => (ready._tag === "Some" ? Effect.void : failed(`was not ready after ${startLimit}`))),
      )

    const start = Effect.suspend(() => {
      if (current?.isRunning() !== true) current = boundProcess.start("java", java, log)
      return sees([id])
    })

    return {
      start,
      sees,
      stop: end("SIGTERM", "30 seconds"),
      kill: (signal) => (signal === "SIGKILL" ? end(signal, killLimit) : Effect.sync(() => current?.signal(signal))),
    }
  })
