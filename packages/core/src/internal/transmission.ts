import * as Context from "effect/Context"
import * as Data from "effect/Data"

/** 64 MiB: Marketo's pages have a few MB at most. */
export const MAX_RESPONSE_BYTES = 64 * 1024 * 1024

/**
 * What a call and its HTTP client tell each other about one request, in the context of `execute`. It is no part of the
 * client's error, because a call that reaches its time limit interrupts the client and gets no error.
 */
export interface Service {
  /** Limit on the body, decoded. */
  readonly maxResponseBytes: number
  /**
   * `NotSent`: no connection yet, or TLS is not agreed on. `Sent`: handed over to a connected socket. `Unreported`: the client
   * does not say; only `NodeHttp` does. A client that does keeps to `maxResponseBytes` too, and has the body in memory.
   */
  phase: "Unreported" | "NotSent" | "Sent"
}

export class Transmission extends Context.Tag("@effect-marketo/core/internal/Transmission")<Transmission, Service>() {}

/** The body, decoded, is larger than allowed; the cause of a `ResponseError`. */
export class BodyTooLarge extends Data.TaggedError("BodyTooLarge") {}
