import { FileSystem, KeyValueStore } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { assertNone, assertSome } from "@effect/vitest/utils"
import { Checkpoint, CheckpointStore } from "@effect-marketo/core"
import { Arbitrary, DateTime, Effect, Layer } from "effect"

const subscription = { instance: "123-ABC-456", name: "opens" }
const checkpoint = new Checkpoint.Checkpoint({
  v: 1,
  instance: "123-ABC-456",
  subscription: "opens",
  sequence: 7,
  positions: [
    new Checkpoint.Position({
      query: "activityTypeIds=10",
      token: "ABC=",
      through: DateTime.unsafeMake("2026-01-01T00:00:00Z"),
    }),
  ],
})
const json =
  '{"v":1,"instance":"123-ABC-456","subscription":"opens","sequence":7,"positions":[{"query":"activityTypeIds=10","token":"ABC=","through":"2026-01-01T00:00:00.000Z","answered":true}]}'

describe("Checkpoint", () => {
  it("is this text", () => assert.strictEqual(Checkpoint.toJson(checkpoint), json))

  it.effect("reads one of an earlier release, whose tokens count as answered", () =>
    Effect.gen(function* () {
      const earlier = json.replace(',"answered":true', "")
      const read = yield* Checkpoint.fromJson(earlier, { instance: "123-ABC-456", name: "opens" })
      assert.strictEqual(Checkpoint.toJson(read), json)
    }),
  )

  it.effect.prop("reads back as it was written", [Arbitrary.make(Checkpoint.Checkpoint)], ([any]) =>
    Effect.gen(function* () {
      const read = yield* Checkpoint.fromJson(Checkpoint.toJson(any), {
        instance: any.instance,
        name: any.subscription,
      })
      assert.strictEqual(Checkpoint.toJson(read), Checkpoint.toJson(any))
    }),
  )

  it.effect.prop(
    "cut off anywhere it is refused, never read as less",
    [Arbitrary.make(Checkpoint.Checkpoint)],
    ([any]) =>
      Effect.gen(function* () {
        const text = Checkpoint.toJson(any)
        for (let end = 0; end < text.length; end++) {
          const error = yield* Effect.flip(
            Checkpoint.fromJson(text.slice(0, end), { instance: any.instance, name: any.subscription }),
          )
          assert.strictEqual(error.reason, "Unreadable")
        }
      }),
    { fastCheck: { numRuns: 10 } },
  )

  for (const [what, text, reason] of [
    ["a newer version", json.replace('"v":1', '"v":2'), "NewerVersion"],
    ["a newer version of another shape", '{"v":9,"chains":{}}', "NewerVersion"],
    ["another instance", json.replace("123-ABC-456", "999-XYZ-999"), "OtherInstance"],
    ["another name", json.replace("opens", "clicks"), "OtherInstance"],
    ["nothing", "", "Unreadable"],
    ["no JSON", "\u0000\u0000", "Unreadable"],
    ["a negative sequence", json.replace('"sequence":7', '"sequence":-1'), "Unreadable"],
    ["no token", json.replace('"token":"ABC=",', ""), "Unreadable"],
  ] as const) {
    it.effect(`${what} is refused with advice`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Checkpoint.fromJson(text, subscription))
        assert.strictEqual(error.reason, reason)
        assert.isAbove(error.advice.length, 40)
        assert.notInclude(error.message, "ABC=")
      }),
    )
  }
})

const stores: ReadonlyArray<readonly [string, Layer.Layer<CheckpointStore.CheckpointStore, unknown>]> = [
  ["memory", CheckpointStore.layerMemory],
  ["key-value store", Layer.provide(CheckpointStore.layerKeyValueStore, KeyValueStore.layerMemory)],
  [
    "files",
    Layer.unwrapScoped(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        return CheckpointStore.layerFile(`${directory}/new/folder`)
      }),
    ).pipe(Layer.provide(NodeContext.layer)),
  ],
]

