/** The spellings of an instant that Marketo sends: `…Z`, `+0000`, `+00:00`, the malformed `Z+0000`, other offsets, fractions. */
const spelling = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|Z?([+-])(\d\d):?(\d\d))$/

/** No place on earth is further from UTC than 14 hours; Java, which Marketo runs on, takes 18. */
const MAX_OFFSET_HOURS = 18

/** Two digits as a number, NaN for anything else. */
const two = (text: string, at: number): number => {
  const tens = text.charCodeAt(at) - 48
  const ones = text.charCodeAt(at + 1) - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : Number.NaN
}

/** The usual spelling, `2026-01-28T23:59:59Z`, on a day that every month has; NaN for any other. Every record passes here. */
const parseUsual = (text: string): number => {
  const isShape =
    text.length === 20 &&
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(7) === 0x2d &&
    text.charCodeAt(10) === 0x54 &&
    text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(16) === 0x3a &&
    text.charCodeAt(19) === 0x5a
  if (!isShape) return Number.NaN
  const month = two(text, 5)
  const day = two(text, 8)
  const hour = two(text, 11)
  const minute = two(text, 14)
  const second = two(text, 17)
  const year = 100 * two(text, 0) + two(text, 2)
  const isDay = year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 28
  const isUsual = isDay && hour <= 23 && minute <= 59 && second <= 59
  return isUsual ? Date.UTC(year, month - 1, day, hour, minute, second) : Number.NaN
}

/** Milliseconds since the epoch, or NaN when the text is not an instant with a zone. */
export const parse = (text: string): number => {
  const usual = parseUsual(text)
  if (!Number.isNaN(usual)) return usual
  const m = spelling.exec(text)
  if (m === null) return Number.NaN
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = m
  const millis = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, "0"))
  const h = Number(hour)
  const min = Number(minute)
  const s = Number(second)
  const date = new Date(Date.UTC(2000, 0, 1, h, min, s, millis))
  // not Date.UTC, which takes the year 50 for 1950
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  // the 30th of February is rolled over; a day that is not on the calendar is no instant
  const isOnCalendar = date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day)
  const isOffset = sign === undefined || (Number(offsetHour) <= MAX_OFFSET_HOURS && Number(offsetMinute) <= 59)
  if (h > 23 || min > 59 || s > 59 || !isOnCalendar || !isOffset) return Number.NaN
  const utc = date.getTime()
  if (sign === undefined) return utc
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000
  return sign === "+" ? utc - offset : utc + offset
}
