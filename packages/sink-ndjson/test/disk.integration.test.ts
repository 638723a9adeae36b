/** What other programs and the system do to the files while they are written. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ActivityRecord, type ActivitySink } from "@effect-marketo/core"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Effect, Exit, Option, Scope } from "effect"
import { batch, subscription } from "./fixtures/batches.js"
import { startWriter, writerCommand } from "./fixtures/child.js"
import { temporaryFolder } from "./fixtures/folder.js"

const lines = (batches: ReadonlyArray<ActivitySink.Batch>) =>
  batches.map((one) => ActivityRecord.toNdjson(one.records)).join("")

const inFolder = Effect.map(temporaryFolder, (folder) => {
  const file = path.join(folder, "activities.ndjson")
  return {
    folder,
    file,
    rejected: path.join(folder, "activities.rejected.ndjson"),
    checkpoint: `${file}.checkpoint.json`,
  }
})

type Place = Effect.Effect.Success<typeof inFolder>

/** Runs a command line as an operator would, in the folder of the files. */
const shell = ({ folder }: Place, command: string) => {
  const { status, stderr } = spawnSync("sh", ["-ec", command], { cwd: folder, encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
}

const written = [batch(1, { rejected: 1 }), batch(2)]

interface Interference {
  readonly command: string
  readonly says: string | RegExp
  /** Mends it. Without one, the start after it must fail too. */
  readonly undo?: string
}

const interferences: ReadonlyArray<readonly [string, Interference]> = [
  ["deleted", { command: "rm activities.ndjson", says: "activities.ndjson, the file was deleted" }],
  [
    "moved away",
    {
      command: "mv activities.ndjson a.1",
      says: "activities.ndjson, the file was moved or renamed",
      undo: "mv a.1 activities.ndjson",
    },
  ],
  [
    "moved away, with an empty one created in its place",
    {
      command: "mv activities.ndjson a.1; touch activities.ndjson",
      says: "activities.ndjson, the file was replaced by another file",
      undo: "mv a.1 activities.ndjson",
    },
  ],
  [
    "replaced by a copy of itself",
    {
      command: "cp activities.ndjson a.1; mv a.1 activities.ndjson",
      says: "activities.ndjson, the file was replaced by another file",
      undo: "true",
    },
  ],
  [
    "replaced by a link to it",
    {
      command: "mv activities.ndjson a.1; ln -s a.1 activities.ndjson",
      says: "activities.ndjson, the file was replaced by another file",
      undo: "mv a.1 activities.ndjson",
    },
  ],
  [
    "copied and truncated",
    {
      command: "cp activities.ndjson a.1; truncate -s 0 activities.ndjson",
      says: /was truncated to 0 of \d+ bytes \(copytruncate does that\)/,
      undo: "cp a.1 activities.ndjson",
    },
  ],
  [
    "written to by another program",
    {
      command: "echo more >> activities.ndjson",
      says: /has \d+ bytes instead of \d+: another program writes to it/,
      undo: "true", // bytes that do not count are cut off by a start
    },
  ],
  [
    "there, but its rejected file was deleted",
    { command: "rm activities.rejected.ndjson", says: "activities.rejected.ndjson, the file was deleted" },
  ],
  [
    "there, but its rejected file was truncated",
    {
      command: "cp activities.rejected.ndjson r; truncate -s 3 activities.rejected.ndjson",
      says: /activities\.rejected\.ndjson, the file was truncated to 3 of \d+ bytes/,
      undo: "cp r activities.rejected.ndjson",
    },
  ],
  [
    "there, but its checkpoint was replaced",
    {
      command: "cp activities.ndjson.checkpoint.json c; mv c activities.ndjson.checkpoint.json",
      says: "checkpoint.json was changed by another program",
      undo: "true",
    },
  ],
  [
    "there, but its checkpoint was edited",
    {
      command: "cp activities.ndjson.checkpoint.json c; echo >> activities.ndjson.checkpoint.json",
      says: "checkpoint.json was changed by another program",
      undo: "mv c activities.ndjson.checkpoint.json",
    },
  ],
  ["gone with its folder", { command: 'rm -r "$PWD"', says: /the folder \S+ was moved, replaced or unmounted/ }],
]

describe("the next write fails and the position stays if the file was", () => {
  for (const [what, { command, says, undo }] of interferences) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const place = yield* inFolder
        const { checkpoint, file } = place
        const scope = yield* Scope.make()
        const sink = yield* Scope.extend(NdjsonSink.make({ path: file }), scope)
        const writer = yield* Scope.extend(sink.open(subscription), scope)
        for (const one of written) yield* writer.write(one)
        shell(place, command)
        const position = fs.existsSync(checkpoint) ? fs.readFileSync(checkpoint, "utf8") : undefined
        const error = yield* Effect.flip(writer.write(batch(3, { rejected: 1 })))
        if (typeof says === "string") assert.include(error.description, says)
        else assert.match(error.description, says)
        assert.match(error.description, /put it back|Put it back|Stop that program/)
        assert.include(error.description, "Nothing of this batch is in the file")
        if (position !== undefined) assert.strictEqual(fs.readFileSync(checkpoint, "utf8"), position)
        yield* Scope.close(scope, Exit.void)

        const start = Effect.scoped(Effect.flatMap(NdjsonSink.make({ path: file }), (next) => next.open(subscription)))
        if (undo === undefined) {
          yield* Effect.flip(start)
        } else {
          shell(place, undo)
          assert.strictEqual(Option.getOrThrow((yield* start).checkpoint).sequence, 2)
          assert.strictEqual(fs.readFileSync(file, "utf8"), lines(written))
        }
      }),
    )
  }

  it.scopedLive("truncated, with a batch that has no records", () =>
    Effect.gen(function* () {
      const place = yield* inFolder
      const sink = yield* NdjsonSink.make({ path: place.file, rotation: { maxBytes: 1 } })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      shell(place, "truncate -s 5 activities.ndjson")
      const error = yield* Effect.flip(writer.write(batch(2, { size: 0 })))
      assert.include(error.description, "was truncated to 5 of")
      assert.deepStrictEqual(yield* NdjsonSink.files(place.file), [place.file])
    }),
  )
})

