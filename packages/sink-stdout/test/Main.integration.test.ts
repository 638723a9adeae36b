/** Real processes in real pipes: what a shell sees of a program that `Main.runMain` runs. */
import { execFile, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const fixture = fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url))
// where `tsx` is found
const cwd = fileURLToPath(new URL("..", import.meta.url))
const node = ["--conditions=@effect-marketo/source", "--import", "tsx", fixture]
const writer = `"${process.execPath}" ${node.join(" ")}`

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "stdout-sink-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

interface Outcome {
  readonly stdout: string
  /** Of the writer, from its log to its last words. */
  readonly stderr: string
  /** Of the writer, as the shell has it. */
  readonly code: number
}

/** Runs a command line with the writer in it; `$DIR` is a folder for its files. */
const run = (args: string, line: (writer: string) => string = (writer) => writer) =>
  Effect.gen(function* () {
    const path = yield* folder
    const script = line(`{ ${writer} ${args} 2> "$DIR/stderr"; echo $? > "$DIR/code"; }`)
    const options = { cwd, env: { ...process.env, DIR: path }, maxBuffer: 2 ** 24 }
    return yield* Effect.async<Outcome>((resume) => {
      const child = execFile("bash", ["-c", script], options, (_error, stdout) =>
        resume(
          Effect.sync(() => ({
            stdout,
            stderr: readFileSync(join(path, "stderr"), "utf8"),
            code: Number(readFileSync(join(path, "code"), "utf8")),
          })),
        ),
      )
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  })

/** How many lines are the records 0, 1, 2 … in this order. */
const inOrder = (ndjson: string): number => {
  const lines = ndjson.split("\n").slice(0, -1)
  const wrong = lines.findIndex((line, i) => JSON.parse(line).n !== i)
  return wrong === -1 ? lines.length : wrong
}

describe("Main.runMain with StdoutSink", () => {
  it.scopedLive("stdout has the records and nothing else, stderr the logs", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("10")
      assert.strictEqual(inOrder(stdout), 3000)
      assert.match(stderr, /started[\s\S]*released/)
      assert.strictEqual(code, 0)
    }),
  )

  it.scopedLive("ends in silence under `| head -n 3`", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("100000", (w) => `${w} | head -n 3`)
      assert.strictEqual(inOrder(stdout), 3)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(messages(stderr), ["started", "released"])
    }),
  )

  it.scopedLive("ends in silence when nobody ever reads", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run("1", (w) => `${w} | true`)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(messages(stderr), ["started", "released"])
    }),
  )

  it.scopedLive("waits for a slow reader with memory that does not grow, and loses nothing", () =>
    Effect.gen(function* () {
      // the output would not fit into the heap: a writer that does not wait does not survive
      const limited = (w: string) => `export NODE_OPTIONS=--max-old-space-size=128; ${w} | { sleep 2; cat; } | wc -lc`
      const { code, stdout } = yield* run("2000", limited)
      assert.match(stdout, /^\s*600000 \s*39\d{7}\s*$/) // 390 MB
      assert.strictEqual(code, 0)
    }),
  )

  it.scopedLive("writes a file whole", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run("10", (w) => `${w} > "$DIR/out"; cat "$DIR/out"`)
      assert.strictEqual(inOrder(stdout), 3000)
      assert.strictEqual(code, 0)
    }),
  )

  it.scopedLive("a file that takes a part of a batch is an error, in one line", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run("1", (w) => `ulimit -f 100; ${w} > "$DIR/out"`) // 1 KB each; the batch has 200
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(messages(stderr).slice(0, 2), ["started", "released"])
      assert.match(stderr, /\nstdout: cannot write to the output \(EFBIG\)[^\n]*\n$/)
    }),
  )

  for (const [what, redirection, says] of [
    [
      "a standard output that is closed",
      ">&-",
      "standard output is closed or ignored, so records sent to it would be lost",
    ],
    ["a standard output that is closed, with the input closed too,", "<&- >&-", "standard output is closed or ignored"],
    ["a standard output for reading only", "1< /dev/null", "cannot write to standard output: it is open for reading"],
    ["a device that takes nothing", "> /dev/full", "cannot write to standard output: ENOSPC"],
    ["a folder", "1< /", "cannot write to standard output: it is open for reading only"],
  ] as const) {
    it.scopedLive(`${what} is an error in one line, before there is anything to write`, () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* run("0", (w) => `${w} ${redirection}`)
        assert.strictEqual(code, 1)
        const [started, released, error, ...more] = messages(stderr)
        assert.deepStrictEqual([started, released, more], ["started", "released", []])
        assert.include(error, says)
      }),
    )
  }

  it.scopedLive("standard output to /dev/null is a choice, and no error", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run("1", (w) => `${w} > /dev/null`)
      assert.strictEqual(code, 0)
      assert.include(stderr, "written")
    }),
  )

  for (const [what, command, says] of [
    ["deleted", 'rm "$DIR/out"', "the output file was deleted"],
    ["truncated, as copytruncate does,", 'cp "$DIR/out" "$DIR/out.1"; truncate -s 0 "$DIR/out"', "was truncated from"],
  ] as const) {
    for (const redirection of [">", ">>"]) {
      it.scopedLive(`a file that is ${what} fails the next write (${redirection})`, () =>
        Effect.gen(function* () {
          const { code, stderr } = yield* run(`3 end '${command}'`, (w) => `${w} ${redirection} "$DIR/out"`)
          assert.strictEqual(code, 1)
          assert.include(stderr, says)
          assert.notInclude(stderr, "written\n")
        }),
      )
    }
  }

  it.scopedLive("a file that is renamed, or that others append to, loses nothing", () =>
    Effect.gen(function* () {
      const command = 'echo other >> "$DIR/out"; mv "$DIR/out" "$DIR/out.1"'
      const { code, stdout } = yield* run(`3 end '${command}'`, (w) => `${w} >> "$DIR/out"; grep -v other "$DIR/out.1"`)
      assert.strictEqual(code, 0)
      assert.strictEqual(inOrder(stdout), 900)
    }),
  )

  it.scopedLive("an expected failure is one line on stderr, with its cause, and exit code 1", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run("1 fail", (w) => `${w} > /dev/null`)
      assert.strictEqual(code, 1)
      assert.match(stderr, /released\nthe page cannot be read: connection reset\n$/)
    }),
  )

  it.scopedLive("a defect comes with its trace", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run("1 die", (w) => `${w} > /dev/null`)
      assert.strictEqual(code, 1)
      assert.match(stderr, /Error: a bug\n {4}at /)
    }),
  )

  for (const [signal, expected] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it.scopedLive(`${signal} runs the finalisers and exits with ${expected}`, () =>
      Effect.gen(function* () {
        const child = spawn(process.execPath, [...node, "1", "wait"], { cwd, stdio: ["ignore", "pipe", "pipe"] })
        child.stdout.resume()
        yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
        let stderr = ""
        const code = yield* Effect.async<number | null>((resume) => {
          child.stderr.on("data", (chunk) => {
            stderr += String(chunk)
            if (stderr.includes("written") && !child.killed) child.kill(signal)
          })
          child.on("close", (exitCode) => resume(Effect.succeed(exitCode)))
        })
        assert.strictEqual(code, expected)
        assert.match(stderr, /released/)
      }),
    )
  }
})

/** What was logged, without time, level and fiber. */
const messages = (stderr: string): ReadonlyArray<string> =>
  stderr.split("\n").flatMap((line) => (line === "" ? [] : [line.replace(/^\[.*?\]\s+INFO\s+\(#\d+\):\s*/, "")]))
