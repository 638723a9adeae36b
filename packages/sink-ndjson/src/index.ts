/** Activities into NDJSON files, exactly once on one disk. */
export * as NdjsonSink from "./NdjsonSink.js"
