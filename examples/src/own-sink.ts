/**
 * A sink of your own in ten lines: each batch is one POST to a webhook, at least once. `test/own-sink.test.ts` shows that it
 * keeps what sinks promise.
 *
 *     node --conditions=@effect-marketo/source --import tsx examples/src/own-sink.ts
 *
 * It reads a simulated instance, or a real one as `connection.ts` says, posts to a server of its own, and prints:
 *
 *     received 300 activities
 *     received 300 activities
 *     received 300 activities
 *     received 89 activities
 */
import { createServer } from "node:http"
import {
  HttpClient,
  HttpClientRequest,
  HttpClientResponse,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { ActivityRecord, ActivitySink, CheckpointStore, Feed, Pipeline } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Main } from "@effect-marketo/sink-stdout"
import { Console, Effect, Layer, Schedule } from "effect"
import * as Connection from "./connection.js"

export const webhook = (url: string) =>
  ActivitySink.layerFromWrite({
    name: "webhook",
    write: (records) =>
      HttpClientRequest.post(url).pipe(
        HttpClientRequest.bodyText(ActivityRecord.toNdjson(records), "application/x-ndjson"),
        HttpClient.execute,
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.flatMap((response) => response.text), // read to its end, the connection serves the next batch
        Effect.timeout("30 seconds"),
        Effect.retry({ schedule: Schedule.exponential("500 millis"), times: 5 }),
      ),
  })

const receiver = HttpRouter.empty.pipe(
  HttpRouter.post(
    "/activities",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const body = yield* request.text
      yield* Console.log(`received ${body.split("\n").length - 1} activities`)
      return HttpServerResponse.empty()
    }),
  ),
)

const program = HttpServer.addressFormattedWith((address) =>
  Pipeline.run({
    name: "own-sink",
    feed: Feed.leadActivities({ activityTypeIds: [1, 2] }),
    since: Connection.since,
  }).pipe(
    Effect.provide(
      // with `CheckpointStore.layerFile`, the next run would go on where this one ended
      webhook(`${address}/activities`).pipe(Layer.provide([NodeHttp.layer, CheckpointStore.layerMemory])),
    ),
  ),
)

if (process.argv[1] === import.meta.filename) {
  program.pipe(
    Effect.provide([
      Connection.layer,
      Layer.provideMerge(HttpServer.serve(receiver), NodeHttpServer.layer(createServer, { port: 0 })),
    ]),
    Main.runMain,
  )
}
