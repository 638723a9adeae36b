import * as Effect from "effect/Effect"
import {
  type CallError,
  MarketoLimited,
  MarketoRejected,
  MarketoUnauthorized,
  MarketoUnavailable,
} from "../MarketoError.js"
import { across } from "./handover.js"

const wordless = (error: CallError): CallError => {
  switch (error._tag) {
    case "MarketoRejected":
      return new MarketoRejected({ ...error, messages: [] })
    case "MarketoLimited":
      return new MarketoLimited({ ...error, messages: [] })
    case "MarketoUnauthorized":
      return new MarketoUnauthorized({ ...error, messages: [] })
    case "MarketoUnavailable":
      return new MarketoUnavailable({ ...error, messages: [] })
    default:
      return error
  }
}

/** A span that ends with the error, but without Marketo's own words: traces go to places where people's names must not. */
export const span =
  (name: string, attributes: Readonly<Record<string, unknown>>) =>
  <A, R>(self: Effect.Effect<A, CallError, R>): Effect.Effect<A, CallError, R> =>
    Effect.suspend(() => {
      let failure: CallError | undefined
      return self.pipe(
        Effect.mapError((error) => {
          failure = error
          return wordless(error)
        }),
        across(Effect.withSpan(name, { captureStackTrace: false, attributes })),
        Effect.mapError((error) => failure ?? error),
      )
    })
