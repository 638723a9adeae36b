/** Activities into Kafka, exactly once. */
export * as KafkaSink from "./KafkaSink.js"
/** A record that its topic does not take. */
export * as RecordTooLarge from "./RecordTooLarge.js"
