/**
 * The batch that a member of a group is given, over the records that an adapter has read.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as PartitionBatch from "../PartitionBatch.js"
import type { Progress } from "./consumerProgress.js"
import * as lock from "./lock.js"

export interface Settings
  extends Pick<
    PartitionBatch.PartitionBatch,
    "topic" | "partition" | "length" | "at" | "valueAt" | "unreadableAt" | "first" | "hasMore"
  > {
  readonly progress: Progress
  /** Where the partition is read next when the records before that index are done. */
  readonly nextOffset: (until: number) => bigint
  /** Commits the offset from which the partition is read next. */
  readonly commit: (next: bigint) => Effect.Effect<boolean>
}

export const make = ({ commit, nextOffset, progress, ...read }: Settings): PartitionBatch.PartitionBatch => {
  const inTurn = lock.make()

  const commitUntil = (until: number): Effect.Effect<boolean> => {
    if (until <= progress.committed()) return Effect.succeed(true)
    return Effect.map(progress.isHeld() ? commit(nextOffset(until)) : Effect.succeed(false), (isCommitted) => {
      if (!isCommitted) progress.lose()
      progress.handBack(until, isCommitted)
      return isCommitted
    })
  }

  return PartitionBatch.make({
    ...read,
    get records() {
      return Chunk.makeBy(read.length, read.at)
    },
    claim: progress.claim,
    commit: (until) =>
      Effect.suspend(() => commitUntil(Math.min(until, read.length))).pipe(inTurn, Effect.uninterruptible),
    release: Effect.sync(progress.release),
  })
}
