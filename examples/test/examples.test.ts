import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"
import { commandLine, run, shell } from "./program.js"

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "examples-"))),
  (name) => Effect.promise(() => fs.rm(name, { recursive: true })),
)

const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").slice(0, -1)

it.scopedLive("activities-to-ndjson writes every activity, and adds none when it runs again", () =>
  Effect.gen(function* () {
    const cwd = yield* folder
    const first = yield* run("activities-to-ndjson", [], { cwd })
    assert.strictEqual(first.stdout, "5000 activities added to activities.ndjson\n", first.stderr)
    assert.strictEqual(first.code, 0)
    const second = yield* run("activities-to-ndjson", [], { cwd })
    assert.strictEqual(second.stdout, "0 activities added to activities.ndjson\n", second.stderr)
    const written = linesOf(yield* Effect.promise(() => fs.readFile(path.join(cwd, "activities.ndjson"), "utf8")))
    const identities = written.map((line) => (JSON.parse(line) as { readonly marketoGUID: string }).marketoGUID)
    assert.strictEqual(written.length, 5_000)
    assert.strictEqual(new Set(identities).size, 5_000)
  }),
)

it.live("lead-changes-to-stdout ends quietly when `head` has seen enough", () =>
  Effect.gen(function* () {
    const { stderr, stdout } = yield* shell(`${commandLine("lead-changes-to-stdout")} | head -n 3`)
    const changes = linesOf(stdout).map((line) => JSON.parse(line) as { readonly activityTypeId: number })
    assert.strictEqual(changes.length, 3)
    assert.isTrue(changes.every(({ activityTypeId }) => activityTypeId === 12 || activityTypeId === 13))
    assert.strictEqual(linesOf(stderr).at(-1), "0 0")
    assert.notInclude(stderr, "Error")
  }),
)

it.live("clicks-without-bots drops bots and adds the region", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* run("clicks-without-bots")
    assert.strictEqual(code, 0, stderr)
    const lines = linesOf(stdout)
    assert.isAbove(lines.length, 100)
    for (const line of lines) {
      assert.match(line, /,"region":"(north|south)"\}$/)
      assert.notInclude(line, `{"name":"Is Bot Activity","value":true}`)
    }
  }),
)

it.live(
  "own-sink posts every batch",
  () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("own-sink")
      assert.strictEqual(code, 0, stderr)
      const counts = linesOf(stdout).map((line) => Number(/^received (\d+) activities$/.exec(line)?.[1]))
      const { activities } = yield* Simulator.Simulator
      const wanted = (yield* activities).filter(({ activityTypeId }) => activityTypeId === 1 || activityTypeId === 2)
      assert.isAbove(wanted.length, 0)
      assert.strictEqual(
        counts.reduce((sum, count) => sum + count, 0),
        wanted.length,
      )
    }).pipe(Effect.provide(Simulator.layer({ data: { activities: 5_000 } }))), // the same data set as that of the example
)

it.scopedLive("a missing secret is named, and no other value is shown", () =>
  Effect.gen(function* () {
    const cwd = yield* folder
    const env = { MARKETO_BASE_URL: "https://123-abc-456.mktorest.com", MARKETO_CLIENT_ID: "the-client-id" }
    const { code, stderr, stdout } = yield* run("activities-to-ndjson", [], { cwd, env })
    assert.strictEqual(code, 1)
    assert.include(stderr, "MARKETO_CLIENT_SECRET")
    assert.notInclude(stderr + stdout, "the-client-id")
    assert.notInclude(stderr, "    at ")
  }),
)

it.live("custom-activities accounts for every record over a connection that breaks after executing", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* run("custom-activities")
    assert.strictEqual(code, 0, stderr)
    const counts = new Map(linesOf(stdout).map((line) => [line.slice(0, 30).trim(), Number(line.slice(30))]))
    assert.deepStrictEqual([...counts.values()], [0, 683, 25, 292, 5, 975, 0], stdout)
    assert.strictEqual(counts.get("stored twice"), 0)
  }),
)
