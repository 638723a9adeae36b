/**
 * The service over kafkajs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Service } from "../../KafkaClient.js"
import type { KafkaError } from "../../KafkaError.js"
import type { Options, Transport } from "../../KafkajsOptions.js"
import * as admin from "./admin.js"
import * as connections from "./connection.js"
import * as consumers from "./consumer.js"
import * as producers from "./producer.js"
import * as read from "./read.js"

export const make = (options: Options, transport: Transport): Effect.Effect<Service, KafkaError> =>
  Effect.gen(function* () {
    const connection = yield* connections.make(options, transport)
    yield* connection.admin(`cannot connect to Kafka at ${options.brokers.join(", ")}`, (client) =>
      client.describeCluster(),
    )
    const topics = admin.make(connection)
    return {
      ...topics,
      producer: (options) => producers.make(connection, topics.topic, options),
      transactionalProducer: (options) => producers.makeTransactional(connection, topics.topic, options),
      consume: consumers.make(connection, topics),
      read: read.make(connection),
    }
  })
