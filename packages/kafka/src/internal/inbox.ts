/**
 * Batches that wait for the reader of `consume`: at most one of each partition. One that its member loses in a rebalance is
 * withdrawn, so a slow reader keeps no more than that, however often the group rebalances.
 */
import type { Cause } from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { KafkaError } from "../KafkaError.js"
import type { PartitionBatch } from "../PartitionBatch.js"

export interface Inbox {
  readonly offer: (batch: PartitionBatch) => void
  readonly withdraw: (partition: number) => void
  readonly fail: (cause: Cause<KafkaError>) => Effect.Effect<boolean>
  /** One batch at a time, so that none is taken long before the reader gets to it. */
  readonly stream: Stream.Stream<PartitionBatch, KafkaError>
}

export const make = Effect.map(
  Mailbox.make<void, KafkaError>({ capacity: 1, strategy: "dropping" }),
  (arrived): Inbox => {
    const waiting = new Map<number, PartitionBatch>()

    const takeOne = Effect.suspend(() => {
      for (const [partition, batch] of waiting) {
        waiting.delete(partition)
        return Effect.succeed(batch)
      }
      return Effect.fail(Option.none())
    })

    return {
      offer: (batch) => {
        waiting.set(batch.partition, batch)
        arrived.unsafeOffer(undefined)
      },
      withdraw: (partition) => {
        waiting.delete(partition)
      },
      fail: (cause) => arrived.failCause(cause),
      stream: Stream.flatMap(Mailbox.toStream(arrived), () => Stream.repeatEffectOption(takeOne)),
    }
  },
)
