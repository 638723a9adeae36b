/** The three kinds of record: schemas, typed views, attributes by name. */
export * as Activity from "./Activity.js"
/** One record on its way to a sink, as Marketo sent it. */
export * as ActivityRecord from "./ActivityRecord.js"
/** The contract of sinks, and sinks of your own. */
export * as ActivitySink from "./ActivitySink.js"
/** How far a subscription has come. */
export * as Checkpoint from "./Checkpoint.js"
/** Keeps checkpoints for sinks that cannot. */
export * as CheckpointStore from "./CheckpointStore.js"
/** What Marketo's codes mean and what is done about them. */
export * as ErrorCode from "./ErrorCode.js"
/** What to read, as data. */
export * as Feed from "./Feed.js"
/** The error family. */
export * as MarketoError from "./MarketoError.js"
/** What one call returned. */
export * as Page from "./Page.js"
/** How sinks fail. */
export * as SinkError from "./SinkError.js"
/** Instance and name: what a position hangs on. */
export * as Subscription from "./Subscription.js"
