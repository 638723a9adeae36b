/**
 * The body of an answer as JSON. Marketo may put a byte that is not UTF-8, or a raw tab, into a field value. That makes one
 * element of `result` unreadable, and must not make the whole page so: then the elements are cut out and parsed one by one.
 */
import * as Either from "effect/Either"
import * as jsonText from "./jsonText.js"

export type Json = Readonly<Record<string, unknown>>

export interface Body {
  /** In `result`, an element that is not valid JSON in UTF-8 is `null`. */
  readonly json: Json
  /** What is wrong with such elements, by their index in `result`. */
  readonly unreadable: ReadonlyMap<number, string>
}

/** `Cut`: it ends early, or is no JSON object, such as an HTML page. `Broken`: whole, but not valid JSON. */
export type Unreadable = { readonly _tag: "Cut" } | { readonly _tag: "Broken"; readonly problem: string }

const strict = new TextDecoder("utf-8", { fatal: true })
const encoder = new TextEncoder()

/** Where `JSON.parse` stopped, in characters; V8 says so at the end of most of its messages. */
const positionIn = (error: unknown): number | undefined => {
  const found = /at position (\d+)/.exec(error instanceof Error ? error.message : "")
  return found === null ? undefined : Number(found[1])
}

const notJson = (text: string, error: unknown): string => {
  const position = positionIn(error)
  return position === undefined
    ? "(not valid JSON)"
    : `(not valid JSON at byte ${encoder.encode(text.slice(0, position)).length})`
}

/** A parsed value, or what is wrong with it. Never quotes it. */
const parseValue = (bytes: Uint8Array): Either.Either<unknown, string> => {
  let text: string
  try {
    text = strict.decode(bytes)
  } catch {
    return Either.left("(not valid UTF-8)")
  }
  try {
    return Either.right(JSON.parse(text))
  } catch (error) {
    return Either.left(notJson(text, error))
  }
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const without = (bytes: Uint8Array, { end, start }: jsonText.ArrayBytes): Uint8Array => {
  const rest = new Uint8Array(bytes.length - (end - start) + 2)
  rest.set(bytes.subarray(0, start))
  rest.set(encoder.encode("[]"), start)
  rest.set(bytes.subarray(end), start + 2)
  return rest
}

const parseByElement = (bytes: Uint8Array, problem: string): Either.Either<Body, Unreadable> => {
  if (!jsonText.isWholeObject(bytes)) return Either.left({ _tag: "Cut" })
  const result = jsonText.arrayOf(bytes, "result")
  const envelope = Either.getOrUndefined(parseValue(result === undefined ? bytes : without(bytes, result)))
  if (result === undefined || !isObject(envelope)) return Either.left({ _tag: "Broken", problem })
  const unreadable = new Map<number, string>()
  const elements = result.elements.map((element, index) =>
    Either.getOrElse(parseValue(element), (wrong) => {
      unreadable.set(index, wrong)
      return null
    }),
  )
  return Either.right({ json: { ...envelope, result: elements }, unreadable })
}

const none: ReadonlyMap<number, string> = new Map()

export const parse = (bytes: Uint8Array): Either.Either<Body, Unreadable> => {
  const whole = parseValue(bytes)
  if (Either.isLeft(whole)) return parseByElement(bytes, whole.left)
  return isObject(whole.right) ? Either.right({ json: whole.right, unreadable: none }) : Either.left({ _tag: "Cut" })
}
