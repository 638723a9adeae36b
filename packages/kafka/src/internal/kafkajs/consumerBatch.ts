/**
 * A batch of kafkajs as one of ours.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type { Batch, KafkaMessage } from "kafkajs"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import * as PartitionBatch from "../../PartitionBatch.js"
import * as lock from "../lock.js"
import type { Progress } from "./consumerProgress.js"
import { fromMessage, messageOf } from "./consumerRecord.js"

export interface Settings {
  readonly batch: Batch
  readonly progress: Progress
  readonly first: boolean
  /** Commits the offset from which the partition is read next. */
  readonly commit: (next: bigint) => Effect.Effect<boolean>
}

export const make = ({ batch, commit, first, progress }: Settings): PartitionBatch.PartitionBatch => {
  const { messages, partition, topic } = batch
  const { length } = messages
  // behind the last record, which may be followed by the end of its transaction
  const end = 1n + BigInt(batch.lastOffset())
  const made: Array<ConsumerRecord | undefined> = []
  const inTurn = lock.make()

  const messageAt = (index: number) => messageOf(messages[index] as KafkaMessage)

  const at = (index: number) => {
    made[index] ??= fromMessage(topic, partition, messageAt(index))
    return made[index]
  }

  const commitUntil = (until: number): Effect.Effect<boolean> => {
    if (until <= progress.committed()) return Effect.succeed(true)
    const following = messages[until]
    const next = following === undefined ? end : BigInt(following.offset)
    return Effect.map(progress.isHeld() ? commit(next) : Effect.succeed(false), (isCommitted) => {
      if (!isCommitted) progress.lose()
      progress.handBack(until, isCommitted)
      return isCommitted
    })
  }

  return PartitionBatch.make({
    topic,
    partition,
    length,
    at,
    valueAt: (index) => messageAt(index).value,
    unreadableAt: (index) => messageAt(index).unreadable,
    get records() {
      return Chunk.makeBy(length, at)
    },
    first,
    hasMore: BigInt(batch.highWatermark) > end,
    claim: progress.claim,
    commit: (until) => Effect.suspend(() => commitUntil(Math.min(until, length))).pipe(inTurn, Effect.uninterruptible),
    release: Effect.sync(progress.release),
  })
}
