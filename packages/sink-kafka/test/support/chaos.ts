/** Copies of a pipeline that are killed and frozen at random, and an account of what readers find afterwards. */
import { type ChildProcess, spawn } from "node:child_process"
import { EventEmitter, once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Simulator } from "@effect-marketo/simulator"
import { Context, Effect, Fiber, Layer, Random, type Scope } from "effect"
import { build } from "esbuild"
import { readAll, textOf, unique } from "./kafka.js"

const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const program = fileOf("../../.tsbuild/copy.mjs")

/** As one file it starts in a third of a second, as many in one and a half. */
const bundle = Effect.promise(() =>
  build({
    entryPoints: [fileOf("../fixtures/copy.ts")],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["@effect-marketo/source"],
    external: ["kafkajs", "undici"],
  }),
)

interface Copy {
  readonly process: ChildProcess
  readonly lines: ReadonlyArray<string>
  /** Resolves when it has said this line, or has ended. */
  readonly said: (line: string) => Promise<unknown>
  readonly ended: Promise<unknown>
}

const startCopy = (args: ReadonlyArray<string>): Effect.Effect<Copy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "inherit"] })
      child.stdin.on("error", () => {}) // a killed copy cannot be told to go
      const ended = once(child, "close")
      const lines: Array<string> = []
      const heard = new EventEmitter()
      createInterface(child.stdout).on("line", (line) => {
        lines.push(line)
        heard.emit(line)
      })
      const said = (line: string) => Promise.race([lines.includes(line) || once(heard, line), ended])
      return { process: child, lines, said, ended }
    }),
    ({ ended, process }) =>
      Effect.promise(() => {
        process.kill("SIGKILL") // ends what is frozen too
        return ended
      }),
  )

export interface Options {
  readonly brokers: ReadonlyArray<string>
  /** Kills and freezes. */
  readonly rounds: number
  readonly activities: number
  /** Done again and again while copies come and go; not interrupted, and over when the last copy works. */
  readonly beside?: Effect.Effect<void> | undefined
}

export interface Account {
  readonly killed: number
  readonly frozen: number
  readonly expected: number
  readonly missing: number
  readonly repeated: number
  /** Records that a reader meets before an older one of the same lead. */
  readonly outOfOrder: number
  /** How copies ended that came back after being frozen, and the last one. */
  readonly ends: ReadonlyArray<string>
}

const types = [1, 2, 6, 7, 8, 9, 10, 11]

/** Starts copies in turn, each while the one before it works, and kills or freezes that one at a moment of chance. */
const disturb = (start: Effect.Effect<Copy, never, Scope.Scope>, rounds: number, beside: Effect.Effect<void>) =>
  Effect.gen(function* () {
    let isOver = false
    const disturbance = yield* Effect.forkScoped(Effect.repeat(beside, { until: () => isOver }))
    const frozen: Array<Copy> = []
    const go = (copy: Copy) =>
      Effect.promise(async () => {
        await copy.said("ready")
        copy.process.stdin?.write("go\n")
      })
    let standby = yield* start
    for (let round = 0; round < rounds; round++) {
      const copy = standby
      yield* go(copy)
      standby = yield* start
      yield* Effect.timeoutOption(
        Effect.promise(() => copy.said("written")),
        "20 seconds",
      )
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 500))
      if ((yield* Random.next) < 0.3) {
        copy.process.kill("SIGSTOP")
        frozen.push(copy)
        const pause = yield* Random.nextIntBetween(1_000, 4_000)
        yield* Effect.forkScoped(
          Effect.delay(
            Effect.sync(() => copy.process.kill("SIGCONT")),
            pause,
          ),
        )
      } else {
        copy.process.kill("SIGKILL")
      }
    }
    isOver = true
    yield* Fiber.join(disturbance)
    yield* go(standby)
    const ends = yield* Effect.forEach(
      [...frozen, standby],
      (copy) =>
        Effect.as(
          Effect.timeoutOption(
            Effect.promise(() => copy.ended),
            "3 minutes",
          ),
          copy,
        ),
      { concurrency: "unbounded" },
    )
    return {
      killed: rounds - frozen.length,
      frozen: frozen.length,
      ends: ends.map(({ lines }) => lines.at(-1) ?? "nothing"),
    }
  })

/** What a `read_committed` reader finds, against what the simulator holds. */
const account = (client: KafkaClient.Service, topic: string, expected: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const found = yield* readAll(client, topic, expected.length)
    const position = new Map(expected.map((text, index) => [text, index]))
    const seen = new Set<string>()
    const last = new Map<string, number>()
    let outOfOrder = 0
    for (const { key, value } of found) {
      const text = textOf(value)
      const at = position.get(text) ?? -1
      const lead = textOf(key)
      if (!seen.has(text) && at < (last.get(lead) ?? -1)) outOfOrder++
      last.set(lead, at)
      seen.add(text)
    }
    const missing = expected.filter((text) => !seen.has(text)).length
    return { expected: expected.length, missing, repeated: found.length - seen.size, outOfOrder }
  })

export const chaos = ({
  activities,
  beside = Effect.sleep("1 second"),
  brokers,
  rounds,
}: Options): Effect.Effect<Account, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const limits = { calls: 1_000_000, dailyQuota: 1_000_000 }
    const simulator = Context.get(
      yield* Layer.build(Simulator.layerServer({ data: { activities }, limits })),
      Simulator.Simulator,
    )
    const client = Context.get(yield* Layer.build(KafkajsClient.layer({ brokers })), KafkaClient.KafkaClient)
    const prefix = unique()
    const topic = `${prefix}-activities`
    yield* client.createTopic({ name: topic, partitions: 4 })
    const args = [brokers.join(), simulator.url, simulator.clientSecret, topic, prefix, types.join()]
    yield* bundle
    const disturbed = yield* disturb(startCopy(args), rounds, beside)
    // readers may see the newest commit a moment after its answer
    yield* Effect.sleep("1 second")
    const expected = (yield* simulator.activities).filter(({ activityTypeId }) => types.includes(activityTypeId))
    return {
      ...disturbed,
      ...(yield* account(
        client,
        topic,
        expected.map(({ text }) => text),
      )),
    }
  })
