/**
 * The whole way, with everything going wrong on it. A simulated Marketo on a socket answers with expired tokens, a rate
 * limit, HTML error pages, cut connections, empty and short pages; the pipeline writes `activities.ndjson`; then the file
 * is compared with what the simulator stores, text by text.
 *
 *     npm run demo -- --out demo-folder --activities 20000 --seed 7
 *
 * Kill it half way and run it again: it goes on where the file ends, and still nothing is missing or repeated.
 * Progress goes to stderr; at the end it prints a table such as:
 *
 *     calls made                                                    135
 *       repeated after 602, access token expired                      2
 *       repeated after 502, bad gateway, probably a time-out          4
 *       repeated after 601, access token invalid                      2
 *       repeated after 606, rate limit of the instance exceeded       1
 *       repeated after UND_ERR_SOCKET, connection broken              4
 *     activities stored by the simulator                         20,000
 *     lines in the file                                          20,000
 *     missing                                                         0
 *     repeated                                                        0
 */
import { Command, Options, ValidationError } from "@effect/cli"
import { FileSystem, HttpClient, HttpClientResponse, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Activities, Feed, Marketo, Pipeline } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Simulator } from "@effect-marketo/simulator"
import { NdjsonSink } from "@effect-marketo/sink-ndjson"
import { Main } from "@effect-marketo/sink-stdout"
import { Console, Duration, Effect, FiberRef, HashMap, HashSet, Layer, Logger, Option, Redacted, Stream } from "effect"
import { account } from "./demo/account.js"
import { faults } from "./demo/faults.js"
import * as Progress from "./demo/progress.js"
import { report } from "./demo/report.js"

interface Settings {
  readonly activities: number
  readonly seed: number
  readonly folder: string
}

/** Marketo counts its 100 calls in 20 s. With 1 s on both sides, the pause after a refused call is no long wait. */
const window = Duration.seconds(1)

const SimulatorLive = ({ activities, seed }: Settings) =>
  Simulator.layerServer({ data: { activities }, seed, faults, latency: "50 millis", limits: { window } })

/** Each start has another port, so the instance has a name of its own, made of what decides which activities there are. */
const MarketoLive = ({ activities, seed }: Settings) =>
  Layer.unwrapEffect(
    Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
      Marketo.layer({
        baseUrl: url,
        clientId: Redacted.make(clientId),
        clientSecret: Redacted.make(clientSecret),
        instance: `a simulator with --activities ${activities} --seed ${seed}`,
        limits: { calls: 100, window },
      }),
    ),
  )

/** Every activity of every type, until caught up: one element a durable batch. */
const pipeline = Stream.unwrap(
  Effect.gen(function* () {
    const activities = yield* Activities.Activities
    const types = yield* activities.types
    return Pipeline.stream({
      name: "demo",
      feed: Feed.leadActivities({ activityTypeIds: types.map(({ id }) => id) }),
      since: "2026-01-01T00:00:00Z",
    })
  }),
)

const lines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.splitLines(Stream.decodeText(bytes))

/** A log entry, such as a retry with its cause, is one line beside the progress. */
const logsTo = (progress: Progress.Progress) =>
  Effect.locally(
    FiberRef.currentLoggers,
    HashSet.make(
      Logger.make(({ annotations, message }) => {
        const details = HashMap.toEntries(annotations).map(([name, value]) => `${name}: ${value}`)
        progress.print([message, ...details].join(", "))
      }),
    ),
  )

/** Reads on from where the file ends, and compares. */
const readAndCompare = (settings: Settings, file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const simulator = yield* Simulator.Simulator
    const written = lines(fs.stream(file))
    const before = yield* Stream.runCount(written)
    yield* Console.error(`${before === 0 ? "Writing" : `Going on after ${before} activities in`} ${file}`)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(settings.activities)
        yield* pipeline.pipe(
          Stream.runFoldEffect(before, (sum, { records }) =>
            Effect.sync(() => {
              progress.show(sum + records)
              return sum + records
            }),
          ),
          logsTo(progress),
        )
      }),
    )
    const stored = lines(HttpClientResponse.stream(HttpClient.get(`${simulator.url}/_simulator/activities`)))
    const result = yield* account(stored, written)
    yield* Console.log(yield* report(simulator, result))
    if (result.missing + result.repeated > 0) yield* failed
  })

const failed = Effect.sync(() => {
  process.exitCode = 1
})

const demo = (settings: Settings) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const file = path.join(settings.folder, "activities.ndjson")
    yield* fs.makeDirectory(settings.folder, { recursive: true })
    yield* readAndCompare(settings, file).pipe(
      Effect.provide(MarketoLive(settings)),
      Effect.provide([SimulatorLive(settings), NdjsonSink.layer({ path: file }), NodeHttp.layer]),
    )
  }).pipe(
    Effect.onInterrupt(() =>
      Console.error(
        `Stopped. To go on: npm run demo -- --out ${settings.folder} --activities ${settings.activities} --seed ${settings.seed}`,
      ),
    ),
  )

const whole = (name: string, least: number, most: number) =>
  Options.integer(name).pipe(
    Options.filterMap(
      (n) => (n >= least && n <= most ? Option.some(n) : Option.none()),
      `--${name} must be between ${least} and ${most}`,
    ),
  )

const options = {
  out: Options.directory("out").pipe(
    Options.withDescription("folder of activities.ndjson, made when missing; default: a new one for temporary files"),
    Options.optional,
  ),
  activities: whole("activities", 1, 2_000_000).pipe(
    Options.withDescription("how many the simulator stores; default: 20000"),
    Options.withDefault(20_000),
  ),
  seed: whole("seed", 0, 2 ** 31).pipe(
    Options.withDescription("what they are follows from it; default: 7"),
    Options.withDefault(7),
  ),
}

const command = Command.make("demo", options, ({ activities, out, seed }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = Option.isSome(out) ? out.value : yield* fs.makeTempDirectory({ prefix: "effect-marketo-demo-" })
    yield* demo({ activities, seed, folder })
  }),
).pipe(Command.withDescription("Reads a simulated Marketo through faults of every kind into an NDJSON file"))

Command.run(command, { name: "effect-marketo demo", version: "0.1.0" })(process.argv).pipe(
  Effect.catchIf(ValidationError.isValidationError, () => failed), // it is printed already
  Effect.provide(NodeContext.layer),
  Main.runMain,
)
