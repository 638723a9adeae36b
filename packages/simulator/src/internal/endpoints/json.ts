/** Members of JSON that callers send, with the vendor's refusals. */
import * as Either from "effect/Either"
import type { Settings } from "../settings.js"
import { type Refusal, refusal } from "./outcome.js"

export type Json = Readonly<Record<string, unknown>>

/** Anything but an object has none. */
export const members = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {})

/** Texts of 1001, 1002 and 1006, by Adobe's table of error codes. */
export const wrongType = (value: unknown, type: string): string =>
  `Invalid value '${typeof value === "string" ? value : JSON.stringify(value)}'. Required of type '${type}'`

export const missing = (name: string): string => `Missing value for the required parameter '${name}'`

export const fieldNotFound = (name: string): string => `Field '${name}' not found`

export const optionalText = (
  codes: Settings["quirks"]["codes"],
  object: Json,
  name: string,
): Either.Either<string | undefined, Refusal> => {
  const value = object[name]
  return value === undefined || typeof value === "string"
    ? Either.right(value)
    : Either.left(refusal(codes.value, wrongType(value, "String")))
}

export const requiredText = (
  codes: Settings["quirks"]["codes"],
  object: Json,
  name: string,
): Either.Either<string, Refusal> =>
  Either.flatMap(optionalText(codes, object, name), (value) =>
    value === undefined || value === "" ? Either.left(refusal(codes.missing, missing(name))) : Either.right(value),
  )
