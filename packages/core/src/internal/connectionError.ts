import * as ErrorCode from "../ErrorCode.js"

/** What drivers hang on their errors. */
interface Sign {
  readonly code?: unknown
  readonly syscall?: unknown
  readonly cause?: unknown
  /** Of an `AggregateError`: one for each address that was tried. */
  readonly errors?: unknown
}

const MAX_DEPTH = 8

/** The errors at the bottom, under wrappers that say nothing. */
const signs = (error: unknown, depth = 0): ReadonlyArray<Sign> => {
  if (typeof error !== "object" || error === null || depth === MAX_DEPTH) return []
  const { cause, code, errors, syscall }: Sign = error
  if (Array.isArray(errors) && errors.length > 0) return errors.flatMap((each) => signs(each, depth + 1))
  const isBottom = typeof code === "string" || typeof syscall === "string" || cause === undefined
  return isBottom ? [error] : signs(cause, depth + 1)
}

/** The first code. */
export const codeOf = (error: unknown): string | undefined => {
  const [first] = signs(error).flatMap(({ code }) => (typeof code === "string" ? [code] : []))
  return first
}

/** Whether every attempt to connect failed in a way that proves that nothing was sent. */
export const isUnsent = (error: unknown): boolean => {
  const all = signs(error)
  return all.length > 0 && all.every((each) => ErrorCode.unsent.some(({ sign, value }) => each[sign] === value))
}
