import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Marketo } from "@effect-marketo/core"
import { Effect, Layer, Redacted, Ref } from "effect"

/**
 * An answer written by hand; a number is a status with an HTML page, an Error a connection that breaks, a RequestError a
 * request that fails as it says.
 */
export type Answer = string | number | Response | HttpClientError.RequestError | Error

export type Reply = Answer | ((sent: Sent) => Answer | Effect.Effect<Answer>)

export const url = "https://123-abc-456.mktorest.com"
const token = (n: number) =>
  `{"access_token":"secret-token-${n}:ab","token_type":"bearer","expires_in":3599,"scope":"api@example.com"}`

/** What was sent, as it would stand on the wire. */
export interface Sent {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

const bodyOf = (request: HttpClientRequest.HttpClientRequest) =>
  request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : undefined

/**
 * Answers each call with the next of `replies`, the last one again and again; identity with a new token each time, or as
 * given.
 */
export const stub = (replies: ReadonlyArray<Reply>, marketo: Partial<Marketo.Options> = {}, identity?: Answer) =>
  Effect.gen(function* () {
    const sent = yield* Ref.make<ReadonlyArray<Sent>>([])
    let next = 0
    let tokens = 0
    const http = HttpClient.make((request, address) =>
      Effect.gen(function* () {
        const call = {
          method: request.method,
          url: address.toString(),
          headers: request.headers,
          body: bodyOf(request),
        }
        yield* Ref.update(sent, (all) => [...all, call])
        const isIdentity = address.pathname === "/identity/oauth/token"
        const chosen = isIdentity
          ? (identity ?? token(++tokens))
          : (replies[Math.min(next++, replies.length - 1)] ?? 500)
        const answer = typeof chosen === "function" ? chosen(call) : chosen
        const reply = Effect.isEffect(answer) ? yield* answer : answer
        if (reply instanceof HttpClientError.RequestError) return yield* reply
        if (reply instanceof Error) {
          return yield* new HttpClientError.RequestError({ request, reason: "Transport", cause: reply })
        }
        const response =
          reply instanceof Response
            ? Object.defineProperty(reply.clone(), "redirected", { value: reply.redirected })
            : typeof reply === "number"
              ? new Response(`<html><body>${reply}</body></html>`, { status: reply })
              : new Response(reply, { headers: { "content-type": "application/json;charset=UTF-8" } })
        return HttpClientResponse.fromWeb(request, response)
      }),
    )
    const layer = Marketo.layer({
      baseUrl: url,
      clientId: Redacted.make("id"),
      clientSecret: Redacted.make("hush & hush"),
      ...marketo,
    }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, http)))
    return {
      layer,
      sent: Ref.get(sent),
      calls: Effect.map(Ref.get(sent), (all) => all.filter((s) => !s.url.includes("/identity/"))),
    }
  })
