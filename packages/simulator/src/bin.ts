#!/usr/bin/env node
/**
 * The command `marketo-simulator`: prints one line of JSON, `{"url":…,"clientId":…,"clientSecret":…}`, and serves until
 * it is told to stop.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { readConfig } from "./internal/configFile.js"
import * as Simulator from "./Simulator.js"

const whole = (name: string, most: number) =>
  Options.integer(name).pipe(
    Options.filterMap(
      (n) => (n >= 0 && n <= most ? Option.some(n) : Option.none()),
      `--${name} must be between 0 and ${most}`,
    ),
  )

const options = {
  port: whole("port", 65_535).pipe(
    Options.withDescription("port on localhost; 0, the default, is any free one"),
    Options.withDefault(0),
  ),
  config: Options.file("config", { exists: "either" }).pipe(
    Options.withDescription("JSON file with any of the options of Simulator.layer; the flags below come before it"),
    Options.optional,
  ),
  seed: whole("seed", 2 ** 31).pipe(
    Options.withDescription("everything generated follows from it; default 7"),
    Options.optional,
  ),
  activities: whole("activities", 10_000_000).pipe(
    Options.withDescription("how many activities are generated; default 1000"),
    Options.optional,
  ),
  latency: whole("latency-ms", 600_000).pipe(
    Options.withDescription("how long each call takes, in milliseconds; default 0"),
    Options.optional,
  ),
  gzip: Options.boolean("gzip").pipe(
    Options.withDescription("compress bodies of 1,024 bytes and more for callers that ask for it"),
  ),
}

const announce = Effect.flatMap(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
  Console.log(JSON.stringify({ url, clientId, clientSecret })),
)

const simulate = Command.make("marketo-simulator", options, ({ config, gzip, port, ...flags }) =>
  Effect.gen(function* () {
    const file: Simulator.Options = Option.isSome(config) ? yield* readConfig(config.value) : {}
    const activities = Option.getOrElse(flags.activities, () => file.data?.activities)
    const server = Simulator.layerServer({
      ...file,
      port,
      seed: Option.getOrElse(flags.seed, () => file.seed),
      latency: Option.getOrElse(flags.latency, () => file.latency),
      gzip: gzip || (file.gzip ?? false),
      data: { ...file.data, activities },
    })
    return yield* Layer.launch(Layer.provide(Layer.effectDiscard(announce), server))
  }),
).pipe(Command.withDescription("A Marketo for tests: the Activities REST API on localhost, with generated data"))

/** An option that breaks a rule is a defect of whoever wrote it: the words are enough. */
const wrongOption = (cause: Cause.Cause<unknown>): string | undefined => {
  const defect = Cause.squash(cause)
  return defect instanceof RangeError ? defect.message : undefined
}

const printed = (error: { readonly message: string }) => Console.error(error.message)

Command.run(simulate, { name: "marketo-simulator", version: "0.1.0" })(process.argv).pipe(
  // mistakes in the arguments are printed already
  Effect.tapErrorTag("ConfigFileError", printed),
  Effect.tapErrorTag("ServeError", printed),
  Effect.tapDefect((cause) => Console.error(wrongOption(cause) ?? Cause.pretty(cause))),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ disableErrorReporting: true }),
)
