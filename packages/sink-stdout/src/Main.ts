/**
 * Runs a program whose standard output is data.
 *
 * @example
 * import { CheckpointStore } from "@effect-marketo/core"
 * import { Main, StdoutSink } from "@effect-marketo/sink-stdout"
 * import { Effect, Layer } from "effect"
 *
 * declare const pipeline: Effect.Effect<void, Error, Layer.Layer.Success<typeof StdoutSink.layer>>
 *
 * pipeline.pipe(
 *   Effect.provide(Layer.provide(StdoutSink.layer, CheckpointStore.layerMemory)),
 *   Main.runMain
 * )
 *
 * @since 0.1.0
 */
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"

/** Shells report an end by a signal as 128 and its number. */
const signals = { SIGINT: 130, SIGTERM: 143 } as const

const isClosed = (error: unknown): boolean => error instanceof SinkError && error.reason === "Closed"

/** What happened, and what it came from. */
const line = (error: unknown): string =>
  error instanceof Error
    ? [error.message || error.name, ...(error.cause === undefined ? [] : [line(error.cause)])].join(": ")
    : Inspectable.toStringUnknown(error)

/** An expected failure is one line; a defect is a bug and comes with its trace. */
const report = (cause: Cause.Cause<unknown>): string => {
  const failures = Chunk.toReadonlyArray(Cause.failures(cause))
  return failures.length === 0 ? Cause.pretty(cause) : failures.map(line).join("\n")
}

/**
 * Runs `program` as the whole process:
 *
 * - logs go to stderr (Effect's default logger is replaced; `Console.log` of your own still goes to stdout);
 * - SIGINT and SIGTERM interrupt it, once; a second one ends the process at once. Exit code 130 or 143;
 * - a reader that is gone (`SinkError` with the reason `Closed`, as under `| head`) is a quiet end with exit code 0;
 * - any other failure is one line on stderr, its message and those of its causes, and exit code 1; a defect has its trace.
 *
 * @since 0.1.0
 * @category constructors
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void => {
  const logger = Logger.prettyLogger({ stderr: true, colors: process.stderr.isTTY === true })
  const fiber = Effect.runFork(Effect.provide(program, Logger.replace(Logger.defaultLogger, logger)))
  // a program that waits on nothing but Effect's own latches and queues must not fall out of the event loop
  const keepAlive = setInterval(() => {}, 2 ** 31 - 1)

  let interrupted: keyof typeof signals | undefined
  const stop = (signal: NodeJS.Signals): void => {
    interrupted = signal === "SIGINT" ? signal : "SIGTERM"
    release()
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  const release = (): void => {
    for (const signal of Object.keys(signals)) process.removeListener(signal, stop)
  }
  for (const signal of Object.keys(signals)) process.on(signal, stop)

  fiber.addObserver((exit: Exit.Exit<A, E>) => {
    clearInterval(keepAlive)
    release()
    if (exit._tag === "Success") return interrupted === undefined ? undefined : process.exit(0)
    const failures = Cause.failures(exit.cause)
    if (Chunk.isNonEmpty(failures) && Chunk.every(failures, isClosed)) process.exit(0)
    if (Cause.isInterruptedOnly(exit.cause) && interrupted !== undefined) process.exit(signals[interrupted])
    process.stderr.write(`${report(exit.cause)}\n`, () => process.exit(1))
  })
}
