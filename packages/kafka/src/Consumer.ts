/**
 * Work on a topic as a member of a consumer group, at least once.
 *
 * @example
 * import { Consumer } from "@effect-marketo/kafka"
 * import { Effect } from "effect"
 *
 * export const program = Consumer.forEach({ topic: "orders", groupId: "invoices" }, (records) =>
 *   Effect.log(`${records.length} orders`)
 * )
 *
 * @since 0.1.0
 */
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type ConsumerOptions, KafkaClient } from "./KafkaClient.js"
import type { KafkaError } from "./KafkaError.js"
import type { ConsumerRecord } from "./KafkaRecord.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface ForEachOptions extends ConsumerOptions {
  /** At most this many records go to one call of the work, and are committed together. Default: 500. */
  readonly maxRecords?: number | undefined
}

/**
 * Works on the records of a topic for as long as the program runs. Each call of `work` gets consecutive records of one
 * partition; they are committed when it succeeds. The calls of one partition run one after the other, so its order is kept.
 * Partitions run in parallel.
 *
 * Delivery is at least once: records are delivered again if the process dies between the work and the commit. If `work`
 * fails, its records are not committed, work on other partitions is interrupted and released, and this effect fails. Retry
 * inside `work` what may be transient. One call must end within `rebalanceTimeout`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const forEach = <A, E, R>(
  options: ForEachOptions,
  work: (records: Chunk.NonEmptyChunk<ConsumerRecord>) => Effect.Effect<A, E, R>,
): Effect.Effect<void, KafkaError | E, KafkaClient | R> => {
  const { maxRecords = 500, ...consumerOptions } = options
  return Effect.flatMap(KafkaClient, (client) =>
    client.consume(consumerOptions).pipe(
      // a partition has one batch at a time, so this runs its batches in order
      Stream.mapEffect((batch) => Effect.repeat(batch.use(maxRecords, work), { while: (isCommitted) => isCommitted }), {
        concurrency: "unbounded",
        unordered: true,
      }),
      Stream.runDrain,
    ),
  )
}
