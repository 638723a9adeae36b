/**
 * Where a batch goes, and what its records look like there.
 *
 * @since 0.1.0
 */
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import type { Batch } from "@effect-marketo/core/ActivitySink"
import type { SinkError } from "@effect-marketo/core/SinkError"
import type { ProducerRecord, TopicPartition } from "@effect-marketo/kafka/KafkaRecord"
import * as Partitioner from "@effect-marketo/kafka/Partitioner"
import type { Topic } from "@effect-marketo/kafka/Topic"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { failure } from "./failure.js"
import * as rejected from "./rejected.js"

export interface Layout {
  /** What may be written to, as it was at the start: a topic that grows later keeps its keys where they are until then. */
  readonly topics: ReadonlyMap<string, Topic>
  readonly route: (record: ActivityRecord.ActivityRecord<unknown>) => string
  readonly rejected: rejected.Place | undefined
  readonly contentType: string
  readonly timestamp: "ingestion" | "activityDate"
  readonly typeNames: ReadonlyMap<number, string>
  readonly headers: (record: ActivityRecord.ActivityRecord<unknown>) => Readonly<Record<string, string | Uint8Array>>
}

/** What goes to one partition, in order. */
export interface Send {
  readonly to: TopicPartition
  readonly records: [ProducerRecord, ...Array<ProducerRecord>]
  /** What the record at the same place is made of; undefined for what is not an activity. */
  readonly sources: Array<ActivityRecord.ActivityRecord<unknown> | undefined>
}

/** Version of the layout: lead id as the key, these headers, JSON as the value. */
const SCHEMA_VERSION = "1"

const noPlaceForRejected = (count: number) =>
  failure(
    "RecordRejected",
    `${count} elements could not be decoded and this sink has no place for them: give it \`rejectedTopic\`, or read with \`undecodable: "fail"\``,
  )

const notListed = (topic: string, listed: Iterable<string>) =>
  failure("Other", `\`route\` gave the topic ${topic}, and \`topic\` lists ${Array.from(listed).join(", ")}`)

/**
 * The sends of one transaction, one for each partition. `values` are those of the records, in their order; what is in
 * `tooLarge`, by identity, goes to the rejected topic.
 */
export const sends = (
  layout: Layout,
  { checkpoint: { instance, sequence }, records, rejected: undecodable }: Batch,
  values: ReadonlyArray<string | Uint8Array>,
  tooLarge: ReadonlySet<string>,
): Effect.Effect<ReadonlyArray<Send>, SinkError> =>
  Effect.suspend(() => {
    const byPartition = new Map<string, Send>()
    const add = (topic: Topic, partition: number, record: ProducerRecord, source?: Send["sources"][number]) => {
      const at = `${topic.name}/${partition}`
      const send = byPartition.get(at)
      if (send === undefined) {
        byPartition.set(at, { to: { topic: topic.name, partition }, records: [record], sources: [source] })
      } else {
        send.records.push(record)
        send.sources.push(source)
      }
    }

    for (const [index, record] of Chunk.toReadonlyArray(records).entries()) {
      const name = layout.route(record)
      const topic = layout.topics.get(name)
      if (topic === undefined) return notListed(name, layout.topics.keys())
      const { identity } = record
      const key = record.leadId
      const date = record.activityDate
      const typeName = layout.typeNames.get(record.activityTypeId)
      const headers = {
        "content-type": layout.contentType,
        "marketo-guid": identity,
        "marketo-activity-type-id": `${record.activityTypeId}`,
        ...(typeName === undefined ? {} : { "marketo-activity-type": typeName }),
        "marketo-activity-date": DateTime.formatIso(date),
        "marketo-instance": instance,
        "marketo-schema-version": SCHEMA_VERSION,
        ...layout.headers(record),
      }
      if (tooLarge.has(identity) && layout.rejected !== undefined) {
        const { topic } = layout.rejected
        const kept = rejected.tooLarge(layout.rejected, ActivityRecord.toBytes(record), key, headers, name)
        add(topic, Partitioner.partition(key, topic.partitions), kept, record)
      } else {
        const timestamp = layout.timestamp === "activityDate" ? date : undefined
        const value = values[index] ?? null
        add(topic, Partitioner.partition(key, topic.partitions), { key, value, headers, timestamp }, record)
      }
    }

    if (Chunk.isNonEmpty(undecodable)) {
      if (layout.rejected === undefined) return noPlaceForRejected(undecodable.length)
      const { topic } = layout.rejected
      for (const element of undecodable) {
        // they have no key; one partition for all of a batch keeps them together
        add(topic, sequence % topic.partitions, rejected.undecodable(layout.rejected, element, instance))
      }
    }
    return Effect.succeed(Array.from(byPartition.values()))
  })
