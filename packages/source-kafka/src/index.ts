/** From a Kafka topic to Marketo. */
export * as CustomActivitySource from "./CustomActivitySource.js"
/** Records that could not be written. */
export * as DeadLetter from "./DeadLetter.js"
/** Every metric of this package. */
export * as Metrics from "./Metrics.js"
/** What has been done. */
export * as Progress from "./Progress.js"
/** Dead letters, back into the topic they came from. */
export * as Redrive from "./Redrive.js"
/** What becomes of records that Marketo skips. */
export * as SkippedPolicy from "./SkippedPolicy.js"
/** Why a source ends by a decision of its own. */
export * as SourceError from "./SourceError.js"
