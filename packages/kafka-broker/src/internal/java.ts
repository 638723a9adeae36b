/**
 * Java, and whether it is new enough.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { BrokerError } from "../BrokerError.js"
import { run } from "./command.js"

/** Brokers need 17 since Kafka 4.0. */
const oldest = 17

const missing = (found: string) =>
  new BrokerError({
    reason: "JavaMissing",
    description: `Kafka needs Java ${oldest} or later on the PATH, and there is ${found}; install one`,
  })

export const check: Effect.Effect<void, BrokerError> = run("java", ["-version"], "30 seconds").pipe(
  Effect.mapError(({ description, notFound }) => missing(notFound ? "none" : `one that fails: ${description}`)),
  Effect.flatMap(({ stderr }) => {
    // "17.0.15", "21", "24-ea", and "1.8.0_402" for Java 8
    const [, version = "one of an unknown version", major] = /version "((\d+)[^"]*)"/.exec(stderr) ?? []
    return Number(major) >= oldest ? Effect.void : missing(version)
  }),
)

/** The flags make a broker small and quick to start; its log says nothing while all is well. */
export const flags: ReadonlyArray<string> = [
  "-Xms128m",
  "-Xmx256m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
  // both complain during every healthy start and stop
  "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.QuorumController=off",
  "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error",
]
