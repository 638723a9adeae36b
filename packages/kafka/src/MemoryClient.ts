/**
 * `KafkaClient` in memory, for tests of programs.
 *
 * @example
 * import { KafkaClient, MemoryClient } from "@effect-marketo/kafka"
 * import { Effect } from "effect"
 *
 * export const test = Effect.gen(function* () {
 *   const client = yield* KafkaClient.KafkaClient
 *   yield* client.createTopic({ name: "greetings" })
 *   const producer = yield* client.producer()
 *   yield* producer.send({ topic: "greetings", partition: 0 }, [{ key: "en", value: "hello" }])
 * }).pipe(Effect.scoped, Effect.provide(MemoryClient.layer))
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as cluster from "./internal/memory/cluster.js"
import { KafkaClient } from "./KafkaClient.js"

/**
 * Topics, transactions and consumer groups in memory, for tests of programs. Topics must be created. Each build of the layer is
 * a cluster of its own.
 *
 * Readers see what is committed, a newer producer of a transactional id fences the older one, transactions expire by the
 * `Clock`, and records over `max.message.bytes` are refused.
 *
 * Members of a group share the partitions of their topics, also with members that read other topics. A rebalance waits for
 * claimed records. A member that holds them for longer than `rebalanceTimeout` loses them, as if it were expelled and had joined
 * again. New records and rebalances are noticed at once; a transaction that expires and a `rebalanceTimeout` that is over, at
 * the next `heartbeatInterval`. A batch has at most 1,000 records. No member is ever lost otherwise and every record can be
 * read, so `sessionTimeout`, `restart` and `unreadable` have no effect.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<KafkaClient> = Layer.sync(KafkaClient, cluster.make)
