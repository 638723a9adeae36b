/**
 * The form in which a custom activity is sent, for the writer and for records that have it already: they need not be written again.
 */
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import { fragment } from "./jsonBytes.js"

/** What stands between the values. */
const texts = {
  leadId: `{"leadId":`,
  activityDate: `,"activityDate":"`,
  activityTypeId: `","activityTypeId":`,
  primaryAttributeValue: `,"primaryAttributeValue":`,
  attributes: `,"attributes":[`,
  apiName: `{"apiName":`,
  name: `{"name":`,
  value: `,"value":`,
  end: "]}",
} as const

export const fragments = Record.map(texts, fragment)

const { activityDate, activityTypeId, apiName, attributes, end, leadId, name, primaryAttributeValue, value } =
  Record.map(texts, (text) => text.replace(/[{}[\]]/g, String.raw`\$&`))

/** Whole and above zero. Numbers of 15 digits are exact, and are written as they are read. */
const id = String.raw`[1-9]\d{0,14}`

/** A zero with a sign loses it; a number with more zeros behind the point gets an exponent. */
const number = String.raw`(?:0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,8})\.\d{0,5}[1-9])`

/** Not as a choice of one or the other, repeated: with that, a long text that does not fit would take very long. */
const characters = String.raw`[^"\\\x00-\x1f]*(?:\\["\\bfnrt][^"\\\x00-\x1f]*)*`

const day = String.raw`(?:(?:0[1-9]|1\d|2[0-8])|(?<!-02-)(?:29|30)|(?<=-0[13578]-|-1[02]-)31)`

/** Of a year of four digits, and not of a day that not every year has. The only group is a fraction of a second. */
const date = String.raw`[1-9]\d{3}-(?:0[1-9]|1[0-2])-${day}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?Z`

const attribute = `(?:${apiName}|${name})"(?!")${characters}"${value}(?:"${characters}"|${number}|true|false)\\}`

const record = new RegExp(
  [
    `^${leadId}${id}`,
    `${activityDate}${date}`,
    `${activityTypeId}${id}`,
    `${primaryAttributeValue}"${characters}"`,
    `${attributes}(?:${attribute}(?:,${attribute})*)?`,
    `${end}$`,
  ].join(""),
)

/** More than a call may have. V8's regular expressions throw when there are some millions of backslashes. */
const MAX_LENGTH = 1_000_000

/**
 * What is sent for a record, where its text says it: that record, without a fraction of a second, which JavaScript's dates have. None
 * says little, because the same record can be spelled in other ways.
 */
export const ofRecord = (bytes: Uint8Array, text: string): Option.Option<Uint8Array> => {
  const match = text.length <= MAX_LENGTH ? record.exec(text) : null
  if (match === null) return Option.none()
  const fraction = match[1]?.length ?? 0
  if (fraction === 0) return Option.some(bytes)
  // up to there, all characters are bytes
  const at = text.indexOf(".")
  const sent = new Uint8Array(bytes.length - fraction)
  sent.set(bytes.subarray(0, at))
  sent.set(bytes.subarray(at + fraction), at)
  return Option.some(sent)
}
