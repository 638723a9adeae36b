/** An `HttpClient` that is answered in the calling fiber. */
import * as HttpClient from "@effect/platform/HttpClient"
import { RequestError } from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { answerTo } from "./answerTo.js"
import { type Answer, collect } from "./http.js"
import type { Instance } from "./instance.js"

/** With the code that undici gives, which clients go by. */
const transportError = (request: HttpClientRequest.HttpClientRequest, code: string, message: string) =>
  new RequestError({ request, reason: "Transport", cause: Object.assign(new Error(message), { code }) })

const cutShort = "other side closed"

const bodyOf = (request: HttpClientRequest.HttpClientRequest): Effect.Effect<Uint8Array, RequestError> => {
  switch (request.body._tag) {
    case "Empty":
      return Effect.succeed(new Uint8Array())
    case "Uint8Array":
      return Effect.succeed(request.body.body)
    case "Stream":
      return Stream.runCollect(request.body.stream).pipe(
        Effect.map((chunks) => Buffer.concat(Array.from(chunks))),
        Effect.mapError((cause) => new RequestError({ request, reason: "Encode", cause })),
      )
    default:
      return Effect.fail(
        new RequestError({
          request,
          reason: "Encode",
          description: `The simulator takes no ${request.body._tag} body`,
        }),
      )
  }
}

const toWeb = (answer: Answer): Response => {
  const { body, cut, headers, status } = answer
  const bytes = body instanceof Uint8Array ? body : collect(body)
  if (typeof cut !== "number") return new Response(bytes as Uint8Array<ArrayBuffer>, { status, headers })
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      if (cut > 0) controller.enqueue(bytes.subarray(0, cut))
    },
    pull(controller) {
      controller.error(new Error(cutShort))
    },
  })
  return new Response(stream, { status, headers })
}

export const makeClient = (instance: Instance, baseUrl: string): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.gen(function* () {
      if (url.origin !== baseUrl)
        return yield* transportError(request, "ENOTFOUND", `getaddrinfo ENOTFOUND ${url.hostname}`)
      const body = yield* bodyOf(request)
      const now = yield* Clock.currentTimeMillis
      const target = `${url.pathname}${url.search}`
      const answer = answerTo(instance, { method: request.method, target, headers: request.headers, body }, now)
      if (answer.delayMillis > 0)
        yield* Effect.sleep(answer.delayMillis).pipe(Effect.onInterrupt(() => Effect.sync(answer.done)))
      answer.done()
      if (answer.cut === "before") return yield* transportError(request, "UND_ERR_SOCKET", cutShort)
      return HttpClientResponse.fromWeb(request, toWeb(answer))
    }),
  )
