import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { ArrayFormatter } from "effect/ParseResult"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import type { AnyActivity, Received } from "../Activity.js"
import * as ActivityRecord from "../ActivityRecord.js"
import type { Answer } from "../MarketoClient.js"
import { MarketoUndecodable } from "../MarketoError.js"
import type { kinds } from "./chains.js"
import * as instant from "./instant.js"
import * as jsonText from "./jsonText.js"

type Kind = (typeof kinds)[keyof typeof kinds]

export interface Decoded {
  readonly records: Chunk.Chunk<ActivityRecord.ActivityRecord>
  readonly rejected: Chunk.Chunk<ActivityRecord.Rejected>
  /** Newest activityDate, epoch milliseconds; `-Infinity` without records. */
  readonly newest: number
}

/** Whether an answer has what every page has. `result` may be absent, null or empty; the token never. */
export const isPage = (json: Answer["json"]): boolean =>
  typeof json.moreResult === "boolean" &&
  typeof json.nextPageToken === "string" &&
  json.nextPageToken !== "" &&
  (json.result === undefined || json.result === null || Array.isArray(json.result))

/** @see isPage, which every answer has passed */
export const moreResultOf = (answer: Answer): boolean => answer.json.moreResult === true

/** @see isPage, which every answer has passed */
export const tokenOf = (answer: Answer): string => answer.json.nextPageToken as string

/** Deeper than any schema of an element looks. */
const LEVELS = 8

/** A copy without what is nested deeper: the formatter of schema errors prints values, and overflows the stack at some 2,000 levels. */
const shallow = (value: unknown, levels = LEVELS): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return levels === 0 ? [] : value.map((item) => shallow(item, levels - 1))
  return levels === 0 ? {} : Record.map(value as Readonly<Record<string, unknown>>, (item) => shallow(item, levels - 1))
}

/** Where an element and its schema disagree: paths, never the values there. */
const pathsOf = (kind: Kind, element: unknown): ReadonlyArray<string> => {
  const checked = Schema.validateEither(kind.schema as Schema.Schema<unknown>)(shallow(element), { errors: "all" })
  if (Either.isRight(checked)) return []
  const paths = ArrayFormatter.formatErrorSync(checked.left).map((issue) => issue.path.map(String).join("."))
  // of a member that may be null the formatter also reports that it is not null
  const deepest = [...new Set(paths)].filter((path) => !paths.some((other) => other.startsWith(`${path}.`)))
  return deepest.map((path) => path || "(the whole element)")
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

const decoder = new TextDecoder()

/** The elements of a page as records, each with the very characters that came. */
export const decode = (
  kind: Kind,
  answer: Answer,
  undecodable: "fail" | "keep",
  wanted: ReadonlySet<number> | undefined,
): Effect.Effect<Decoded, MarketoUndecodable> => {
  const elements = (answer.json.result ?? []) as ReadonlyArray<unknown>
  const bytes = elements.length === 0 ? [] : jsonText.elements(answer.body, "result")
  const isLine = !answer.body.includes(LINE_FEED) && !answer.body.includes(CARRIAGE_RETURN)
  const records: Array<ActivityRecord.ActivityRecord<AnyActivity>> = []
  const rejected: Array<ActivityRecord.Rejected> = []
  let newest = Number.NEGATIVE_INFINITY
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index]
    const json = bytes[index] as Uint8Array
    if (kind.isElement(element)) {
      const raw = element as Received
      newest = Math.max(newest, instant.parse(raw.activityDate))
      if (wanted === undefined || wanted.has(raw.activityTypeId)) {
        records.push(ActivityRecord.fromPage(kind.tag, json, isLine, raw))
      }
    } else {
      const paths = pathsOf(kind, element)
      if (undecodable === "fail") {
        const { requestId } = answer
        return Effect.fail(new MarketoUndecodable({ endpoint: kind.endpoint, requestId, attempts: 1, index, paths }))
      }
      rejected.push({ text: decoder.decode(json), index, paths })
    }
  }
  return Effect.succeed({
    records: Chunk.unsafeFromArray(records),
    rejected: Chunk.unsafeFromArray(rejected),
    newest,
  })
}
