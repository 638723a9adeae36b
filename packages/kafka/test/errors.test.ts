import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import kafkajs from "kafkajs"
import { KafkaError } from "../src/index.js"
import { meanings, toKafkaError } from "../src/internal/kafkajs/errors.js"

/** An error of kafkajs; its types leave out what its constructors take. */
const make = (name: "KafkaJSProtocolError" | "KafkaJSNonRetriableError", ...args: ReadonlyArray<unknown>): Error =>
  Reflect.construct(kafkajs[name], args)

const protocol = (type: string, retriable = false) =>
  make("KafkaJSProtocolError", { type, code: 1, retriable, message: "as Kafka says it" })

const retried = (cause: Error) => new kafkajs.KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 5, retryTime: 100 })

const reasonOf = (failure: unknown) => toKafkaError("cannot do it", failure).reason

describe("a failure of kafkajs", () => {
  it("says what was tried, what happened and what to know about it, with Kafka's name for it", () => {
    const error = toKafkaError("cannot send to topic t", protocol("TOPIC_AUTHORIZATION_FAILED"))
    assert.strictEqual(
      error.message,
      "cannot send to topic t: as Kafka says it: the user lacks an ACL on the topic [TOPIC_AUTHORIZATION_FAILED] (Misconfigured)",
    )
    assert.isFalse(error.isRetryable)
  })

  it("means what it means however deep it is hidden", () => {
    const deep = protocol("INVALID_PRODUCER_EPOCH")
    for (const failure of [
      deep,
      retried(deep),
      make("KafkaJSNonRetriableError", "gave up", { cause: retried(deep) }),
      Object.assign(new Error("older"), { originalError: deep }),
      new kafkajs.KafkaJSAggregateError("topics", [deep]),
      Object.assign(new Error("groups"), { groups: [{ error: deep }] }),
      Object.assign(new Error("partitions"), { partitions: [{ error: deep }] }),
    ]) {
      const error = toKafkaError("cannot do it", failure)
      assert.deepStrictEqual([error.reason, error.code], ["Fenced", "INVALID_PRODUCER_EPOCH"])
      assert.strictEqual(error.cause, failure)
    }
    assert.strictEqual(toKafkaError("cannot do it", retried(deep)).description, "cannot do it: as Kafka says it")
  })

  it("is known by the code of the connection too, before kafkajs's word for it", () => {
    const connection = (code: string) => new kafkajs.KafkaJSConnectionError("Connection error", { code })
    assert.strictEqual(reasonOf(connection("ECONNREFUSED")), "Unavailable")
    assert.strictEqual(reasonOf(connection("DEPTH_ZERO_SELF_SIGNED_CERT")), "Misconfigured") // though "retriable"
    assert.strictEqual(reasonOf(connection("EUNHEARD")), "Unavailable")
    assert.strictEqual(reasonOf(make("KafkaJSNonRetriableError", new Error("Broker not connected"))), "Unavailable")
  })

  it("has no name in kafkajs when the broker is newer", () => {
    const unknown = (code: number) =>
      make("KafkaJSProtocolError", {
        type: "KAFKAJS_UNKNOWN_ERROR_CODE",
        code: -99,
        retriable: false,
        message: `Unknown error code ${code}`,
      })
    assert.strictEqual(reasonOf(unknown(90)), "Fenced")
    assert.strictEqual(reasonOf(unknown(89)), "Unavailable")
    assert.strictEqual(reasonOf(unknown(12_345)), "Misconfigured")
  })

  it("that is not listed goes by what kafkajs says of it", () => {
    assert.strictEqual(reasonOf(protocol("NEW_ERROR", true)), "Unavailable")
    assert.strictEqual(reasonOf(protocol("NEW_ERROR", false)), "Misconfigured")
    assert.strictEqual(reasonOf(new TypeError("a bug")), "Misconfigured")
    assert.strictEqual(reasonOf("not an error"), "Misconfigured")
    assert.strictEqual(
      reasonOf(make("KafkaJSNonRetriableError", 'Transaction state exception: Cannot call "x" in state "y"')),
      "ProducerSpent",
    )
  })

  it.effect("is explained in the README by the tables of the code", () =>
    Effect.gen(function* () {
      const readme = yield* Effect.promise(async () =>
        (await import("node:fs/promises")).readFile(new URL("../README.md", import.meta.url), "utf8"),
      )
      const rows = Object.entries(KafkaError.reasons).map(([reason, { advice, isRetryable }]) => {
        const codes = Object.entries(meanings).flatMap(([code, meaning]) =>
          meaning.reason === reason ? [`\`${code}\``] : [],
        )
        return `| \`${reason}\` | ${isRetryable ? "yes" : "no"} | ${advice} | ${codes.join(", ") || "–"} |`
      })
      for (const row of rows) assert.include(readme, row)
    }),
  )
})
