/**
 * Parameters of a query or a form, read as Spring binds them for Marketo: an empty one is one that is left out, lists
 * come comma-separated, repeated, or both, and there are several words for true.
 */
import * as Either from "effect/Either"
import { missing, wrongType } from "./json.js"
import { type Refusal, refusal } from "./outcome.js"

export const required = (params: URLSearchParams, name: string): Either.Either<string, Refusal> => {
  const value = params.getAll(name).join(",")
  return value === "" ? Either.left(refusal("1002", missing(name))) : Either.right(value)
}

export const list = (params: URLSearchParams, name: string): ReadonlyArray<string> =>
  params
    .getAll(name)
    .flatMap((value) => value.split(","))
    .map((value) => value.trim())
    .filter((value) => value !== "")

const parseInteger = (text: string): Either.Either<number, Refusal> =>
  /^[+-]?\d+$/.test(text) ? Either.right(Number(text)) : Either.left(refusal("1001", wrongType(text, "Integer")))

export const integer = (params: URLSearchParams, name: string): Either.Either<number | undefined, Refusal> => {
  const text = params.get(name)?.trim() ?? ""
  return text === "" ? Either.right(undefined) : parseInteger(text)
}

export const integers = (params: URLSearchParams, name: string): Either.Either<ReadonlyArray<number>, Refusal> =>
  Either.all(list(params, name).map(parseInteger))

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["", false],
  ...["true", "on", "yes", "1"].map((word) => [word, true] as const),
  ...["false", "off", "no", "0"].map((word) => [word, false] as const),
])

export const boolean = (params: URLSearchParams, name: string): Either.Either<boolean, Refusal> => {
  const text = params.get(name)?.trim() ?? ""
  return Either.fromNullable(booleans.get(text.toLowerCase()), () => refusal("1001", wrongType(text, "Boolean")))
}