describe("while the file is written", () => {
  it.scopedLive("a deleted checkpoint is written again with the next batch", () =>
    Effect.gen(function* () {
      const place = yield* inFolder
      const sink = yield* NdjsonSink.make({ path: place.file })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      shell(place, "rm activities.ndjson.checkpoint.json")
      yield* writer.write(batch(2))
      assert.strictEqual(JSON.parse(fs.readFileSync(place.checkpoint, "utf8")).length, fs.statSync(place.file).size)
    }),
  )

  it.scopedLive("a hard link, a new mode and a reader do no harm", () =>
    Effect.gen(function* () {
      const place = yield* inFolder
      const sink = yield* NdjsonSink.make({ path: place.file })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      shell(place, "ln activities.ndjson backup; chmod 640 activities.ndjson*; cat activities.ndjson* > /dev/null")
      yield* writer.write(batch(2))
      assert.strictEqual(fs.readFileSync(place.file, "utf8"), lines([batch(1), batch(2)]))
    }),
  )

  it.scopedLive("a link under the temporary name is never written through", () =>
    Effect.gen(function* () {
      const place = yield* inFolder
      const { checkpoint, file, folder } = place
      fs.writeFileSync(path.join(folder, "precious"), "mine")
      fs.symlinkSync("precious", `${checkpoint}.tmp`)
      const sink = yield* NdjsonSink.make({ path: file })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      fs.symlinkSync("precious", `${checkpoint}.tmp`)
      const error = yield* Effect.flip(writer.write(batch(2)))
      assert.include(error.description, "another program has created it")
      assert.strictEqual(fs.readFileSync(path.join(folder, "precious"), "utf8"), "mine")
      assert.strictEqual(fs.readFileSync(file, "utf8"), lines([batch(1)]))
    }),
  )
})

