/** One token for any number of callers. */
export * as AccessToken from "./AccessToken.js"
/** Reads the API: types, tokens, pages, activities. */
export * as Activities from "./Activities.js"
/** The three kinds of record: schemas, typed views, attributes by name. */
export * as Activity from "./Activity.js"
/** One record on its way to a sink, as Marketo sent it. */
export * as ActivityRecord from "./ActivityRecord.js"
/** The contract of sinks, and sinks of your own. */
export * as ActivitySink from "./ActivitySink.js"
/** The activity types of an instance. */
export * as ActivityType from "./ActivityType.js"
/** The limits of one instance, shared by all callers. */
export * as ApiLimits from "./ApiLimits.js"
/** How far a subscription has come. */
export * as Checkpoint from "./Checkpoint.js"
/** Keeps checkpoints for sinks that cannot. */
export * as CheckpointStore from "./CheckpointStore.js"
/** Writes custom activities, never guessing. */
export * as CustomActivities from "./CustomActivities.js"
/** What is written. */
export * as CustomActivity from "./CustomActivity.js"
/** The metadata of custom activity types, and a Schema for the records of one. */
export * as CustomActivityType from "./CustomActivityType.js"
/** Custom activity types and their life cycle. */
export * as CustomActivityTypes from "./CustomActivityTypes.js"
/** What Marketo's codes mean and what is done about them. */
export * as ErrorCode from "./ErrorCode.js"
/** What to read, as data. */
export * as Feed from "./Feed.js"
/** One Layer for everything. */
export * as Marketo from "./Marketo.js"
/** One call. */
export * as MarketoClient from "./MarketoClient.js"
/** The error family. */
export * as MarketoError from "./MarketoError.js"
/** The calls that an instance has counted. */
export * as MarketoUsage from "./MarketoUsage.js"
/** Every metric. */
export * as Metrics from "./Metrics.js"
/** What one call returned. */
export * as Page from "./Page.js"
/** Feed → transform → sink. */
export * as Pipeline from "./Pipeline.js"
/** Time limits and retries per endpoint. */
export * as RequestPolicy from "./RequestPolicy.js"
/** How sinks fail. */
export * as SinkError from "./SinkError.js"
/** Instance and name: what a position hangs on. */
export * as Subscription from "./Subscription.js"
