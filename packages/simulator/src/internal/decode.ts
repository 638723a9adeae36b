/** Decodes what people write, with errors that name the place and what could stand there. */
import * as Either from "effect/Either"
import { ArrayFormatter, type ArrayFormatterIssue } from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** Members that may be left out may also be undefined, which no JSON can make them. */
const isAboutJson = ({ message }: ArrayFormatterIssue): boolean => !message.startsWith("Expected undefined")

/** Elements of arrays are counted from 1, as people count: `faults 2.call`. */
const place = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((key, i) =>
      typeof key === "number" ? `${i === 0 ? "element" : ""} ${key + 1}` : `${i === 0 ? "" : "."}${String(key)}`,
    )
    .join("")

const line = ({ message, path }: ArrayFormatterIssue): string =>
  path.length === 0 ? message : `"${place(path).trim()}": ${message}`

/** All that is wrong, one problem a line. */
export const decode = <A, I>(schema: Schema.Schema<A, I>) => {
  const decodeUnknown = Schema.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })
  return (input: unknown): Either.Either<A, string> =>
    Either.mapLeft(decodeUnknown(input), (error) =>
      [...new Set(ArrayFormatter.formatErrorSync(error).filter(isAboutJson).map(line))].join("\n"),
    )
}
