/**
 * The broker of a test run: for `globalSetup` in the vitest.config.ts of each package whose suites need one. The suites find
 * it by `describeWithKafka` (module `Suite`).
 *
 * The brokers in `KAFKA_BROKERS`, if that is set; else one that is started here, once for all packages of the run, and stopped
 * at the end; else none, when there is no Java or no way to the jars.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { TestProject } from "vitest/node"
import * as Broker from "./Broker.js"
import type {} from "./Suite.js"

const given = () => (process.env.KAFKA_BROKERS ?? "").split(",").flatMap((address) => address.trim() || [])

/**
 * Called by vitest.
 *
 * @since 0.1.0
 * @category testing
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runtime = ManagedRuntime.make(Broker.layer())
  const missing = await Effect.runPromise(
    Effect.match(Broker.prepare(), { onFailure: ({ message }) => message, onSuccess: () => undefined }),
  )
  if (missing === undefined && given().length === 0) {
    const { brokers } = await runtime.runPromise(Broker.Broker)
    // in the environment, where the set-ups of the other packages find it, which come after this one
    process.env.KAFKA_BROKERS = brokers.join(",")
  }
  project.provide("kafka", { brokers: given(), missing })
  return () => runtime.dispose()
}
