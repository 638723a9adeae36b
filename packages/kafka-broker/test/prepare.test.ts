import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Broker } from "@effect-marketo/kafka-broker"
import { Effect } from "effect"
import { temporaryFolder } from "./fixtures/folder.js"

/** Sets variables of the environment until the scope closes. */
const environment = (variables: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env
      process.env = { ...before, ...variables }
      return before
    }),
    (before) =>
      Effect.sync(() => {
        process.env = before
      }),
  )

/** A machine with nothing on its `PATH` but these shell scripts, and with an empty cache. */
const machine = (programs: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const bin = path.join(folder, "bin")
    const cache = path.join(folder, "cache")
    fs.mkdirSync(bin)
    for (const [name, script] of Object.entries(programs)) {
      fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    }
    yield* environment({ PATH: bin, XDG_CACHE_HOME: cache })
    return path.join(cache, "effect-marketo")
  })

const java = (version: string) => `echo 'openjdk version "${version}" 2025-04-15' >&2`

/** "Gets" one jar, as Maven would, when so many are at it; counts its runs in a file beside the jars' folder. */
const maven = (together: number) => `
for argument do case $argument in -DoutputDirectory=*) folder=\${argument#*=};; esac; done
echo run >> "$folder/../runs"
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  runs=0
  while read -r line; do runs=$((runs+1)); done < "$folder/../runs"
  [ $runs -ge ${together} ] && break
  /bin/sleep 0.5
done
echo jar > "$folder/kafka.jar"`

const failure = Effect.map(Effect.flip(Broker.prepare("4.4.0")), ({ message, reason }) => ({ reason, message }))

describe("prepare", () => {
  it.scopedLive("says that there is no Java", () =>
    Effect.gen(function* () {
      yield* machine({})
      assert.deepStrictEqual(yield* failure, {
        reason: "JavaMissing",
        message: "Kafka needs Java 17 or later on the PATH, and there is none; install one",
      })
    }),
  )

  it.scopedLive.each(["1.8.0_402", "11.0.2"])("says that Java %s is too old", (version) =>
    Effect.gen(function* () {
      yield* machine({ java: java(version) })
      assert.deepStrictEqual(yield* failure, {
        reason: "JavaMissing",
        message: `Kafka needs Java 17 or later on the PATH, and there is ${version}; install one`,
      })
    }),
  )

  it.scopedLive("says that there is no Maven, and where the jars should be", () =>
    Effect.gen(function* () {
      const cache = yield* machine({ java: java("21") })
      assert.deepStrictEqual(yield* failure, {
        reason: "JarsMissing",
        message: `the jars of Kafka 4.4.0 are not in ${cache}, and there is no Maven (mvn) on the PATH to get them; install it`,
      })
    }),
  )

  it.scopedLive("gives Maven's last lines when that fails, and leaves nothing in the cache", () =>
    Effect.gen(function* () {
      const failing = 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "[ERROR] line $i"; done; exit 1'
      const cache = yield* machine({ java: java("17.0.15"), mvn: failing })
      const { message, reason } = yield* failure
      assert.strictEqual(reason, "JarsMissing")
      assert.match(message, /^Maven could not get the jars of Kafka 4\.4\.0:\n\[ERROR\] line 26\n/)
      assert.match(message, /\[ERROR\] line 40$/)
      assert.deepStrictEqual(fs.readdirSync(cache), [])
    }),
  )

  it.scopedLive("fills the cache once and needs no Maven afterwards; two at once do not disturb each other", () =>
    Effect.gen(function* () {
      const cache = yield* machine({ java: java("24-ea"), mvn: maven(2) })
      const prepared = yield* Effect.all([Broker.prepare("4.4.0"), Broker.prepare("4.4.0")], { concurrency: 2 })
      prepared.push(yield* Broker.prepare("4.4.0"))
      const [folder = ""] = prepared
      assert.deepStrictEqual(prepared, [folder, folder, folder])
      // a folder for this version and this list of jars
      assert.match(path.relative(cache, folder), /^kafka-4\.4\.0-[0-9a-f]{8}$/)
      assert.deepStrictEqual(fs.readdirSync(cache).sort(), [path.basename(folder), "runs"])
      assert.deepStrictEqual(fs.readdirSync(folder), ["kafka.jar"])
      assert.strictEqual(fs.readFileSync(path.join(cache, "runs"), "utf8"), "run\nrun\n")
    }),
  )

  it.scopedLive("removes what a killed fill left, and not what a live one writes", () =>
    Effect.gen(function* () {
      const cache = yield* machine({ java: java("17"), mvn: maven(1) })
      const left = [path.join(cache, "fill-4194304-abcdef"), path.join(cache, `fill-${process.ppid}-abcdef`)]
      for (const folder of left) fs.mkdirSync(folder, { recursive: true })
      yield* Broker.prepare("4.4.0")
      assert.deepStrictEqual(left.map(fs.existsSync), [false, true])
    }),
  )
})
