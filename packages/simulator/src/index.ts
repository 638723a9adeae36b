/** What a simulator was asked. */
export * as Call from "./Call.js"

/** What an instance holds. */
export * as Data from "./Data.js"

/** Faults as plain data: when a call goes wrong, and how. */
export * as Fault from "./Fault.js"

/** What a simulator can be started with. */
export * as Options from "./Options.js"

/** A Marketo for tests and examples: in process, or over a socket. */
export * as Simulator from "./Simulator.js"
