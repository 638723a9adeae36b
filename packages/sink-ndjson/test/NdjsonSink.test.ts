import * as fs from "node:fs"
import * as path from "node:path"
import { setImmediate } from "node:timers/promises"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { ActivityRecord, type ActivitySink, Checkpoint, Subscription } from "@effect-marketo/core"
import * as Sink from "@effect-marketo/core/ActivitySink"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Config, ConfigProvider, Duration, Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { batch, subscription } from "./fixtures/batches.js"
import { temporaryFolder } from "./fixtures/folder.js"

type Batches = ReadonlyArray<ActivitySink.Batch>

/** One run of a program: opens the sink, writes, closes. Returns the checkpoint's sequence that it started from. */
const run = (options: NdjsonSink.Options, batches: Batches, who: Subscription.Subscription = subscription) =>
  Effect.gen(function* () {
    const sink = yield* NdjsonSink.make(options)
    const writer = yield* sink.open(who)
    for (const one of batches) yield* writer.write(one)
    return Option.match(writer.checkpoint, { onNone: () => 0, onSome: ({ sequence }) => sequence })
  }).pipe(Effect.scoped)

const lines = (batches: Batches) => batches.map((one) => ActivityRecord.toNdjson(one.records)).join("")
const rejectedLines = (batches: Batches) => batches.map((one) => ActivityRecord.toNdjson(one.rejected)).join("")
const text = (file: string) => fs.readFileSync(file, "utf8")
const unzipped = (file: string) => gunzipSync(fs.readFileSync(file)).toString()

/** Every file's bytes, for comparison. */
const snapshot = (folder: string) =>
  Object.fromEntries(fs.readdirSync(folder).map((name) => [name, fs.readFileSync(path.join(folder, name), "latin1")]))

const inFolder = Effect.map(temporaryFolder, (folder) => {
  const file = path.join(folder, "activities.ndjson")
  return {
    folder,
    file,
    rejected: path.join(folder, "activities.rejected.ndjson"),
    checkpoint: `${file}.checkpoint.json`,
    rotated: (n: number) => path.join(folder, `activities-00000${n}.ndjson`),
  }
})

const edit = (checkpoint: string, members: object) =>
  fs.writeFileSync(checkpoint, JSON.stringify({ ...JSON.parse(text(checkpoint)), ...members }))

