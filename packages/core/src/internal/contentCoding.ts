import type { Headers } from "@effect/platform/Headers"

/** A coding that clients undo. */
export type Coding = "gzip" | "x-gzip" | "deflate" | "br"

const known: ReadonlySet<string> = new Set<Coding>(["gzip", "x-gzip", "deflate", "br"])

const isKnown = (coding: string): coding is Coding => known.has(coding)

/** The codings of a body, in the order in which they were applied. */
const codingsOf = (headers: Headers): ReadonlyArray<string> =>
  (headers["content-encoding"] ?? "")
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding !== "identity")

/** The same, or none if one is not known: a body that cannot be read to the end is left as it came. */
export const decodable = (headers: Headers): ReadonlyArray<Coding> => {
  const codings = codingsOf(headers)
  return codings.every(isKnown) ? codings : []
}

/** The codings that are not known, for an error. `fetch` leaves the header in place, so known ones say nothing. */
export const unknown = (headers: Headers): string | undefined => {
  const codings = codingsOf(headers).filter((coding) => !isKnown(coding))
  return codings.length === 0 ? undefined : codings.join(", ").slice(0, 50)
}
