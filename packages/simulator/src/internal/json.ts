/** Members of JSON that callers send, with the vendor's refusals. */
import * as Either from "effect/Either"
import { type Refusal, refusal } from "./outcome.js"
import type { Settings } from "./settings.js"

export type Json = Readonly<Record<string, unknown>>

/** Anything but an object has none. */
export const members = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {})

export const wrongType = (value: unknown, type: string, name: string): string =>
  `Invalid value '${typeof value === "string" ? value : JSON.stringify(value)}'. Required of type '${type}' for '${name}'`

export const missing = (name: string): string => `Missing required parameter '${name}'`

export const optionalText = (
  codes: Settings["quirks"]["codes"],
  object: Json,
  name: string,
): Either.Either<string | undefined, Refusal> => {
  const value = object[name]
  return value === undefined || typeof value === "string"
    ? Either.right(value)
    : Either.left(refusal(codes.value, wrongType(value, "String", name)))
}

export const requiredText = (
  codes: Settings["quirks"]["codes"],
  object: Json,
  name: string,
): Either.Either<string, Refusal> =>
  Either.flatMap(optionalText(codes, object, name), (value) =>
    value === undefined || value === "" ? Either.left(refusal(codes.missing, missing(name))) : Either.right(value),
  )
