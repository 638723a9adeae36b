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

  it.scopedLive("takes its options from a file, and a flag comes before it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      const config = {
        seed: 11,
        clients: [{ clientId: "mine", clientSecret: "hush" }],
        latency: "1 millis",
        data: { activities: 5, leads: [{ id: 1001 }], leadFields: [{ name: "boats" }] },
        limits: { calls: 7 },
        quirks: { emptyResult: "null" },
        faults: [{ fault: "http", status: 503, match: { endpoint: "identity" } }],
      }
      yield* fs.writeFileString(file, JSON.stringify(config))
      const child = yield* start("--config", file, "--activities", "9")
      const line = yield* child.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead)
      const client = yield* HttpClient.HttpClient
      const { clientId, clientSecret, url } = JSON.parse(Option.getOrElse(line, () => ""))
      assert.deepStrictEqual([clientId, clientSecret], ["mine", "hush"])
      assert.strictEqual((yield* client.get(`${url}/identity/oauth/token`)).status, 503)
      const stored = yield* Effect.flatMap(client.get(`${url}/_simulator/activities`), ({ text }) => text)
      const leads = stored.split("\n").flatMap((text) => (text === "" ? [] : [JSON.parse(text).leadId]))
      assert.deepStrictEqual(
        leads,
        Array.from({ length: 9 }, () => 1001),
      )
      yield* child.kill("SIGTERM")
    }).pipe(provide),
  )

  it.scopedLive("says what is wrong with a flag or a file, and fails", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const file = (name: string, content: string) =>
        Effect.as(fs.writeFileString(`${folder}/${name}`, content), `${folder}/${name}`)
      const misspelt = yield* file(
        "misspelt.json",
        '{ "limits": { "cals": 3 }, "faults": [{ "fault": "cut", "cal": 3 }] }',
      )
      const broken = yield* file("broken.json", '{\n  "seed": 7\n  "data": {}\n}')
      const impossible = yield* file("impossible.json", '{ "data": { "to": "2020-01-01" } }')
      const [missing, fields, syntax, rule, port, unknown] = yield* Effect.all(
        [
          run("--config", `${folder}/none.json`),
          run("--config", misspelt),
          run("--config", broken),
          run("--config", impossible),
          run("--port", "99999"),
          run("--speed", "9"),
        ],
        { concurrency: 2 },
      )
      for (const { code, said } of [missing, fields, syntax, rule, port, unknown]) assert.strictEqual(code, 1, said)
      assert.include(missing.said, "none.json: it cannot be read (NotFound)")
      assert.include(fields.said, '"limits.cals": is unexpected, expected: "calls" | "window"')
      assert.include(fields.said, '"faults 1.cal": is unexpected')
      assert.include(syntax.said, "it is not JSON at line 3")
      assert.include(rule.said, '"data.to" must be later than "data.from"')
      assert.notInclude(rule.said, "    at ")
      assert.include(port.said, "--port must be between 0 and 65535")
      assert.include(unknown.said, "--speed")
    }).pipe(provide),
  )
})
