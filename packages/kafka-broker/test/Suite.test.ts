import { spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import * as wire from "./fixtures/wire.js"

describeWithKafka("the broker of the run", (brokers) => {
  it("answers, and is known to child processes", async () => {
    const connection = await wire.connect(brokers[0])
    assert.strictEqual(await wire.createTopic(connection, `suite-test-${randomUUID()}`), wire.ok)
    connection.close()
    assert.strictEqual(process.env.KAFKA_BROKERS, brokers.join(","))
  })
})

/** A run of `fixtures/project` by a vitest of its own, where there is no Java. */
const runWithoutJava = (environment: NodeJS.ProcessEnv) => {
  const vitest = path.join(path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs")
  const project = fileURLToPath(new URL("fixtures/project", import.meta.url))
  const { status, stderr, stdout } = spawnSync(process.execPath, [vitest, "run", "--root", project], {
    encoding: "utf8",
    env: { PATH: "", NO_COLOR: "1", ...environment },
  })
  return { status, output: stdout + stderr }
}

const why = "Kafka needs Java 17 or later on the PATH, and there is none; install one"

it("without a Kafka every suite is skipped with a line", () => {
  const { output, status } = runWithoutJava({})
  assert.strictEqual(status, 0, output)
  assert.include(output, `skipped: suite of the shared one: ${why}\n`)
  assert.include(output, `skipped: suite of its own one: ${why}\n`)
  assert.match(output, /Tests {2}2 skipped/)
})

it("with KAFKA_REQUIRED=1 every suite fails", () => {
  const { output, status } = runWithoutJava({ KAFKA_REQUIRED: "1" })
  assert.strictEqual(status, 1, output)
  assert.match(output, /Tests {2}2 failed/)
  assert.include(output, `Error: ${why}`)
})

it("KAFKA_BROKERS serves the suites that share", () => {
  const { output, status } = runWithoutJava({ KAFKA_BROKERS: "127.0.0.1:1, 127.0.0.1:2" })
  assert.strictEqual(status, 0, output)
  assert.include(output, `skipped: suite of its own one: ${why}\n`)
  assert.match(output, /Tests {2}1 passed \| 1 skipped/)
})