describe("permissions", () => {
  const modes = (folder: string) =>
    Object.fromEntries(
      fs.readdirSync(folder).map((name) => [name, (fs.statSync(path.join(folder, name)).mode & 0o777).toString(8)]),
    )

  const write = (options: NdjsonSink.Options, sequences: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const sink = yield* NdjsonSink.make(options)
      const writer = yield* sink.open(subscription)
      for (const sequence of sequences) yield* writer.write(batch(sequence, { rejected: 1 }))
    }).pipe(Effect.scoped)

  for (const [mode, expected] of [
    [undefined, "600"],
    [0o640, "640"],
  ] as const) {
    it.scopedLive(`${mode === undefined ? "by default" : `with mode 0o${expected}`}, new files have ${expected}`, () =>
      Effect.gen(function* () {
        const { file, folder } = yield* inFolder
        yield* write({ path: file, mode, rotation: { maxBytes: 1 } }, [1, 2])
        assert.deepStrictEqual(modes(folder), {
          "activities-000001.ndjson": expected,
          "activities.ndjson": expected,
          "activities.ndjson.checkpoint.json": expected,
          "activities.rejected.ndjson": expected,
        })
        yield* write({ path: path.join(folder, "a.ndjson.gz"), mode, gzip: true }, [1])
        assert.strictEqual(modes(folder)["a.ndjson.gz"], expected)
      }),
    )
  }

  it.scopedLive("an existing file keeps its own", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      yield* write({ path: file }, [1])
      fs.chmodSync(file, 0o644)
      yield* write({ path: file }, [2])
      assert.strictEqual(modes(folder)["activities.ndjson"], "644")
      assert.strictEqual(modes(folder)["activities.ndjson.checkpoint.json"], "600")
    }),
  )

  it.scopedLive("a mode that is not octal, or shuts the owner out, is refused", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      for (const mode of [640, 600, 0o400, 0o1600, -1, 0.5]) {
        const error = yield* Effect.flip(write({ path: file, mode }, []))
        assert.include(error.description, "write it in octal")
      }
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    }),
  )
})

describe("a full disk", () => {
  it.scopedLive("is an error that says what to do; nothing of the batch stays in the file", () =>
    Effect.gen(function* () {
      const { checkpoint, file } = yield* inFolder
      // the size that the system lets a file have is a limit as real as the disk's, and needs no disk of its own
      const limited = startWriter([{ path: file }], Number.MAX_SAFE_INTEGER, [], "ulimit -f 64")
      const output = yield* Effect.promise(() => limited.output)
      assert.match(
        output,
        /^writing 0\nUnavailable: cannot write .*activities\.ndjson: .*raise it \(ulimit -f\).*Nothing of this/,
      )
      const { length } = JSON.parse(fs.readFileSync(checkpoint, "utf8"))
      assert.strictEqual(fs.statSync(file).size, length)
      assert.isAbove(length, 0)
      const sink = yield* NdjsonSink.make({ path: file })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      assert.isAbove(fs.statSync(file).size, length)
    }),
  )
})

const canMount = spawnSync("unshare", ["-m", "true"]).status === 0

describe.skipIf(!canMount)(
  `a disk of its own${canMount ? "" : " (skipped: needs the right to mount, unshare -m)"}`,
  () => {
    /** A script in a mount namespace of its own, with an empty disk of 256 KiB at `$DISK`; `"$@" N` writes up to batch N. */
    const onDisk = (script: string) =>
      Effect.map(inFolder, ({ folder }) => {
        const disk = path.join(folder, "disk")
        fs.mkdirSync(disk)
        const prelude = `mount -t tmpfs -o size=256k tmpfs "$DISK"`
        const [command, ...args] = writerCommand([{ path: path.join(disk, "activities.ndjson") }])
        const { stderr, stdout } = spawnSync(
          "unshare",
          ["-m", "sh", "-ec", `${prelude}\n${script}`, "sh", command, ...args],
          {
            env: { ...process.env, DISK: disk },
            encoding: "utf8",
          },
        )
        return { stdout, stderr }
      })

    it.scopedLive("that is full fails the write, and the next start goes on after room was made", () =>
      Effect.gen(function* () {
        const { stderr, stdout } = yield* onDisk(`
        head -c 200K /dev/zero > "$DISK/filler"
        "$@" 1000
        rm "$DISK/filler"
        "$@" 8
        wc -l < "$DISK/activities.ndjson"`)
        const [first, full, second, count] = stdout.split("\n")
        assert.strictEqual(first, "writing 0", stderr)
        assert.match(
          full ?? "",
          /^Unavailable: cannot write .*: the disk or the quota is full.*Nothing of this batch is in/,
        )
        assert.match(second ?? "", /^writing [1-9]$/)
        assert.strictEqual(count, "700") // batches of 100 records, and the seventh has none
      }),
    )

    it.scopedLive("that is read-only is refused, and nothing on it is touched", () =>
      Effect.gen(function* () {
        const { stderr, stdout } = yield* onDisk(`
        "$@" 2
        mount -o remount,ro "$DISK"
        ls -A "$DISK" | cksum
        "$@" 3
        ls -A "$DISK" | cksum`)
        const [first, before, refusal, after] = stdout.split("\n")
        assert.strictEqual(first, "writing 0", stderr)
        assert.match(refusal ?? "", /^Unavailable: cannot .*no permission to write there; check owner, mode and mount/)
        assert.strictEqual(after, before)
      }),
    )
  },
)