describe("writing", () => {
  it.scopedLive("puts one line an activity into the file, and what counts of it into the checkpoint file", () =>
    Effect.gen(function* () {
      const { checkpoint, file, folder } = yield* inFolder
      const batches = [batch(1), batch(2, { size: 0 }), batch(3, { size: 1 })] as const
      assert.strictEqual(yield* run({ path: file }, batches), 0)
      assert.strictEqual(text(file), lines(batches))
      const stored = JSON.parse(text(checkpoint))
      assert.strictEqual(stored.file, "activities.ndjson")
      assert.strictEqual(stored.length, fs.statSync(file).size)
      assert.deepStrictEqual(stored.subscriptions, {
        [Subscription.key(subscription)]: Checkpoint.toJson(batches[2].checkpoint),
      })
      assert.deepStrictEqual(fs.readdirSync(folder).sort(), ["activities.ndjson", "activities.ndjson.checkpoint.json"])
      assert.strictEqual(yield* run({ path: file }, [batch(4)]), 3)
      assert.strictEqual(text(file), lines([...batches, batch(4)]))
    }),
  )

  it.scopedLive("takes its options from Config", () =>
    Effect.gen(function* () {
      const { folder } = yield* inFolder
      const layer = NdjsonSink.layerConfig({
        path: Config.string("FILE"),
        gzip: Config.boolean("GZIP").pipe(Config.withDefault(false)),
        rotation: { every: Config.duration("EVERY") },
      })
      const file = path.join(folder, "a.ndjson.gz")
      const provider = ConfigProvider.fromMap(
        new Map([
          ["FILE", file],
          ["GZIP", "true"],
          ["EVERY", "1 hour"],
        ]),
      )
      yield* Effect.gen(function* () {
        const writer = yield* Effect.flatMap(Sink.ActivitySink, (sink) => sink.open(subscription))
        yield* writer.write(batch(1))
      }).pipe(Effect.scoped, Effect.provide(layer), Effect.withConfigProvider(provider))
      assert.strictEqual(unzipped(file), lines([batch(1)]))
    }),
  )

  it.scopedLive("puts rejected elements into a second file, made with the first of them", () =>
    Effect.gen(function* () {
      const { file, folder, rejected } = yield* inFolder
      yield* run({ path: file }, [batch(1)])
      assert.isFalse(fs.existsSync(rejected))
      const batches = [batch(2, { rejected: 2 }), batch(3, { size: 0, rejected: 1 })]
      yield* run({ path: file }, batches)
      assert.strictEqual(text(rejected), rejectedLines(batches))
      assert.strictEqual(text(file), lines([batch(1), ...batches]))

      const elsewhere = path.join(folder, "elsewhere.ndjson")
      yield* run({ path: path.join(folder, "b.ndjson.gz"), rejectedPath: elsewhere, gzip: true }, batches)
      assert.strictEqual(unzipped(elsewhere), rejectedLines(batches))
      const error = yield* Effect.flip(run({ path: file, rejectedPath: file }, []))
      assert.include(error.description, "the same file")
    }),
  )

  it.scopedLive("makes each batch a gzip member of its own", () =>
    Effect.gen(function* () {
      const { checkpoint, file } = yield* inFolder
      yield* run({ path: file, gzip: true }, [batch(1)])
      const first: number = JSON.parse(text(checkpoint)).length
      yield* run({ path: file, gzip: true }, [batch(2), batch(3, { size: 0 })])
      assert.strictEqual(unzipped(file), lines([batch(1), batch(2)]))
      assert.strictEqual(gunzipSync(fs.readFileSync(file).subarray(first)).toString(), lines([batch(2)]))
    }),
  )

  it.scopedLive("lets several subscriptions share a file, with a checkpoint each", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      const other = { name: "other", instance: subscription.instance }
      const written = yield* Effect.gen(function* () {
        const sink = yield* Sink.ActivitySink
        const writers = yield* Effect.all([sink.open(subscription), sink.open(other)])
        yield* Effect.forEach(
          writers,
          (writer) =>
            Effect.forEach([1, 2, 3, 4, 5], (n) => writer.write(batch(n, { subscription: writer.subscription }))),
          { concurrency: "unbounded" },
        )
        return text(file).split("\n").slice(0, -1)
      }).pipe(Effect.scoped, Effect.provide(NdjsonSink.layer({ path: file })))
      assert.strictEqual(written.length, 30)
      for (const who of [subscription, other]) {
        const mine = written.filter((line) => JSON.parse(line).who === who.name)
        assert.strictEqual(`${mine.join("\n")}\n`, lines([1, 2, 3, 4, 5].map((n) => batch(n, { subscription: who }))))
        assert.strictEqual(yield* run({ path: file }, [], who), 5)
      }
    }),
  )

  it.scopedLive("shuts out the older writer of a subscription", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      const sink = yield* NdjsonSink.make({ path: file })
      const older = yield* sink.open(subscription)
      yield* older.write(batch(1))
      const newer = yield* sink.open(subscription)
      const error = yield* Effect.flip(older.write(batch(2)))
      assert.strictEqual(error.reason, "Fenced")
      yield* newer.write(batch(2, { size: 1 }))
      assert.strictEqual(text(file), lines([batch(1), batch(2, { size: 1 })]))
    }),
  )

  it.scopedLive("ends after the write in hand", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      const scope = yield* Scope.make()
      const sink = yield* Scope.extend(NdjsonSink.make({ path: file }), scope)
      const writer = yield* Scope.extend(sink.open(subscription), scope)
      const write = yield* Effect.forkDaemon(writer.write(batch(1, { size: 20_000 })))
      // each of the steps that remain takes a turn of the event loop
      while (fs.statSync(file).size === 0) yield* Effect.promise(() => setImmediate())
      assert.isNull(write.unsafePoll())
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(text(file), lines([batch(1, { size: 20_000 })]))
      assert.strictEqual(yield* run({ path: file }, []), 1)
      yield* Fiber.join(write)
    }),
  )

  it.scopedLive("writes nothing after its layer has ended", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      const sink = yield* Effect.scoped(NdjsonSink.make({ path: file }))
      const error = yield* Effect.flip(sink.open(subscription))
      assert.strictEqual(error.reason, "Unavailable")
    }),
  )
})

