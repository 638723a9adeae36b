/** A fault script from a JSON file, with errors that say where to look. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { ArrayFormatter, type ArrayFormatterIssue } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Fault } from "../Fault.js"

export class FaultFileError extends Data.TaggedError("FaultFileError")<{ readonly message: string }> {}

const decodeScript = Schema.decodeUnknownEither(Schema.Array(Fault), { errors: "all", onExcessProperty: "error" })

/** V8 gives the place of a syntax error as an offset, in most messages. */
const place = (text: string, message: string): string => {
  const offset = /position (\d+)/.exec(message)?.[1]
  if (offset === undefined) return ""
  const lines = text.slice(0, Number(offset)).split("\n")
  return ` at line ${lines.length}, column ${(lines[lines.length - 1] as string).length + 1}`
}

/** Members that may be left out may also be undefined, which no JSON file can make them. */
const isAboutJson = ({ message }: ArrayFormatterIssue): boolean => !message.startsWith("Expected undefined")

const line = ({ message, path: [index, ...path] }: ArrayFormatterIssue): string =>
  index === undefined
    ? message
    : `fault ${Number(index) + 1}${path.length === 0 ? "" : `, "${path.join(".")}"`}: ${message}`

export const readFaults = (path: string): Effect.Effect<ReadonlyArray<Fault>, FaultFileError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const fail = (problem: string) => new FaultFileError({ message: `Cannot use the fault file ${path}: ${problem}` })
    const text = yield* Effect.mapError(fs.readFileString(path), (error) =>
      fail(`it cannot be read (${error._tag === "SystemError" ? error.reason : error.message})`),
    )
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (error) => fail(`it is not JSON${place(text, String(error))}: ${String(error)}`),
    })
    return yield* Either.mapLeft(decodeScript(json), (error) =>
      fail(`\n${ArrayFormatter.formatErrorSync(error).filter(isAboutJson).map(line).join("\n")}`),
    )
  })
