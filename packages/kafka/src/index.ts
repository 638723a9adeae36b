/** How records are compressed. */
export * as Compression from "./Compression.js"
/** Work on a topic as a member of a consumer group. */
export * as Consumer from "./Consumer.js"
/** A Kafka cluster as a service: the port. */
export * as KafkaClient from "./KafkaClient.js"
/** How Kafka fails. */
export * as KafkaError from "./KafkaError.js"
/** The service over kafkajs. */
export * as KafkajsClient from "./KafkajsClient.js"
/** How to reach a cluster with kafkajs. */
export * as KafkajsOptions from "./KafkajsOptions.js"
/** Records and where they are. */
export * as KafkaRecord from "./KafkaRecord.js"
/** The service in memory, for tests. */
export * as MemoryClient from "./MemoryClient.js"
/** What can be measured. */
export * as Metrics from "./Metrics.js"
/** The records that a member of a consumer group works on. */
export * as PartitionBatch from "./PartitionBatch.js"
/** Which partition a key belongs to. */
export * as Partitioner from "./Partitioner.js"
/** Writing to topics, in transactions too. */
export * as Producer from "./Producer.js"
/** What a topic is. */
export * as Topic from "./Topic.js"
