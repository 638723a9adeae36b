/**
 * Ours: every record checked, in batches over five lanes, committed when it is settled.
 *
 *     node source.js BROKERS TOPIC URL RECORDS [CLIENT_ID CLIENT_SECRET]
 */
import { Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { KafkajsClient } from "@effect-marketo/kafka"
import { CustomActivitySource, Progress } from "@effect-marketo/source-kafka"
import { Deferred, Effect, Layer, Logger, LogLevel, ManagedRuntime, Redacted, Stream } from "effect"
import { measure } from "./measured.js"

const [brokers = "", topic = "", url = "", count = "", clientId = "client", clientSecret = "secret"] =
  process.argv.slice(2)

const live = Layer.mergeAll(
  Marketo.layer({
    baseUrl: url,
    clientId: Redacted.make(clientId),
    clientSecret: Redacted.make(clientSecret),
    instance: "bench",
    limits: { calls: 1_000_000, concurrent: 10 },
  }).pipe(Layer.provide(NodeHttp.layer)),
  KafkajsClient.layer({ brokers: brokers.split(",") }),
)

const source = CustomActivitySource.stream({
  topic,
  groupId: `ours-${process.hrtime.bigint()}`,
  deadLetterTopic: `${topic}-dead`,
  batch: { maxWait: "50 millis" },
})

/** Ends when the last record is committed; leaving the group is not waited for, as it is not in the bare loop. */
const added = Effect.gen(function* () {
  const done = yield* Deferred.make<number>()
  let sum = Progress.empty
  yield* source.pipe(
    Stream.runForEach((progress) => {
      sum = Progress.add(sum, progress)
      return sum.records >= Number(count) ? Deferred.succeed(done, sum.added) : Effect.void
    }),
    Effect.forkDaemon,
  )
  return yield* Deferred.await(done)
})

// standard output is for the measures
const runtime = ManagedRuntime.make(Layer.provide(live, Logger.minimumLogLevel(LogLevel.None)))

await measure(() => runtime.runPromise(added))
process.exit()
