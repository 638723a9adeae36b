/** Options from a JSON file, with errors that say where to look. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Options } from "../Options.js"
import { decode } from "./decode.js"

export class ConfigFileError extends Data.TaggedError("ConfigFileError")<{ readonly message: string }> {}

/** V8 gives the place of a syntax error as an offset, in most messages. */
const place = (text: string, message: string): string => {
  const offset = /position (\d+)/.exec(message)?.[1]
  if (offset === undefined) return ""
  const lines = text.slice(0, Number(offset)).split("\n")
  return ` at line ${lines.length}, column ${(lines[lines.length - 1] as string).length + 1}`
}

const decodeOptions = decode(Options)

export const readConfig = (path: string): Effect.Effect<Options, ConfigFileError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const fail = (problem: string) => new ConfigFileError({ message: `Cannot use the config file ${path}: ${problem}` })
    const text = yield* Effect.mapError(fs.readFileString(path), (error) =>
      fail(`it cannot be read (${error._tag === "SystemError" ? error.reason : error.message})`),
    )
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (error) => fail(`it is not JSON${place(text, String(error))}: ${String(error)}`),
    })
    return yield* Either.mapLeft(decodeOptions(json), (problem) => fail(`\n${problem}`))
  })
