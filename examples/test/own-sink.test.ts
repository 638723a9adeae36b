import { HttpClient, HttpClientResponse } from "@effect/platform"
import { CheckpointStore } from "@effect-marketo/core"
import { SinkSuite } from "@effect-marketo/sink-testing"
import { Effect, Layer } from "effect"
import { webhook } from "../src/own-sink.js"

/** A receiver that keeps what it is sent, reached without a socket: the suite interrupts hundreds of requests. */
const receiver = (received: Array<string>) =>
  HttpClient.make((request) =>
    Effect.gen(function* () {
      yield* Effect.yieldNow()
      if (request.body._tag !== "Uint8Array") return yield* Effect.dieMessage("a request without a body")
      received.push(...new TextDecoder().decode(request.body.body).trimEnd().split("\n"))
      yield* Effect.yieldNow()
      return HttpClientResponse.fromWeb(request, new Response(null, { status: 204 }))
    }),
  )

SinkSuite.suite({
  name: "the webhook of own-sink.ts",
  harness: Effect.gen(function* () {
    const received: Array<string> = []
    const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
    const client = Layer.succeed(HttpClient.HttpClient, receiver(received))
    return {
      layer: webhook("http://localhost/activities").pipe(Layer.provide([client, checkpoints])),
      records: Effect.sync(() => received),
    }
  }),
})
