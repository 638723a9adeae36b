import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Effect, Either, Exit, Scope } from "effect"
import { batch, subscription } from "./fixtures/batches.js"
import { startWriter } from "./fixtures/child.js"
import { temporaryFolder } from "./fixtures/folder.js"

const acquire = (file: string) => NdjsonSink.make({ path: file })

const fileInFolder = Effect.map(temporaryFolder, (folder) => path.join(folder, "activities.ndjson"))

const locks = (file: string) => fs.readdirSync(path.dirname(file)).filter((name) => name.startsWith(".marketo-lock-"))

const assertInUse = (file: string) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.scoped(acquire(file)))
    assert.strictEqual(error.reason, "InUse")
    assert.include(error.description, "activities.ndjson")
  })

const endlessly = Number.MAX_SAFE_INTEGER

describe("one writer for a file", () => {
  it.scopedLive("a second layer on it is refused, under any name, until the first one ends", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const folder = path.dirname(file)
      const scope = yield* Scope.make()
      yield* Scope.extend(acquire(file), scope)
      fs.symlinkSync(folder, `${folder}-link`)
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(`${folder}-link`)))
      fs.symlinkSync(file, path.join(folder, "link.ndjson"))
      const names = [
        file,
        path.relative(process.cwd(), file),
        path.join(`${folder}-link`, "activities.ndjson"),
        path.join(folder, "link.ndjson"),
      ]
      yield* Effect.forEach(names, assertInUse, { concurrency: "unbounded" })
      assert.strictEqual(locks(file).length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(locks(file), [])
      yield* acquire(path.join(folder, "link.ndjson"))
      assert.deepStrictEqual(yield* NdjsonSink.files(path.join(folder, "link.ndjson")), [fs.realpathSync(file)])
    }),
  )

  it.scopedLive("of many that start at the same time exactly one gets it", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      for (let round = 0; round < 3; round++) {
        const outcomes = yield* Effect.scoped(
          Effect.all(
            Array.from({ length: 8 }, () => Effect.either(acquire(file))),
            { concurrency: "unbounded" },
          ),
        )
        assert.strictEqual(outcomes.filter(Either.isRight).length, 1)
        for (const outcome of outcomes) {
          if (Either.isLeft(outcome)) assert.strictEqual(outcome.left.reason, "InUse")
        }
        assert.deepStrictEqual(locks(file), [])
      }
    }),
  )

  it.scopedLive("of several processes that start at the same time exactly one gets it", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const children = Array.from({ length: 4 }, () => startWriter([{ path: file }], endlessly))
      const first = yield* Effect.promise(() => Promise.all(children.map((child) => child.firstLine)))
      for (const child of children) child.process.kill("SIGKILL")
      yield* Effect.promise(() => Promise.all(children.map((child) => child.ended)))
      assert.deepStrictEqual(first.map((line) => line.split(" ")[0]).sort(), ["InUse:", "InUse:", "InUse:", "writing"])
    }),
  )

  it.scopedLive("a stopped process keeps it, a killed one frees it at once, and its children do not hold it", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const child = startWriter([{ path: file }], endlessly, ["with-child"])
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => {
          child.process.kill("SIGKILL")
          const [, grandchild] = (await child.output).split("\n")
          if (grandchild) process.kill(Number(grandchild))
        }),
      )
      assert.strictEqual(yield* Effect.promise(() => child.firstLine), "writing 0")
      child.process.kill("SIGSTOP")
      yield* assertInUse(file)
      child.process.kill("SIGKILL")
      yield* Effect.promise(() => child.ended)
      assert.strictEqual(locks(file).length, 1)
      yield* Effect.scoped(acquire(file))
      assert.deepStrictEqual(locks(file), [])
    }),
  )

  it.scopedLive("what many killed processes left behind is no hindrance, and is removed", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const folder = path.dirname(file)
      const own = yield* Effect.scoped(Effect.map(acquire(file), () => locks(file)[0] ?? ""))
      const prefix = own.slice(0, -12)
      // a socket's name that outlives its listener, as after a kill
      const server = net.createServer()
      yield* Effect.async<void>((resume) => void server.listen(`${file}.sock`, () => resume(Effect.void)))
      for (let n = 0; n < 50; n++)
        fs.linkSync(`${file}.sock`, path.join(folder, `${prefix}${String(n).padStart(12, "0")}`))
      yield* assertInUse(file)
      server.close()
      yield* acquire(file)
      assert.strictEqual(locks(file).length, 1)
    }),
  )

  it.scopedLive("what only looks like a lock is no hindrance, and stays", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const folder = path.dirname(file)
      const own = yield* Effect.scoped(Effect.map(acquire(file), () => locks(file)[0] ?? ""))
      const prefix = own.slice(0, -12)
      fs.writeFileSync(path.join(folder, `${prefix}000000000000`), "a file")
      fs.mkdirSync(path.join(folder, `${prefix}000000000001`))
      fs.symlinkSync("nowhere", path.join(folder, `${prefix}000000000002`))
      fs.writeFileSync(path.join(folder, `${prefix}notes`), "a file")
      const before = locks(file)
      yield* Effect.scoped(acquire(file))
      assert.deepStrictEqual(locks(file), before)
    }),
  )

  it.scopedLive("its name matches no pattern for the data", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      yield* acquire(file)
      assert.strictEqual(locks(file).length, 1)
      const listed = spawnSync("sh", ["-c", "echo *; echo activities.ndjson*; ls -A | grep -c ndjson"], {
        cwd: path.dirname(file),
        encoding: "utf8",
      })
      const both = "activities.ndjson activities.ndjson.checkpoint.json"
      assert.strictEqual(listed.stdout, `${both}\n${both}\n2\n`)
    }),
  )

  it.scopedLive("removed while it is held: nothing is written any more", () =>
    Effect.gen(function* () {
      const file = yield* fileInFolder
      const sink = yield* acquire(file)
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      const before = fs.readFileSync(file, "utf8")
      for (const name of locks(file)) fs.rmSync(path.join(path.dirname(file), name))
      const error = yield* Effect.flip(writer.write(batch(2)))
      assert.strictEqual(error.reason, "InUse")
      assert.include(error.description, "was removed")
      assert.strictEqual(fs.readFileSync(file, "utf8"), before)
      assert.strictEqual((yield* Effect.flip(sink.open(subscription))).reason, "InUse")
    }),
  )

  it.scopedLive("a folder whose path is too long for a socket", () =>
    Effect.gen(function* () {
      const folder = path.join(yield* temporaryFolder, "a".repeat(120))
      fs.mkdirSync(folder)
      const file = path.join(folder, `${"b".repeat(100)}.ndjson`)
      if (process.platform !== "linux") {
        assert.include((yield* Effect.flip(acquire(file))).description, "too long")
        return
      }
      const sink = yield* acquire(file)
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(acquire(file)))).reason, "InUse")
    }),
  )
})
