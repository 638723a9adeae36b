import { FetchHttpClient, type HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Activities, Feed, Marketo } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import { Cause, Effect, Exit, Layer, Logger, LogLevel, Metric, Redacted, Stream, Tracer } from "effect"
import * as NodeHttp from "../src/NodeHttp.js"

/** Everything a program lets out: log lines in every format, spans with attributes and events, the error. */
const collecting = <A, E>(program: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const loggers = [Logger.stringLogger, Logger.logfmtLogger, Logger.jsonLogger].map((logger) =>
      Logger.add(Logger.map(logger, (line) => out.push(line))),
    )
    const native = yield* Effect.tracer
    const tracer = Tracer.make({
      span: (...args) => {
        const span = native.span(...args)
        out.push(span.name)
        const attribute = span.attribute.bind(span)
        span.attribute = (key, value) => {
          out.push(`${key}=${JSON.stringify(value)}`)
          attribute(key, value)
        }
        const event = span.event.bind(span)
        span.event = (name, start, attributes) => {
          out.push(`${name} ${JSON.stringify(attributes)}`)
          event(name, start, attributes)
        }
        return span
      },
      context: (f) => f(),
    })
    const exit = yield* Effect.exit(program).pipe(
      Effect.tap((result) => (Exit.isFailure(result) ? Effect.logError("failed", result.cause) : Effect.void)),
      Effect.withSpan("test"),
      Effect.withTracer(tracer),
      Effect.provide(Layer.mergeAll(Logger.remove(Logger.defaultLogger), ...loggers)),
      Logger.withMinimumLogLevel(LogLevel.All),
    )
    if (Exit.isFailure(exit)) {
      out.push(Cause.pretty(exit.cause), JSON.stringify(exit.cause), String(exit.cause))
      for (const error of Cause.failures(exit.cause)) out.push(String(error), JSON.stringify(error))
    }
    const metrics = yield* Metric.snapshot
    out.push(...metrics.map(({ metricKey }) => `${metricKey.name} ${JSON.stringify(metricKey.tags)}`))
    return { exit, text: out.join("\n") }
  })

const read = (url: string, clientId: string, clientSecret: string) =>
  Effect.flatMap(Activities.Activities, (activities) =>
    activities
      .stream(Feed.leadActivities({ activityTypeIds: [1, 2], leadIds: ["100007777"] }), {
        since: "2026-01-01T00:00:00Z",
      })
      .pipe(Stream.runDrain),
  ).pipe(
    Effect.provide(
      Marketo.layer({
        baseUrl: url,
        clientId: Redacted.make(clientId),
        clientSecret: Redacted.make(clientSecret),
        policies: {
          identity: { retries: 0 },
          leadActivities: { retries: 0 },
          pagingToken: { retries: 0 },
        },
      }),
    ),
  )

const failures: ReadonlyArray<readonly [string, ReadonlyArray<Parameters<Simulator.Service["fault"]>[0]>]> = [
  ["identity is cut", [{ fault: "cut", match: { endpoint: "identity" } }]],
  ["identity answers 502", [{ fault: "http", status: 502, match: { endpoint: "identity" } }]],
  ["identity refuses", [{ fault: "unauthorized", match: { endpoint: "identity" } }]],
  ["identity answers nothing", [{ fault: "empty", match: { endpoint: "identity" } }]],
  ["a page is cut", [{ fault: "cut", match: { endpoint: "leadActivities" } }]],
  ["a page is cut in its body", [{ fault: "cutBody", match: { endpoint: "leadActivities" } }]],
  ["a page is refused", [{ fault: "error", code: 610, match: { endpoint: "leadActivities" } }]],
  ["the token is refused", [{ fault: "refusedToken", match: { endpoint: "leadActivities" } }]],
  ["a page is an error page", [{ fault: "http", status: 503, match: { endpoint: "leadActivities" } }]],
  [
    "an element cannot be decoded",
    [
      {
        fault: "lateActivities",
        match: { endpoint: "leadActivities" },
        activities: [
          { activityTypeId: 1, leadId: "100007777", text: '{"leadId":"jane@example.com","activityTypeId":1}' },
        ],
      },
    ],
  ],
]

describe("no secret and no personal value in any span, log line, metric or error", () => {
  for (const [transport, http] of [
    ["fetch", FetchHttpClient.layer],
    ["undici", NodeHttp.layer],
  ] as ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]>) {
    it.scopedLive(`${transport}: when it works, and when it fails in ten ways (real sockets)`, () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.Simulator
        const secrets = [
          simulator.clientSecret,
          simulator.clientId,
          encodeURIComponent(simulator.clientSecret),
          "100007777",
          "jane@example.com",
        ]
        const program = Effect.provide(read(simulator.url, simulator.clientId, simulator.clientSecret), http)
        const clean = (what: string, text: string) => {
          for (const secret of secrets) assert.notInclude(text, secret, what)
          assert.notMatch(
            text,
            /Bearer|access_token|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:/,
            what,
          )
        }
        const works = yield* collecting(program)
        assert.isTrue(Exit.isSuccess(works.exit))
        assert.include(works.text, "MarketoClient.call")
        clean("works", works.text)
        for (const [what, faults] of failures) {
          for (const fault of faults) yield* simulator.fault(fault)
          const { exit, text } = yield* collecting(program)
          assert.isTrue(Exit.isFailure(exit), what)
          assert.strictEqual((yield* simulator.calls).at(-1)?.fault, faults.at(-1)?.fault, what)
          clean(what, text)
        }
      }).pipe(
        Effect.provide(
          Simulator.layerServer({ clients: [{ clientId: "simulated-client", clientSecret: "hush & hush+7" }] }),
        ),
      ),
    )
  }
})
