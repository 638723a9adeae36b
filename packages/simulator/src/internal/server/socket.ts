/** The simulated Marketo behind a real socket. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { UnknownException } from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { answerTo } from "./answerTo.js"
import { controlPath } from "./control.js"
import { type Answer, maxBodyBytes } from "./http.js"
import type { Instance } from "./instance.js"

const host = "localhost"

/** Of a body that is longer than Marketo takes, what is enough to know that; of one for the simulator itself, all. */
const readBody = async (request: IncomingMessage): Promise<Uint8Array> => {
  const limit = request.url?.startsWith(controlPath) === true ? Number.POSITIVE_INFINITY : maxBodyBytes
  const chunks: Array<Uint8Array> = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    if (length <= limit) chunks.push(chunk)
    length += chunk.length
  }
  return Buffer.concat(chunks)
}

const destroy = (response: ServerResponse) => Effect.sync(() => response.destroy())

const write = async (response: ServerResponse, { body, cut, headers, status }: Answer): Promise<void> => {
  if (cut === "before") {
    response.destroy()
    return
  }
  response.writeHead(status, headers)
  if (cut !== undefined) {
    response.flushHeaders()
    response.write((body as Uint8Array).subarray(0, cut), () => response.destroy())
    return
  }
  if (body instanceof Uint8Array) response.end(body)
  else await pipeline(Readable.from(body), response)
}

const respond = (
  instance: Instance,
  request: IncomingMessage,
  response: ServerResponse,
): Effect.Effect<void, UnknownException> =>
  Effect.gen(function* () {
    const body = yield* Effect.tryPromise(() => readBody(request))
    const now = yield* Clock.currentTimeMillis
    const { method = "GET", url: target = "/" } = request
    const headers = request.headers as Readonly<Record<string, string | undefined>>
    const answer = answerTo(instance, { method, target, headers, body }, now)
    response.once("close", answer.done)
    if (answer.delayMillis > 0) yield* Effect.sleep(answer.delayMillis)
    yield* Effect.tryPromise(() => write(response, answer))
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void)) // ends idle connections as well
  }).pipe(
    Effect.interruptible,
    Effect.timeoutOption("1 second"), // for the answers on their way
    Effect.zipRight(Effect.sync(() => server.closeAllConnections())),
  )

/** Serves until the scope closes; gives the port. */
export const serve = (instance: Instance, port: number): Effect.Effect<number, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* FiberSet.makeRuntime<never>()
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 60_000 }, (request, response) => {
          // it fails when the caller has gone; whatever else happens, nobody is left waiting
          run(Effect.ignoreLogged(respond(instance, request, response)).pipe(Effect.onError(() => destroy(response))))
        }),
      ),
      close,
    )
    yield* Effect.async<void, Error>((resume) => {
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen({ host, port }, () => resume(Effect.void))
    })
    return (server.address() as AddressInfo).port
  })
