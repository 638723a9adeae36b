import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { run, start } from "./program.js"

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "demo-"))),
  (name) => Effect.promise(() => fs.rm(name, { recursive: true })),
)

const size = (file: string) =>
  Effect.promise(() =>
    fs
      .stat(file)
      .then(({ size }) => size)
      .catch(() => 0),
  )

/** Until the file has so many bytes. */
const grown = (file: string, bytes: number) =>
  Effect.repeat(size(file), { until: (now) => now >= bytes, schedule: Schedule.spaced("5 millis") })

/** The value of a row of the table. */
const row = (stdout: string, name: string) =>
  stdout
    .split("\n")
    .find((line) => line.startsWith(name))
    ?.slice(name.length)
    .trim()

const exact = ({ code, stderr, stdout }: { code: number | null; stderr: string; stdout: string }, stored: string) => {
  assert.strictEqual(row(stdout, "activities stored by the simulator"), stored, stderr)
  assert.strictEqual(row(stdout, "lines in the file"), stored)
  assert.strictEqual(row(stdout, "missing"), "0")
  assert.strictEqual(row(stdout, "repeated"), "0")
  assert.strictEqual(code, 0)
}

// most of their time they wait, for retries and for the pause after a refused call
describe.concurrent("demo", () => {
  it.scopedLive(
    "meets every fault, and the file is exact; run again, it finds nothing to add; with another seed it refuses",
    () =>
      Effect.gen(function* () {
        const out = yield* folder
        const args = ["--out", out, "--activities", "3000", "--seed", "3"]
        const first = yield* run("demo", args)
        exact(first, "3,000")
        for (const cause of ["502", "602", "606", "UND_ERR_SOCKET"]) {
          assert.include(first.stdout, `repeated after ${cause}, `)
        }
        assert.include(first.stderr, "3000 of 3000 activities")
        const second = yield* run("demo", args)
        exact(second, "3,000")
        assert.include(second.stderr, "Going on after 3000 activities")
        const other = yield* run("demo", ["--out", out, "--activities", "3000", "--seed", "4"])
        assert.strictEqual(other.code, 1)
        assert.include(other.stderr, "--activities 3000 --seed 3")
        assert.strictEqual(other.stdout, "")
        assert.notInclude(other.stderr, "    at ")
      }),
  )

  it.scopedLive("killed half way and started again, nothing is missing and nothing repeated", () =>
    Effect.gen(function* () {
      const out = yield* folder
      const file = path.join(out, "activities.ndjson")
      const args = ["--out", out, "--activities", "6000"]
      const { ended, process } = yield* start("demo", args)
      yield* grown(file, 1_500_000)
      process.kill("SIGKILL")
      assert.strictEqual((yield* ended).signal, "SIGKILL")
      const resumed = yield* run("demo", args)
      exact(resumed, "6,000")
      const before = Number(/Going on after (\d+) activities/.exec(resumed.stderr)?.[1])
      assert.isAbove(before, 1_000)
      assert.isBelow(before, 6_000)
    }),
  )

  it.scopedLive("stopped by Ctrl-C, it says how to go on", () =>
    Effect.gen(function* () {
      const out = yield* folder
      const { ended, process } = yield* start("demo", ["--out", out, "--activities", "6000", "--seed", "5"])
      yield* grown(path.join(out, "activities.ndjson"), 100_000)
      process.kill("SIGINT")
      const { code, stderr, stdout } = yield* ended
      assert.strictEqual(code, 130)
      assert.include(stderr, `npm run demo -- --out ${out} --activities 6000 --seed 5`)
      assert.strictEqual(stdout, "")
    }),
  )

  it.scopedLive("says when the file and Marketo differ", () =>
    Effect.gen(function* () {
      const out = yield* folder
      const file = path.join(out, "activities.ndjson")
      const args = ["--out", out, "--activities", "300"]
      yield* run("demo", args)
      const text = yield* Effect.promise(() => fs.readFile(file, "utf8"))
      const first = text.slice(0, text.indexOf("\n") + 1)
      const second = text.slice(first.length, text.indexOf("\n", first.length) + 1)
      // the length stays, for the sink knows it; one digit of the second line is another
      const changed = first + text.slice(first.length).replace(second, second.replace(/"leadId":\d/, `"leadId":9`))
      yield* Effect.promise(() => fs.writeFile(file, changed))
      const { code, stdout } = yield* run("demo", args)
      assert.strictEqual(row(stdout, "missing"), "1")
      assert.strictEqual(row(stdout, "repeated"), "1")
      assert.strictEqual(code, 1)
    }),
  )

  it.scopedLive("leaves a file alone that is not its own, and says what to do", () =>
    Effect.gen(function* () {
      const out = yield* folder
      const file = path.join(out, "activities.ndjson")
      yield* Effect.promise(() => fs.writeFile(file, "mine\n"))
      const { code, stderr } = yield* run("demo", ["--out", out, "--activities", "300"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "use another path")
      assert.notInclude(stderr, "    at ")
      assert.strictEqual(yield* Effect.promise(() => fs.readFile(file, "utf8")), "mine\n")
    }),
  )

  it.live("says what is wrong with an option", () =>
    Effect.gen(function* () {
      const wrong = yield* run("demo", ["--activities", "0"])
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.stderr, "--activities must be between 1 and 2000000")
      const unknown = yield* run("demo", ["--sede", "7"])
      assert.strictEqual(unknown.code, 1)
      assert.include(unknown.stderr, "--sede")
    }),
  )
})