describe("rotation", () => {
  it.scopedLive("by size: full files get numbered names, in order, and none is too large", () =>
    Effect.gen(function* () {
      const { checkpoint, file, rotated } = yield* inFolder
      const maxBytes = 2.5 * lines([batch(1)]).length
      const batches = [1, 2, 3, 4, 5].map((n) => batch(n, { rejected: 1 }))
      const options = { path: file, rotation: { maxBytes } }
      yield* run(options, batches.slice(0, 3))
      yield* run(options, batches.slice(3))
      const files = yield* NdjsonSink.files(file)
      assert.deepStrictEqual(files, [rotated(1), rotated(2), file])
      assert.deepStrictEqual(files.map(text), [
        lines(batches.slice(0, 2)),
        lines(batches.slice(2, 4)),
        lines(batches.slice(4)),
      ])
      assert.strictEqual(JSON.parse(text(checkpoint)).length, fs.statSync(file).size)

      fs.rmSync(rotated(1)) // rotated files are the user's
      yield* run(options, [batch(6, { size: 30 }), batch(7)])
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [rotated(2), rotated(3), rotated(4), file])
      assert.strictEqual(text(rotated(4)), lines([batch(6, { size: 30 })]))
    }),
  )

  it.scoped("by time: from the first batch in a file on, over restarts, at the next batch, an empty one too", () =>
    Effect.gen(function* () {
      const { file, rotated } = yield* inFolder
      yield* TestClock.setTime(Date.parse("2026-03-01T12:00:00Z"))
      const options = { path: file, rotation: { every: Duration.hours(1) } }
      yield* run(options, [])
      yield* TestClock.adjust("2 hours")
      yield* run(options, [batch(1)])
      yield* TestClock.adjust("59 minutes")
      yield* run(options, [batch(2)])
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [file])
      yield* TestClock.adjust("1 minutes")
      yield* run(options, [batch(3, { size: 0 }), batch(4)])
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [rotated(1), file])
      assert.strictEqual(text(rotated(1)), lines([batch(1), batch(2)]))
      assert.strictEqual(text(file), lines([batch(4)]))
      yield* TestClock.adjust("2 hours")
      yield* run(options, [batch(5, { size: 0 }), batch(6, { size: 0 })])
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [rotated(1), rotated(2), file])
      yield* TestClock.adjust("2 hours")
      yield* run(options, [batch(7, { size: 0 })]) // an empty file is not rotated
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [rotated(1), rotated(2), file])
    }),
  )

  it.scopedLive("never overwrites a file that has the next name", () =>
    Effect.gen(function* () {
      const { file, rotated } = yield* inFolder
      const options = { path: file, rotation: { maxBytes: 1 } }
      fs.writeFileSync(rotated(1), "mine")
      const error = yield* Effect.flip(run(options, [batch(1), batch(2)]))
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.description, rotated(1))
      assert.strictEqual(text(rotated(1)), "mine")
      fs.rmSync(rotated(1))
      assert.strictEqual(yield* run(options, [batch(2)]), 1)
      assert.deepStrictEqual((yield* NdjsonSink.files(file)).map(text), [lines([batch(1)]), lines([batch(2)])])
    }),
  )

  it.scoped("by signal: at the next batch, once", () =>
    Effect.gen(function* () {
      const { file, rotated } = yield* inFolder
      const options = { path: file, rotation: { signal: "SIGUSR2" } } as const
      const listeners = process.listenerCount("SIGUSR2")
      yield* Effect.gen(function* () {
        const sink = yield* NdjsonSink.make(options)
        const writer = yield* sink.open(subscription)
        yield* writer.write(batch(1))
        const delivered = new Promise((resolve) => process.once("SIGUSR2", resolve))
        process.kill(process.pid, "SIGUSR2")
        yield* Effect.promise(() => delivered)
        assert.deepStrictEqual(yield* NdjsonSink.files(file), [file])
        yield* writer.write(batch(2))
        yield* writer.write(batch(3))
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* NdjsonSink.files(file), [rotated(1), file])
      assert.strictEqual(text(rotated(1)), lines([batch(1)]))
      assert.strictEqual(text(file), lines([batch(2), batch(3)]))
      assert.strictEqual(process.listenerCount("SIGUSR2"), listeners)
    }),
  )

  it.scopedLive("never replaces a link that has the next name", () =>
    Effect.gen(function* () {
      const { file, folder, rotated } = yield* inFolder
      fs.symlinkSync(path.join(folder, "nowhere"), rotated(1))
      const error = yield* Effect.flip(run({ path: file, rotation: { maxBytes: 1 } }, [batch(1), batch(2)]))
      assert.include(error.description, `${rotated(1)} already exists`)
      assert.isTrue(fs.lstatSync(rotated(1)).isSymbolicLink())
      assert.strictEqual(text(file), lines([batch(1)]))
    }),
  )

  it.scopedLive("refuses limits that make no sense", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      for (const rotation of [{ maxBytes: 0 }, { maxBytes: Number.NaN }, { every: 0 }]) {
        const error = yield* Effect.flip(run({ path: file, rotation }, []))
        assert.include(error.description, "greater than zero")
      }
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    }),
  )
})

