/** The spellings of an instant that Marketo sends: `…Z`, `+0000`, `+00:00`, the malformed `Z+0000`, other offsets, fractions. */
const spelling = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|Z?([+-])(\d\d):?(\d\d))$/

/** Milliseconds since the epoch, or NaN when the text is not an instant with a zone. */
export const parse = (text: string): number => {
  const m = spelling.exec(text)
  if (m === null) return Number.NaN
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = m
  const millis = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, "0"))
  const h = Number(hour)
  const min = Number(minute)
  const s = Number(second)
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day), h, min, s, millis))
  // Date.UTC rolls the 30th of February over; a day that is not on the calendar is no instant
  const isOnCalendar = date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day)
  if (h > 23 || min > 59 || s > 59 || !isOnCalendar) return Number.NaN
  const utc = date.getTime()
  if (sign === undefined) return utc
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000
  return sign === "+" ? utc - offset : utc + offset
}
