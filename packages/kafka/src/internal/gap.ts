/**
 * Offsets that a group has not read and that the partition no longer has, or does not have yet.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { KafkaError } from "../KafkaError.js"
import * as Metrics from "../Metrics.js"
import type { ConsumerSettings } from "./consumerOptions.js"

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

/** Counts and logs a gap. */
export const report = (gap: Gap, { groupId, onGap, topic }: ConsumerSettings): Effect.Effect<void> => {
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

/** What `onGap: "fail"` fails with. */
export const failure = (gap: Gap, { groupId, topic }: ConsumerSettings): KafkaError =>
  new KafkaError({
    reason: "OffsetOutOfRange",
    description: `group ${groupId} cannot read on: ${wordsOf(gap, topic)}. Set the group's offset to ${gap.next}, or read with onGap "continue"`,
    code: "OFFSET_OUT_OF_RANGE",
  })