describe("CheckpointStore", () => {
  for (const [name, layer] of stores) {
    it.live(`${name}: keeps texts apart by key, and the last one of each`, () =>
      Effect.gen(function* () {
        const store = yield* CheckpointStore.CheckpointStore
        assertNone(yield* store.get("host:80/a"))
        yield* store.set("host:80/a", "1")
        yield* store.set("host:80/a/b", "2")
        yield* store.set("host:80/A", "3")
        yield* store.set("host:80/a", `{"ü":4}`)
        assertSome(yield* store.get("host:80/a"), `{"ü":4}`)
        assertSome(yield* store.get("host:80/a/b"), "2")
        assertSome(yield* store.get("host:80/A"), "3")
      }).pipe(Effect.provide(layer)),
    )
  }

  it.scopedLive("files: the text is there after a restart, and a half-written one is not", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const set = (json: string) =>
        Effect.flatMap(CheckpointStore.CheckpointStore, (store) => store.set("k", json)).pipe(
          Effect.provide(CheckpointStore.layerFile(directory)),
        )
      yield* set("old")
      yield* fs.writeFileString(`${directory}/k.json.tmp`, "hal")
      const read = Effect.flatMap(CheckpointStore.CheckpointStore, (store) => store.get("k")).pipe(
        Effect.provide(CheckpointStore.layerFile(directory)),
      )
      assertSome(yield* read, "old")
      yield* set("new")
      assertSome(yield* read, "new")
    }).pipe(Effect.provide(NodeContext.layer)),
  )

  it.scopedLive("files: names of any length and alphabet, kept apart", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const keys = ["a", "b"].map((end) => `123-ABC-456/${"数".repeat(199)}${end}`)
      yield* Effect.gen(function* () {
        const store = yield* CheckpointStore.CheckpointStore
        for (const key of keys) yield* store.set(key, `text of ${key}`)
        for (const key of keys) assertSome(yield* store.get(key), `text of ${key}`)
      }).pipe(Effect.provide(CheckpointStore.layerFile(directory)))
    }).pipe(Effect.provide(NodeContext.layer)),
  )

  it.scopedLive("files: the text is on the disk before it takes its name, and the name before success", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const steps: Array<string> = []
      const noted = <A, E, R>(step: string, effect: Effect.Effect<A, E, R>) =>
        Effect.zipLeft(
          effect,
          Effect.sync(() => steps.push(step)),
        )
      const recording: FileSystem.FileSystem = {
        ...fs,
        open: (path, options) =>
          Effect.map(noted(`open ${path.slice(directory.length)} ${options?.flag}`, fs.open(path, options)), (file) =>
            Object.create(file, {
              writeAll: { value: (bytes: Uint8Array) => noted("write", file.writeAll(bytes)) },
              sync: { value: noted("sync", file.sync) },
            }),
          ),
        rename: (from, to) =>
          noted(`rename ${from.slice(directory.length)} ${to.slice(directory.length)}`, fs.rename(from, to)),
      }
      yield* Effect.flatMap(CheckpointStore.CheckpointStore, (store) => store.set("k", "text")).pipe(
        Effect.provide(CheckpointStore.layerFile(directory)),
        Effect.provideService(FileSystem.FileSystem, recording),
      )
      assert.deepStrictEqual(steps, [
        "open /k.json.tmp wx",
        "write",
        "sync",
        "rename /k.json.tmp /k.json",
        "open  r",
        "sync",
      ])
    }).pipe(Effect.provide(NodeContext.layer)),
  )

  it.scopedLive("files: their own user alone reads them, unless told otherwise", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const parent = yield* fs.makeTempDirectoryScoped()
      const modeOf = (path: string) => Effect.map(fs.stat(path), ({ mode }) => (mode & 0o777).toString(8))
      for (const [mode, file, folder] of [
        [undefined, "600", "700"],
        [0o640, "640", "750"],
      ] as const) {
        const directory = `${parent}/${file}`
        yield* Effect.flatMap(CheckpointStore.CheckpointStore, (store) => store.set("k", "text")).pipe(
          Effect.provide(CheckpointStore.layerFile(directory, { mode })),
        )
        assert.deepStrictEqual([yield* modeOf(`${directory}/k.json`), yield* modeOf(directory)], [file, folder])
      }
      const decimal = CheckpointStore.layerFile(`${parent}/decimal`, { mode: 640 })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(decimal)))
      assert.include(error.message, "write it in octal")
    }).pipe(Effect.provide(NodeContext.layer)),
  )

  it.scopedLive("files: a link under the temporary name is never written through", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${directory}/precious`, "mine")
      yield* fs.symlink(`${directory}/precious`, `${directory}/k.json.tmp`)
      yield* Effect.gen(function* () {
        const store = yield* CheckpointStore.CheckpointStore
        yield* store.set("k", "text")
        assertSome(yield* store.get("k"), "text")
      }).pipe(Effect.provide(CheckpointStore.layerFile(directory)))
      assert.strictEqual(yield* fs.readFileString(`${directory}/precious`), "mine")
    }).pipe(Effect.provide(NodeContext.layer)),
  )

  it.scopedLive("files: a folder that is gone is a SinkError that names it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = `${yield* fs.makeTempDirectoryScoped()}/inside`
      const error = yield* Effect.flatMap(CheckpointStore.CheckpointStore, (store) =>
        Effect.zipRight(fs.remove(directory, { recursive: true }), Effect.flip(store.set("k", "1"))),
      ).pipe(Effect.provide(CheckpointStore.layerFile(directory)))
      assert.deepStrictEqual(
        [error._tag === "SinkError" && error.reason, error.message.includes(directory)],
        ["Unavailable", true],
      )
    }).pipe(Effect.provide(NodeContext.layer)),
  )
})
