/**
 * What becomes of a partition whose next offset the topic no longer has, or does not have yet: how many offsets are missing, and
 * where reading goes on. Only the broker can tell: offsets that transactions and compaction leave out are no gap.
 */
import type * as Effect from "effect/Effect"
import type { Cluster } from "kafkajs"
import type { KafkaError } from "../../KafkaError.js"
import type { ConsumerSettings } from "../consumerOptions.js"
import * as Gap from "../gap.js"

export interface Settings extends ConsumerSettings {
  readonly cluster: Cluster
  readonly run: (effect: Effect.Effect<void>) => Promise<void>
  /** Reading goes on there. */
  readonly moveTo: (partition: number, offset: bigint) => void
  /** Ends the member. */
  readonly fail: (error: KafkaError) => void
}

export interface Gaps {
  /** A broker does not have the offset that was asked for. Answers whether kafkajs may reset it: it then commits `resetOf`. */
  readonly onOutOfRange: (partition: number, position: bigint) => Promise<boolean>
  readonly resetOf: (partition: number) => bigint | undefined
}

export const make = (settings: Settings): Gaps => {
  const { cluster, fail, from, moveTo, onGap, run, topic } = settings
  /** The last gap of each partition: kafkajs may meet it again before the reset is committed. */
  const found = new Map<number, Gap.Gap>()

  const offsetOf = async (partition: number, fromBeginning: boolean) => {
    const [answer] = await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromBeginning }])
    return BigInt(answer?.partitions[0]?.offset ?? 0)
  }

  return {
    onOutOfRange: async (partition, position) => {
      const range = { start: await offsetOf(partition, true), end: await offsetOf(partition, false) }
      const gap = Gap.find(partition, position, range, from)
      if (gap === undefined) return false
      const isKnown = found.get(partition)?.position === position
      found.set(partition, gap)
      if (!isKnown) await run(Gap.report(gap, settings))
      if (onGap === "fail") fail(Gap.failure(gap, settings))
      else moveTo(partition, gap.next)
      return onGap === "continue"
    },
    resetOf: (partition) => found.get(partition)?.next,
  }
}
