/**
 * A pipeline reduced to its protocol: what is not in the checkpoint is sent again. Every step checks what the contract
 * promises about it.
 *
 * @since 0.1.0
 */
import { ActivitySink, type Batch, type Service, type Writer } from "@effect-marketo/core/ActivitySink"
import * as Checkpoint from "@effect-marketo/core/Checkpoint"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Harness } from "../SinkSuite.js"
import { Violation } from "../Violation.js"
import * as data from "./data.js"
import { type Cost, forkUntil, type Instant, measure } from "./instant.js"
import { expectStored } from "./stored.js"

export const violation = (description: string): Effect.Effect<never, Violation> =>
  Effect.fail(new Violation({ description }))

/** A new process on the harness's destination; it ends with the scope. */
export const newProcess = (harness: Harness): Effect.Effect<Service, SinkError, Scope.Scope> =>
  Effect.map(Layer.build(harness.layer), Context.get(ActivitySink))

/** The writer must have found the checkpoint of `batch`, as it was written. */
export const expectCheckpoint = (writer: Writer, batch: Batch | undefined): Effect.Effect<void, Violation> => {
  const found = Option.map(writer.checkpoint, Checkpoint.toJson)
  const expected = Option.map(Option.fromNullable(batch), ({ checkpoint }) => Checkpoint.toJson(checkpoint))
  if (Option.getOrUndefined(found) === Option.getOrUndefined(expected)) return Effect.void
  const shown = Option.getOrElse(() => "no checkpoint")
  return violation(`a writer opened with ${shown(found)}, expected ${shown(expected)}`)
}

export interface Session {
  /** Writes the next batch to its end. */
  readonly write: (records: number, rejected?: number) => Effect.Effect<void, SinkError | Violation>
  /** Starts to write the next batch, interrupts it at `instant`, opens anew by `next`, and sends again what is missing. */
  readonly interrupt: (options: {
    readonly records: number
    readonly rejected: number
    readonly instant: Instant
    readonly next: "reopen" | "restart"
  }) => Effect.Effect<void, SinkError | Violation>
  /** Closes the writer and opens another in the same process. */
  readonly reopen: Effect.Effect<void, SinkError | Violation>
  /** Ends the process and starts another. */
  readonly restart: Effect.Effect<void, SinkError | Violation>
}

export const make = (harness: Harness): Effect.Effect<Session, SinkError | Violation, Scope.Scope> =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const done: Array<Batch> = []
    let repeats = false
    let numbers = 0
    /** Of the last whole write; the next one will take about as much. */
    let cost: Cost = { operations: 50, millis: 1 }

    const startProcess = Effect.gen(function* () {
      const scope = yield* Scope.fork(outer, ExecutionStrategy.sequential)
      return { scope, sink: yield* Scope.extend(newProcess(harness), scope) }
    })
    const openWriter = Effect.gen(function* () {
      const scope = yield* Scope.fork(current.scope, ExecutionStrategy.sequential)
      return { scope, ...(yield* Scope.extend(current.sink.open(data.subscription), scope)) }
    })
    const closeWriter = Effect.suspend(() => Scope.close(writer.scope, Exit.void))

    /** What was cut off is in the checkpoint or it is not; nothing else is possible. */
    const settle = (doubtful: Batch) =>
      Effect.gen(function* () {
        const sequence = Option.match(writer.checkpoint, { onNone: () => 0, onSome: (found) => found.sequence })
        if (sequence === doubtful.checkpoint.sequence) done.push(doubtful)
        yield* expectCheckpoint(writer, done.at(-1))
        const isDone = done.at(-1) === doubtful
        yield* expectStored(harness, {
          batches: done,
          repeats: repeats ? { doubtful: isDone ? [] : [doubtful] } : undefined,
        })
        if (!isDone) yield* send(doubtful)
      })
    const send = (batch: Batch) =>
      Effect.gen(function* () {
        cost = yield* measure(writer.write(batch))
        done.push(batch)
        yield* expectStored(harness, { batches: done, repeats: repeats ? { doubtful: [] } : undefined })
      })
    const nextBatch = (records: number, rejected: number): Batch => {
      const from = numbers
      numbers += records + rejected
      return data.batch(
        data.subscription,
        done.length + 1,
        data.texts(records, from),
        data.rejectedTexts(rejected, from + records),
      )
    }
    const reopenWriter = Effect.gen(function* () {
      yield* closeWriter
      writer = yield* openWriter
    })
    const restartProcess = Effect.gen(function* () {
      yield* Scope.close(current.scope, Exit.void)
      current = yield* startProcess
      writer = yield* openWriter
    })
    const check = Effect.suspend(() =>
      Effect.zipRight(
        expectCheckpoint(writer, done.at(-1)),
        expectStored(harness, { batches: done, repeats: repeats ? { doubtful: [] } : undefined }),
      ),
    )

    let current = yield* startProcess
    let writer = yield* openWriter
    yield* check

    return {
      write: (records, rejected = 0) => Effect.suspend(() => send(nextBatch(records, rejected))),
      interrupt: ({ instant, next, records, rejected }) =>
        Effect.gen(function* () {
          const batch = nextBatch(records, rejected)
          repeats ||= current.sink.delivery === "at-least-once"
          const exit = yield* Effect.flatMap(forkUntil(writer.write(batch), instant, cost), Fiber.interrupt)
          if (Exit.isFailure(exit) && !Cause.isInterrupted(exit.cause)) yield* exit
          yield* next === "reopen" ? reopenWriter : restartProcess
          yield* settle(batch)
        }),
      reopen: Effect.zipRight(reopenWriter, check),
      restart: Effect.zipRight(restartProcess, check),
    }
  })
