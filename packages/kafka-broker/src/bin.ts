/**
 * `npm run broker`: prints how to use it as one line, `KAFKA_BROKERS=127.0.0.1:…`, when the broker answers, and keeps it until
 * it is told to stop, or who started it is gone.
 *
 *     npm run broker
 *     npm run broker -- --version 3.9.2   another version of Apache Kafka
 *     npm run broker -- --nodes 3         a cluster
 *
 * @since 0.1.0
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Broker from "./Broker.js"
import { BrokerError } from "./BrokerError.js"

const usage = (description: string) =>
  new BrokerError({ reason: "Failed", description: `${description}; usage: [--version 4.4.0] [--nodes 1|3]` })

const options: Effect.Effect<Broker.Options, BrokerError> = Effect.try({
  try: () => parseArgs({ options: { version: { type: "string" }, nodes: { type: "string", default: "1" } } }).values,
  catch: (cause) => usage((cause as Error).message),
}).pipe(
  Effect.flatMap(({ nodes, version }) =>
    nodes === "1" || nodes === "3"
      ? Effect.succeed({ version, nodes: nodes === "1" ? (1 as const) : (3 as const) })
      : usage(`${nodes} nodes are not possible`),
  ),
)

/** An npm that is killed tells nobody. */
const orphaned = Effect.suspend(() => {
  const parent = process.ppid
  return Effect.repeat(Effect.void, { until: () => process.ppid !== parent, schedule: Schedule.spaced("500 millis") })
})

options.pipe(
  Effect.flatMap(Broker.make),
  Effect.flatMap(({ brokers }) => Console.log(`KAFKA_BROKERS=${brokers.join(",")}`)),
  Effect.zipRight(Effect.never),
  Effect.raceFirst(orphaned),
  Effect.scoped,
  Effect.tapError((error) => Console.error(error.message)),
  NodeRuntime.runMain({ disableErrorReporting: true }),
)