describe("a start after a crash", () => {
  const written = [batch(1, { rejected: 1 }), batch(2)]
  const next = batch(3, { rejected: 1 })
  const rotation = { maxBytes: 1_000_000 }
  type Place = Effect.Effect.Success<typeof inFolder>
  /** Each leaves the folder as a crash at that step does. */
  const crashes: ReadonlyArray<readonly [string, (place: Place) => void]> = [
    ["between two batches", () => {}],
    ["in the first append, nothing committed yet", () => {}],
    ["in an append", ({ file }) => fs.appendFileSync(file, lines([next]).slice(0, 100))],
    [
      "after both appends",
      ({ file, rejected }) => {
        fs.appendFileSync(file, lines([next]))
        fs.appendFileSync(rejected, rejectedLines([next]))
      },
    ],
    [
      "while the checkpoint was written",
      ({ checkpoint, file }) => {
        fs.appendFileSync(file, lines([next]))
        fs.writeFileSync(`${checkpoint}.tmp`, '{"v":1,"fi')
      },
    ],
    [
      "before the checkpoint was renamed",
      ({ checkpoint, file }) => {
        fs.appendFileSync(file, lines([next]))
        const content = { ...JSON.parse(text(checkpoint)), length: fs.statSync(file).size }
        fs.writeFileSync(`${checkpoint}.tmp`, JSON.stringify(content))
      },
    ],
    ["after a rotation was recorded", ({ checkpoint }) => edit(checkpoint, { rotations: 1, renaming: true })],
    [
      "after a rotation was recorded, with bytes that do not count",
      ({ checkpoint, file }) => {
        edit(checkpoint, { rotations: 1, renaming: true })
        fs.appendFileSync(file, "{")
      },
    ],
    [
      "after a rotated file got its name",
      ({ checkpoint, file, rotated }) => {
        edit(checkpoint, { rotations: 1, renaming: true })
        fs.renameSync(file, rotated(1))
      },
    ],
    [
      "after a rotation, before there is a new file",
      ({ checkpoint, file, rotated }) => {
        edit(checkpoint, { rotations: 1, length: 0, ending: { bytes: 0, crc32: 0 } })
        fs.renameSync(file, rotated(1))
      },
    ],
  ]
  for (const [when, crash] of crashes) {
    it.scopedLive(when, () =>
      Effect.gen(function* () {
        const place = yield* inFolder
        const { checkpoint, file, folder, rejected } = place
        yield* run({ path: file, rotation }, written)
        crash(place)
        assert.strictEqual(yield* run({ path: file, rotation }, []), 2)
        assert.strictEqual((yield* NdjsonSink.files(file)).map(text).join(""), lines(written))
        assert.deepStrictEqual(
          fs.readdirSync(folder).filter((name) => name.endsWith(".tmp")),
          [],
        )
        assert.strictEqual(yield* run({ path: file, rotation }, [next]), 2)
        assert.strictEqual((yield* NdjsonSink.files(file)).map(text).join(""), lines([...written, next]))
        assert.strictEqual(text(rejected), rejectedLines([...written, next]))
        assert.strictEqual(JSON.parse(text(checkpoint)).length, fs.statSync(file).size)
      }),
    )
  }

  it.scopedLive("in the first batch of all", () =>
    Effect.gen(function* () {
      const { checkpoint, file, rejected } = yield* inFolder
      yield* run({ path: file }, [])
      assert.strictEqual(JSON.parse(text(checkpoint)).length, 0)
      fs.appendFileSync(file, lines([batch(1)]))
      fs.appendFileSync(rejected, "{")
      assert.strictEqual(yield* run({ path: file }, [batch(1)]), 0)
      assert.strictEqual(text(file), lines([batch(1)]))
      assert.strictEqual(text(rejected), "")
    }),
  )

  it.scopedLive("in the middle of a gzip member", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      const options = { path: file, gzip: true }
      yield* run(options, [batch(1)])
      fs.appendFileSync(file, fs.readFileSync(file).subarray(0, 20))
      yield* run(options, [])
      assert.strictEqual(unzipped(file), lines([batch(1)]))
      yield* run(options, [batch(2)])
      assert.strictEqual(unzipped(file), lines([batch(1), batch(2)]))
    }),
  )
})

