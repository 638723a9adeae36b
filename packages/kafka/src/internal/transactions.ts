/**
 * What a transactional producer is, whatever client is below it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { KafkaError, type Reason } from "../KafkaError.js"
import type { Producer, TransactionalProducer } from "../Producer.js"
import * as lock from "./lock.js"

/** A transaction of a client, begun and not ended. Each member ends within a limit of its own. */
export interface Transaction extends Producer {
  readonly commit: Effect.Effect<void, KafkaError>
  readonly abort: Effect.Effect<void, KafkaError>
}

/**
 * After these nothing can be aborted: the broker does not know this producer any more, or a send may still be on its way, and
 * one that arrives after the abort would stay open for ever. The next producer of this id ends the transaction.
 */
const leavesNothingToAbort: ReadonlySet<Reason> = new Set([
  "Fenced",
  "TransactionExpired",
  "ProducerSpent",
  "OutcomeUnknown",
])

/**
 * A send that fails in another way may have been written by an earlier try of it: a later one under the same numbers would be
 * taken for its repetition, and be lost.
 */
export const leavesProducerUsable: ReadonlySet<Reason> = new Set(["RecordTooLarge", "RecordRejected", "UnknownTopic"])

export const make = (
  transactionalId: string,
  begin: Effect.Effect<Transaction, KafkaError>,
): Effect.Effect<TransactionalProducer> =>
  Effect.sync(() => {
    const oneAtATime = lock.make()
    let spent: KafkaError | undefined

    const spend = (error: KafkaError) =>
      Effect.sync(() => {
        spent =
          error.reason === "Fenced"
            ? error
            : new KafkaError({
                reason: "ProducerSpent",
                description: `the producer of transactional id ${transactionalId} cannot be used any more, since: ${error.message}`,
                cause: error,
              })
      })

    const transaction = <A, E, R>(use: (transaction: Producer) => Effect.Effect<A, E, R>) =>
      oneAtATime(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            if (spent !== undefined) return yield* spent
            const current = yield* Effect.tapError(begin, spend)
            const isIdle = Effect.unsafeMakeLatch(true)
            let underWay = 0
            let ended = false
            const failed: Array<KafkaError> = []

            const watched = <A>(send: Effect.Effect<A, KafkaError>) =>
              Effect.uninterruptibleMask((restore) => {
                if (ended) return Effect.dieMessage("a send on a transaction that has ended")
                underWay++
                isIdle.unsafeClose()
                return restore(send).pipe(
                  Effect.tapError((error) => Effect.sync(() => failed.push(error))),
                  Effect.ensuring(
                    Effect.sync(() => {
                      if (--underWay === 0) isIdle.unsafeOpen()
                    }),
                  ),
                )
              })

            const transaction: Producer = {
              send: (to, records) => watched(current.send(to, records)),
              sendByKey: (topic, records) => watched(current.sendByKey(topic, records)),
            }
            const exit = yield* Effect.exit(restore(use(transaction)))
            ended = true
            yield* isIdle.await // no send is on its way any more, also none that `use` did not wait for
            const [first] = failed
            const result: Exit.Exit<A, E | KafkaError> =
              Exit.isSuccess(exit) && first !== undefined ? Exit.fail(first) : exit
            if (Exit.isSuccess(result)) {
              yield* Effect.tapError(current.commit, spend)
              return yield* result
            }
            // not only the first: several partitions are sent to at once
            if (!failed.some(({ reason }) => leavesNothingToAbort.has(reason))) {
              yield* Effect.catchAll(current.abort, spend)
            }
            const spending = failed.find(({ reason }) => !leavesProducerUsable.has(reason))
            if (spending !== undefined) yield* spend(spending)
            return yield* result
          }),
        ),
      )

    return { transactionalId, transaction }
  })
