/** Epoch seconds as the vendor writes them. */
export const iso = (epochSeconds: number): string => `${new Date(epochSeconds * 1_000).toISOString().slice(0, 19)}Z`

/**
 * Epoch seconds of a date and time in every spelling that callers get away with: without a zone it is UTC, fractions of
 * a second are dropped. Undefined for anything else.
 */
export const parseInstant = (text: string): number | undefined => {
  const match = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2})(:\d{2})?(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text)
  if (match === null) return undefined
  const [, date = "", minute = "00:00", second = ":00", zone = "Z"] = match
  const millis = Date.parse(`${date}T${minute}${second}${zone.replace(/(\d\d)(\d\d)$/, "$1:$2")}`)
  return Number.isNaN(millis) || !isDate(date) ? undefined : millis / 1_000
}

/** `2026-03-04`, a day that there is: V8 takes the 30th of February for the 2nd of March. */
export const isDate = (text: string): boolean => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const midnight = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text)
}
