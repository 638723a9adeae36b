import * as fs from "node:fs"
import { assert, it } from "@effect/vitest"
import { describeWithOwnKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Schedule } from "effect"
import { temporaryFolder } from "./fixtures/folder.js"
import { startProgram } from "./fixtures/program.js"
import * as wire from "./fixtures/wire.js"

/** `npm run broker`, ready; killed at the end. */
const program = (by: "npm" | "node", TMPDIR: string) =>
  Effect.gen(function* () {
    const started = yield* Effect.acquireRelease(
      Effect.sync(() => startProgram(by, [], { TMPDIR })),
      (each) => Effect.sync(() => each.process.kill("SIGKILL")),
    )
    const line = yield* Effect.promise(() => started.line)
    assert.match(line, /^KAFKA_BROKERS=127\.0\.0\.1:\d+$/)
    const address = line.slice("KAFKA_BROKERS=".length)
    /** Gives exit code and signal. */
    const end = (signal: NodeJS.Signals) =>
      Effect.promise(() => {
        started.process.kill(signal)
        return started.ended
      })
    return { address, end }
  })

const answers = (address: string) =>
  Effect.promise(() =>
    wire.connect(address).then(
      ({ close }) => {
        close()
        return true
      },
      () => false,
    ),
  )

const soon = (what: string, condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (met) => met, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutFail({ duration: "30 seconds", onTimeout: () => new Error(`not within 30 seconds: ${what}`) }),
  )

describeWithOwnKafka("npm run broker", () => {
  it.scopedLive("takes the broker with it, however it ends; the next start removes what a killed one left", () =>
    Effect.gen(function* () {
      const temporary = yield* temporaryFolder
      const folders = () => fs.readdirSync(temporary).filter((name) => name.startsWith("effect-marketo-kafka-"))
      const brokerGone = (address: string) => soon("the broker is gone", Effect.negate(answers(address)))

      const killed = yield* program("node", temporary)
      assert.isTrue(yield* answers(killed.address))
      yield* killed.end("SIGKILL")
      yield* brokerGone(killed.address)
      const left = folders()
      assert.strictEqual(left.length, 1)

      const stopped = yield* program("node", temporary)
      assert.strictEqual(folders().length, 1)
      assert.notDeepEqual(folders(), left)
      assert.deepStrictEqual(yield* stopped.end("SIGTERM"), [0, null])
      yield* brokerGone(stopped.address)
      assert.deepStrictEqual(folders(), [])

      const ofNpm = yield* program("npm", temporary)
      yield* ofNpm.end("SIGKILL")
      yield* brokerGone(ofNpm.address)
      yield* soon(
        "its folder is gone",
        Effect.sync(() => folders().length === 0),
      )

      const stoppedByNpm = yield* program("npm", temporary)
      yield* stoppedByNpm.end("SIGTERM")
      yield* brokerGone(stoppedByNpm.address)
    }),
  )
})

it.scopedLive("says what is wrong in one line", () =>
  Effect.gen(function* () {
    const output = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
      Effect.promise(async () => {
        const { ended, line } = startProgram("node", args, env)
        assert.deepStrictEqual(await ended, [1, null])
        return line
      })
    assert.include(yield* output(["--nodes", "2"]), "2 nodes are not possible; usage: ")
    assert.include(yield* output(["--node", "1"]), "'--node'")
    assert.strictEqual(
      yield* output([], { PATH: "" }),
      "Kafka needs Java 17 or later on the PATH, and there is none; install one\n",
    )
  }),
)
