/** Reading a topic as a member of a group. */
export * as Consumer from "./Consumer.js"
/** A Kafka cluster as a service. */
export * as KafkaClient from "./KafkaClient.js"
/** How Kafka fails. */
export * as KafkaError from "./KafkaError.js"
/** Records and where they are. */
export * as KafkaRecord from "./KafkaRecord.js"
/** Which partition a key belongs to. */
export * as Partitioner from "./Partitioner.js"
/** Writing to topics, in transactions too. */
export * as Producer from "./Producer.js"
/** What a topic is. */
export * as Topic from "./Topic.js"
