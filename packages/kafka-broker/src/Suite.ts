/**
 * Suites that need a Kafka. Where there is none they are skipped, each with a line that says why; with `KAFKA_REQUIRED=1` they
 * fail instead. The package's vitest.config.ts must name `GlobalSetup`.
 *
 * @example
 * import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
 * import { assert, it } from "@effect/vitest"
 *
 * describeWithKafka("a topic", (brokers) => {
 *   it("has an address", () => assert.isNotEmpty(brokers))
 * })
 *
 * @since 0.1.0
 */
import { describe, inject, it } from "vitest"

declare module "vitest" {
  interface ProvidedContext {
    /** What the set-up found: brokers to share, and why none can be started here. */
    kafka: { readonly brokers: ReadonlyArray<string>; readonly missing: string | undefined }
  }
}

const without = (name: string, why: string): void => {
  if (process.env.KAFKA_REQUIRED === "1") {
    describe(name, () => {
      it("needs a Kafka (KAFKA_REQUIRED=1)", () => {
        throw new Error(why)
      })
    })
  } else {
    process.stderr.write(`skipped: ${name}: ${why.split("\n")[0]}\n`)
    describe.skip(name, () => {
      it("needs a Kafka", () => {})
    })
  }
}

/**
 * A suite over the brokers that the whole run shares: topics, groups and transactional ids need names of their own.
 *
 * @since 0.1.0
 * @category testing
 */
export const describeWithKafka = (name: string, suite: (brokers: ReadonlyArray<string>) => void): void => {
  const { brokers, missing = "no broker was started" } = inject("kafka")
  if (brokers.length > 0) describe(name, () => suite(brokers))
  else without(name, missing)
}

/**
 * A suite that starts brokers itself, by `Broker.make`: to kill them, or to have three, or to sign in.
 *
 * @since 0.1.0
 * @category testing
 */
export const describeWithOwnKafka = (name: string, suite: () => void): void => {
  const { missing } = inject("kafka")
  if (missing === undefined) describe(name, suite)
  else without(name, missing)
}
