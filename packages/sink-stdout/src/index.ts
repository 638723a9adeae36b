/** Runs a program in a shell pipe. */
export * as Main from "./Main.js"
/** NDJSON on standard output. */
export * as StdoutSink from "./StdoutSink.js"
