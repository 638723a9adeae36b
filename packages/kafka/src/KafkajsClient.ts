/**
 * `KafkaClient` over kafkajs: a real cluster.
 *
 * @example
 * import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
 * import { Config, Effect } from "effect"
 *
 * const KafkaLive = KafkajsClient.layerConfig({
 *   brokers: Config.array(Config.string(), "KAFKA_BROKERS"),
 *   sasl: {
 *     mechanism: Config.succeed("scram-sha-512" as const),
 *     username: Config.string("KAFKA_USER"),
 *     password: Config.redacted("KAFKA_PASSWORD")
 *   },
 *   tls: Config.succeed(true)
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const client = yield* KafkaClient.KafkaClient
 *   const producer = yield* client.transactionalProducer({ transactionalId: "example" })
 *   yield* producer.transaction((transaction) =>
 *     transaction.send({ topic: "greetings", partition: 0 }, [{ key: "en", value: "hello" }])
 *   )
 * }).pipe(Effect.scoped, Effect.provide(KafkaLive))
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { checkOptions } from "./internal/kafkajs/checkOptions.js"
import * as client from "./internal/kafkajs/client.js"
import { KafkaClient } from "./KafkaClient.js"
import type { KafkaError } from "./KafkaError.js"
import type { Options, Transport } from "./KafkajsOptions.js"

/**
 * Over kafkajs. Building it asks the brokers once: what is wrong with the address, TLS or signing in is an error here, within
 * `startTimeout`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options, transport: Transport = {}): Layer.Layer<KafkaClient, KafkaError> =>
  Layer.effect(
    KafkaClient,
    Effect.zipRight(
      checkOptions(options),
      Effect.suspend(() => client.make(options, transport)),
    ),
  )

/**
 * The same from the program's own `Config`s.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>,
  transport: Transport = {},
): Layer.Layer<KafkaClient, KafkaError | ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap<Options>(options), (read) => layer(read, transport)))
