/** The behaviours that every sink keeps, as tests. */
export * as SinkSuite from "./SinkSuite.js"
/** What a behaviour fails with. */
export * as Violation from "./Violation.js"