describe("what does not fit its checkpoint is refused with advice, and nothing is touched", () => {
  type Place = Effect.Effect.Success<typeof inFolder>
  const refusals: ReadonlyArray<readonly [string, (place: Place) => void, string, Partial<NdjsonSink.Options>?]> = [
    ["a file without a checkpoint", ({ checkpoint }) => fs.rmSync(checkpoint), "checkpoint.json is missing"],
    [
      "rejected elements without a checkpoint",
      ({ checkpoint, file }) => {
        fs.rmSync(checkpoint)
        fs.rmSync(file)
      },
      "rejected.ndjson is not empty",
    ],
    ["a file that was cut", ({ file }) => fs.truncateSync(file, 10), "has 10 bytes"],
    ["a file that was moved away", ({ file }) => fs.rmSync(file), "has 0 bytes"],
    [
      "a file that was replaced by a longer one",
      ({ file }) => fs.writeFileSync(file, lines([batch(8), batch(9)])),
      "does not have the bytes that this sink wrote last",
    ],
    [
      "a rejected file that was edited, beside a file with bytes that do not count",
      ({ file, rejected }) => {
        fs.writeFileSync(rejected, text(rejected).replace("1", "2"))
        fs.appendFileSync(file, "{")
      },
      "does not have the bytes that this sink wrote last",
    ],
    [
      "a rotation whose file is under neither name",
      ({ checkpoint, file }) => {
        edit(checkpoint, { rotations: 1, renaming: true })
        fs.rmSync(file)
      },
      "which is missing too",
    ],
    [
      "a rotation whose file is not whole under its new name",
      ({ checkpoint, file, rotated }) => {
        edit(checkpoint, { rotations: 1, renaming: true })
        fs.writeFileSync(rotated(1), "mine")
        fs.rmSync(file)
      },
      "which has 4 bytes",
    ],
    [
      "a rejected file that was cut, beside a file with bytes that do not count",
      ({ file, rejected }) => {
        fs.truncateSync(rejected, 1)
        fs.appendFileSync(file, "{")
      },
      "has 1 bytes",
    ],
    ["a damaged checkpoint", ({ checkpoint }) => fs.truncateSync(checkpoint, 40), "is damaged"],
    ["an empty checkpoint", ({ checkpoint }) => fs.truncateSync(checkpoint, 0), "is damaged"],
    ["a negative length", ({ checkpoint }) => edit(checkpoint, { length: -1 }), "is damaged"],
    ["a newer checkpoint", ({ checkpoint }) => edit(checkpoint, { v: 2 }), "newer release (format 2"],
    ["another file's checkpoint", ({ checkpoint }) => edit(checkpoint, { file: "b.ndjson" }), "named b.ndjson"],
    ["gzip after plain", () => {}, "begun without gzip", { gzip: true }],
    [
      "a rotation whose final name is taken",
      ({ checkpoint, rotated }) => {
        edit(checkpoint, { rotations: 1, renaming: true })
        fs.writeFileSync(rotated(1), "mine")
      },
      "activities-000001.ndjson already exists",
    ],
    [
      "a damaged checkpoint of the subscription",
      ({ checkpoint }) => {
        edit(checkpoint, { subscriptions: { [Subscription.key(subscription)]: "{" } })
      },
      "damaged or cut off",
    ],
    [
      "a subscription of this name at another instance",
      ({ checkpoint }) => {
        const { subscriptions } = JSON.parse(text(checkpoint))
        edit(checkpoint, { subscriptions: { "999-XYZ-000/all": Object.values(subscriptions)[0] } })
      },
      `"all" at 999-XYZ-000`,
    ],
  ]
  for (const [what, change, says, options] of refusals) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const place = yield* inFolder
        yield* run({ path: place.file }, [batch(1, { rejected: 1 })])
        change(place)
        const before = snapshot(place.folder)
        const error = yield* Effect.flip(run({ path: place.file, ...options }, [batch(2)]))
        assert.include(error.description, says)
        assert.strictEqual(error.reason, says.includes("already exists") ? "Unavailable" : "CheckpointRefused")
        assert.deepStrictEqual(snapshot(place.folder), before)
      }),
    )
  }
})

