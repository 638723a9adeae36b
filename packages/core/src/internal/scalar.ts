/** A string, number or boolean as text; `""` for anything else. `String` would call what an answer has under `toString`. */
export const toText = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : ""
