/**
 * Sending by key, over sends to a partition.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import { KafkaError } from "../KafkaError.js"
import type { ProducerRecord } from "../KafkaRecord.js"
import { partition as partitionOf } from "../Partitioner.js"
import type { Producer } from "../Producer.js"

/** Records for one partition, and their places in the caller's list. */
interface Group {
  readonly partition: number
  readonly records: [ProducerRecord, ...Array<ProducerRecord>]
  readonly places: Array<number>
}

const group = (records: ReadonlyArray<ProducerRecord>, partitions: number, ofKeyless: number): Array<Group> => {
  const groups = new Map<number, Group>()
  for (const [place, record] of records.entries()) {
    const partition = record.key === null ? ofKeyless : partitionOf(record.key, partitions)
    const found = groups.get(partition)
    if (found === undefined) groups.set(partition, { partition, records: [record], places: [place] })
    else {
      found.records.push(record)
      found.places.push(place)
    }
  }
  return [...groups.values()]
}

export const make = (
  send: Producer["send"],
  partitions: (topic: string) => Effect.Effect<number, KafkaError>,
): Producer => ({
  send,
  sendByKey: (topic, records) =>
    Effect.gen(function* () {
      const count = yield* partitions(topic)
      const groups = group(records, count, yield* Random.nextIntBetween(0, count))
      const results = yield* Effect.forEach(
        groups,
        ({ partition, places, records }) =>
          send({ topic, partition }, records).pipe(
            Effect.mapError((error) =>
              error.index === undefined ? error : new KafkaError({ ...error, index: places[error.index] }),
            ),
            Effect.either,
          ),
        { concurrency: "unbounded" },
      )
      const failed = results.find(Either.isLeft)
      if (failed !== undefined) return yield* failed.left
    }),
})
