import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { ActivityJson, type AnyActivity, type Received } from "../Activity.js"
import * as ActivityRecord from "../ActivityRecord.js"
import type { Answer } from "../MarketoClient.js"
import { MarketoUndecodable } from "../MarketoError.js"
import type { kinds } from "./chains.js"
import { compile } from "./guard.js"
import * as instant from "./instant.js"
import * as jsonText from "./jsonText.js"

type Kind = (typeof kinds)[keyof typeof kinds]

export interface Decoded {
  readonly records: Chunk.Chunk<ActivityRecord.ActivityRecord>
  readonly rejected: Chunk.Chunk<ActivityRecord.Rejected>
  /** Newest activityDate, epoch milliseconds; `-Infinity` without records. */
  readonly newest: number
}

/** A token goes into a query, which half a surrogate pair cannot. */
export const isToken = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && !/\p{Surrogate}/u.test(value)

/** Whether an answer has what every page has. `result` may be absent, null or empty; the token never. */
export const isPage = (json: Answer["json"]): boolean =>
  typeof json.moreResult === "boolean" &&
  isToken(json.nextPageToken) &&
  (json.result === undefined || json.result === null || Array.isArray(json.result))

/** @see isPage, which every answer has passed */
export const moreResultOf = (answer: Answer): boolean => answer.json.moreResult === true

/** @see isPage, which every answer has passed */
export const tokenOf = (answer: Answer): string => answer.json.nextPageToken as string

const isElement = compile(ActivityJson)

const validate = Schema.validateEither(ActivityJson)

/**
 * The paths at which a check failed. Read off the issues, because Schema's formatters put the values into their messages, which
 * a value that is nested some thousand deep does not survive.
 */
const pathsIn = (issue: ParseResult.ParseIssue, path: string): ReadonlyArray<string> => {
  switch (issue._tag) {
    case "Pointer":
      return pathsIn(issue.issue, [path, ...[issue.path].flat().map(String)].filter((name) => name !== "").join("."))
    case "Composite":
      return [issue.issues].flat().flatMap((inner) => pathsIn(inner, path))
    case "Refinement":
    case "Transformation":
      return pathsIn(issue.issue, path)
    default:
      return [path]
  }
}

/** Where an element and its schema disagree: paths, never the values there. */
const pathsOf = (element: unknown): ReadonlyArray<string> =>
  Either.match(validate(element, { errors: "all" }), {
    onRight: () => [],
    onLeft: ({ issue }) => [...new Set(pathsIn(issue, ""))].map((path) => path || "(the whole element)"),
  })

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
  const bytes = (elements.length === 0 ? undefined : jsonText.arrayOf(answer.body, "result"))?.elements ?? []
  const isLine = !answer.body.includes(LINE_FEED) && !answer.body.includes(CARRIAGE_RETURN)
  const records: Array<ActivityRecord.ActivityRecord<AnyActivity>> = []
  const rejected: Array<ActivityRecord.Rejected> = []
  let newest = Number.NEGATIVE_INFINITY
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index]
    const json = bytes[index] as Uint8Array
    if (isElement(element)) {
      const raw: Received = element
      newest = Math.max(newest, instant.parse(raw.activityDate))
      if (wanted === undefined || wanted.has(raw.activityTypeId)) {
        records.push(ActivityRecord.fromPage(kind.tag, json, isLine, raw))
      }
    } else {
      const problem = answer.unreadable.get(index)
      const paths = problem === undefined ? pathsOf(element) : [problem]
      if (undecodable === "fail") {
        const { requestId } = answer
        return Effect.fail(
          new MarketoUndecodable({ endpoint: kind.endpoint, requestId, attempts: 1, index: Option.some(index), paths }),
        )
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
