import { fileURLToPath } from "node:url"
import { Command, FetchHttpClient, FileSystem, HttpClient } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Stream } from "effect"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

const start = (...args: ReadonlyArray<string>) =>
  Command.start(Command.make(process.execPath, "--conditions=@effect-marketo/source", "--import", "tsx", bin, ...args))

/** Runs to its end; what it says on both outputs. */
const run = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const child = yield* start(...args)
    const all = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [said, code] = yield* Effect.all(
      [
        Effect.zipWith(all(child.stdout), all(child.stderr), (out, err) => out + err, { concurrent: true }),
        child.exitCode,
      ],
      { concurrency: "unbounded" },
    )
    return { code, said }
  })

const provide = Effect.provide(Layer.merge(NodeContext.layer, FetchHttpClient.layer))

describe("marketo-simulator", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.scopedLive(`prints one line of JSON, serves, and ends with 0 on ${signal}`, () =>
      Effect.gen(function* () {
        const child = yield* start("--port", "0", "--seed", "3", "--activities", "2000", "--latency-ms", "1", "--gzip")
        const line = yield* child.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead)
        const { clientId, clientSecret, url } = JSON.parse(Option.getOrElse(line, () => ""))
        const client = yield* HttpClient.HttpClient
        const text = (path: string) => Effect.flatMap(client.get(`${url}${path}`), (response) => response.text)
        const stored = yield* text("/_simulator/activities")
        assert.strictEqual(stored.split("\n").length, 2_001)
        const token = yield* text(
          `/identity/oauth/token?grant_type=client_credentials&client_id=${clientId}&client_secret=${clientSecret}`,
        )
        assert.strictEqual(JSON.parse(token).expires_in, 3_600)
        const types = yield* client.get(`${url}/rest/v1/activities/types.json`, {
          headers: { authorization: `Bearer ${JSON.parse(token).access_token}`, "accept-encoding": "gzip" },
        })
        assert.strictEqual(types.headers["content-encoding"], "gzip")
        assert.include(yield* text("/_simulator/calls"), '"endpoint":"identity"')
        yield* child.kill(signal)
        assert.strictEqual(yield* child.exitCode, 0)
      }).pipe(provide),
    )
  }

  it.scopedLive("takes faults from a file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      yield* fs.writeFileString(file, '[{ "fault": "http", "status": 503, "match": { "endpoint": "identity" } }]')
      const child = yield* start("--faults", file)
      const line = yield* child.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead)
      const client = yield* HttpClient.HttpClient
      const { url } = JSON.parse(Option.getOrElse(line, () => ""))
      assert.strictEqual((yield* client.get(`${url}/identity/oauth/token`)).status, 503)
      yield* child.kill("SIGTERM")
    }).pipe(provide),
  )

  it.scopedLive("says what is wrong with an option or a fault file, and fails", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const file = (name: string, content: string) =>
        Effect.as(fs.writeFileString(`${folder}/${name}`, content), `${folder}/${name}`)
      const misspelt = yield* file("misspelt.json", '[{ "fault": "cut" }, { "fault": "error", "code": 606, "cal": 3 }]')
      const broken = yield* file("broken.json", '[\n  { "fault": "cut" },\n  { "fault" "cut" }\n]')
      const [missing, fields, syntax, port, unknown] = yield* Effect.all(
        [
          run("--faults", `${folder}/none.json`),
          run("--faults", misspelt),
          run("--faults", broken),
          run("--port", "99999"),
          run("--speed", "9"),
        ],
        { concurrency: 2 },
      )
      for (const { code, said } of [missing, fields, syntax, port, unknown]) assert.strictEqual(code, 1, said)
      assert.include(missing.said, "none.json: it cannot be read (NotFound)")
      assert.include(fields.said, 'fault 2, "cal": is unexpected')
      assert.include(syntax.said, "it is not JSON at line 3")
      assert.include(port.said, "--port must be between 0 and 65535")
      assert.include(unknown.said, "--speed")
    }).pipe(provide),
  )
})
