/**
 * What becomes of a partition whose next offset the topic no longer has, or does not have yet: how many offsets are missing, and
 * where reading goes on. Only the broker can tell: offsets that transactions and compaction leave out are no gap.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Cluster } from "kafkajs"
import { KafkaError } from "../../KafkaError.js"
import * as Metrics from "../../Metrics.js"

/** The first offset that a partition has, and the one behind its last. */
export interface Range {
  readonly start: bigint
  readonly end: bigint
}

export interface Gap {
  readonly partition: number
  /** The offset that was to be read. */
  readonly position: bigint
  /** Where reading goes on. */
  readonly next: bigint
  /** How many offsets there are between the position and what the partition has. */
  readonly offsets: bigint
  /** Whether the partition ends before the position: the topic was made anew, or has lost its end. */
  readonly isBehindEnd: boolean
}

export const find = (
  partition: number,
  position: bigint,
  { end, start }: Range,
  from: "earliest" | "latest",
): Gap | undefined => {
  if (position < start) return { partition, position, next: start, offsets: start - position, isBehindEnd: false }
  if (position <= end) return undefined
  // its records may all be unread ones of a new topic
  const next = from === "earliest" ? start : end
  return { partition, position, next, offsets: position - end, isBehindEnd: true }
}

const wordsOf = ({ isBehindEnd, offsets, partition, position }: Gap, topic: string): string =>
  isBehindEnd
    ? `partition ${partition} of topic ${topic} ends ${offsets} offsets before ${position}, the next one to read: the topic was made anew, or a leader was elected that had not all of it`
    : `${offsets} offsets from ${position} on were removed from partition ${partition} of topic ${topic} before they were read, by its retention or by a request`

export interface Settings {
  readonly topic: string
  readonly groupId: string
  readonly from: "earliest" | "latest"
  readonly onGap: "continue" | "fail"
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

export const make = ({ cluster, fail, from, groupId, moveTo, onGap, run, topic }: Settings): Gaps => {
  /** The last gap of each partition: kafkajs may meet it again before the reset is committed. */
  const found = new Map<number, Gap>()

  const offsetOf = async (partition: number, fromBeginning: boolean) => {
    const [answer] = await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromBeginning }])
    return BigInt(answer?.partitions[0]?.offset ?? 0)
  }

  const report = (gap: Gap) => {
    const { next, offsets, partition, position } = gap
    return Effect.zipRight(
      Metric.incrementBy(Metric.tagged(Metrics.gapOffsets, "topic", topic), Number(offsets)),
      Effect.annotateLogs(
        Effect.logError(
          `${wordsOf(gap, topic)}; ${onGap === "fail" ? "reading ends here" : `reading goes on at ${next}`}`,
        ),
        { topic, groupId, partition, offsets: `${offsets}`, position: `${position}`, next: `${next}` },
      ),
    )
  }

  const failed = (gap: Gap) =>
    new KafkaError({
      reason: "OffsetOutOfRange",
      description: `group ${groupId} cannot read on: ${wordsOf(gap, topic)}. Set the group's offset to ${gap.next}, or read with onGap "continue"`,
      code: "OFFSET_OUT_OF_RANGE",
    })

  return {
    onOutOfRange: async (partition, position) => {
      const range = { start: await offsetOf(partition, true), end: await offsetOf(partition, false) }
      const gap = find(partition, position, range, from)
      if (gap === undefined) return false
      const isKnown = found.get(partition)?.position === position
      found.set(partition, gap)
      if (!isKnown) await run(report(gap))
      if (onGap === "fail") fail(failed(gap))
      else moveTo(partition, gap.next)
      return onGap === "continue"
    },
    resetOf: (partition) => found.get(partition)?.next,
  }
}
