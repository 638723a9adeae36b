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
 * Topics and transactions in memory, for tests of programs: readers see what is committed, a newer producer of a
 * transactional id fences the older one, transactions expire by the `Clock`, and records over `max.message.bytes` are
 * refused. Topics must be created. There are no groups: `consume` fails. Each build of the layer is a cluster of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<KafkaClient> = Layer.sync(KafkaClient, cluster.make)
