/**
 * A source as a process of its own, to be killed: topic, dead letters, brokers and the simulator's address come as arguments. It
 * writes a line for each batch that it has committed.
 */
import { writeSync } from "node:fs"
import { Marketo } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { KafkajsClient } from "@effect-marketo/kafka"
import { CustomActivitySource } from "@effect-marketo/source-kafka"
import { Effect, Layer, Logger, Redacted, Stream } from "effect"
import { member } from "./kit.js"

const [, , topic = "", dead = "", brokers = "", url = "", clientId = "", clientSecret = "", onAssign, lanes] =
  process.argv

const marketo = Marketo.layer({
  baseUrl: url,
  clientId: Redacted.make(clientId),
  clientSecret: Redacted.make(clientSecret),
  instance: "simulator",
  limits: { calls: 10_000, concurrent: 10 },
})

await CustomActivitySource.stream({
  ...member,
  topic,
  groupId: topic,
  deadLetterTopic: dead,
  onAssign: onAssign === "write" ? "write" : "readBack",
  concurrency: Number(lanes),
}).pipe(
  Stream.runForEach((progress) => Effect.sync(() => writeSync(1, `${JSON.stringify(progress)}\n`))),
  Effect.provide(
    Layer.merge(Layer.provide(marketo, NodeHttp.layer), KafkajsClient.layer({ brokers: brokers.split(",") })).pipe(
      Layer.provideMerge(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
    ),
  ),
  Effect.runPromise,
)