describe("a destination that cannot be written", () => {
  it.scopedLive("a folder that is missing, a path that is a folder, a link to nothing", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      const missing = yield* Effect.flip(run({ path: path.join(folder, "no", "a.ndjson") }, []))
      assert.strictEqual(missing.reason, "Unavailable")
      assert.include(missing.description, path.join(folder, "no", "a.ndjson"))
      assert.include(missing.description, "create or mount it")
      fs.mkdirSync(file)
      const isFolder = yield* Effect.flip(run({ path: file }, []))
      assert.strictEqual(isFolder.reason, "Unavailable")
      assert.include(isFolder.description, "is not a file")
      fs.symlinkSync("nowhere", path.join(folder, "link"))
      const link = yield* Effect.flip(run({ path: path.join(folder, "link") }, []))
      assert.strictEqual(link.reason, "Unavailable")
    }),
  )

  it.scopedLive("a folder without permission", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      fs.chmodSync(folder, 0o500)
      // nobody creates files in there, and root may write everywhere else
      const readOnly = process.getuid?.() === 0 ? "/sys/kernel/activities.ndjson" : file
      const error = yield* Effect.flip(run({ path: readOnly }, []))
      fs.chmodSync(folder, 0o700)
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.description, readOnly)
    }),
  )

  it.scopedLive("a folder that goes away in mid-run", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      const sink = yield* NdjsonSink.make({ path: file })
      const writer = yield* sink.open(subscription)
      yield* writer.write(batch(1))
      fs.renameSync(folder, `${folder}-moved`)
      const gone = yield* Effect.flip(writer.write(batch(2)))
      assert.strictEqual(gone.reason, "Unavailable")
      assert.include(gone.description, `the folder ${folder} was moved`)
      assert.include(gone.description, "Nothing of this batch is in the file")
      // an empty folder in its place, such as the mount point of a disk that is gone, is not written to
      fs.mkdirSync(folder)
      assert.strictEqual((yield* Effect.flip(sink.open(subscription))).reason, "Unavailable")
      assert.deepStrictEqual(fs.readdirSync(folder), [])
      fs.rmdirSync(folder)
      fs.renameSync(`${folder}-moved`, folder)
      assert.strictEqual(text(file), lines([batch(1)]))
      const spent = yield* Effect.flip(writer.write(batch(2)))
      assert.strictEqual(spent.reason, "Fenced")
      const again = yield* sink.open(subscription)
      yield* again.write(batch(2))
      assert.strictEqual(text(file), lines([batch(1), batch(2)]))
    }),
  )

  it.scopedLive("a failed write of one subscription leaves the others at work", () =>
    Effect.gen(function* () {
      const { checkpoint, file } = yield* inFolder
      const other = { name: "other", instance: subscription.instance }
      const sink = yield* NdjsonSink.make({ path: file })
      const [one, two] = yield* Effect.all([sink.open(subscription), sink.open(other)])
      yield* two.write(batch(1, { subscription: other }))
      fs.mkdirSync(`${checkpoint}.tmp`) // in the way of the next checkpoint
      assert.strictEqual((yield* Effect.flip(one.write(batch(1)))).reason, "Unavailable")
      assert.strictEqual(text(file), lines([batch(1, { subscription: other })]))
      fs.rmdirSync(`${checkpoint}.tmp`)
      yield* two.write(batch(2, { subscription: other }))
      assert.strictEqual(text(file), lines([1, 2].map((n) => batch(n, { subscription: other }))))
    }),
  )
})

it.effect("provides the sink as a layer that asks for nothing", () =>
  Effect.gen(function* () {
    const layer: Layer.Layer<Sink.ActivitySink, unknown> = NdjsonSink.layer({ path: "/nowhere/at/all.ndjson" })
    const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
    assert.propertyVal(error, "_tag", "SinkError")
  }),
)
