/** A real Kafka on this machine. */
export * as Broker from "./Broker.js"
/** Why there is none. */
export * as BrokerError from "./BrokerError.js"
