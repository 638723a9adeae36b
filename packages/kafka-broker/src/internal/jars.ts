/**
 * Kafka's jars, by Maven, in a folder that outlives clones and installs.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { BrokerError } from "../BrokerError.js"
import { run } from "./command.js"
import * as ownedFolder from "./ownedFolder.js"

const pom = fileURLToPath(new URL("../../pom.xml", import.meta.url))

const cache = (): string => {
  // relative ones are to be ignored, says the specification of XDG_CACHE_HOME
  const home = process.env.XDG_CACHE_HOME
  return path.join(
    home !== undefined && path.isAbsolute(home) ? home : path.join(os.homedir(), ".cache"),
    "effect-marketo",
  )
}

const exists = (folder: string): Promise<boolean> =>
  fs.access(folder).then(
    () => true,
    () => false,
  )

const io = <A>(doing: string, attempt: () => Promise<A>): Effect.Effect<A, BrokerError> =>
  Effect.tryPromise({
    try: attempt,
    catch: (cause) => new BrokerError({ reason: "JarsMissing", description: `cannot ${doing}: ${cause}` }),
  })

const copy = (version: string, folder: string): Effect.Effect<void, BrokerError> =>
  run(
    "mvn",
    [
      "-B",
      "-q",
      "-f",
      pom,
      `-Dkafka.version=${version}`,
      "dependency:copy-dependencies",
      `-DoutputDirectory=${folder}`,
    ],
    "5 minutes",
  ).pipe(
    Effect.mapError(
      ({ description, notFound }) =>
        new BrokerError({
          reason: "JarsMissing",
          description: notFound
            ? `the jars of Kafka ${version} are not in ${cache()}, and there is no Maven (mvn) on the PATH to get them; install it`
            : `Maven could not get the jars of Kafka ${version}:\n${description}`,
        }),
    ),
  )

/** A folder for each version and each list of jars: one that was filled from another list lacks some. */
const folderOf = async (version: string): Promise<string> => {
  const list = createHash("sha256")
    .update(await fs.readFile(pom))
    .digest("hex")
    .slice(0, 8)
  return path.join(cache(), `kafka-${version}-${list}`)
}

/** The folder with the jars of a version. It appears in one step, so what is there is complete. */
export const get = (version: string): Effect.Effect<string, BrokerError> =>
  Effect.gen(function* () {
    const folder = yield* io(`read ${pom}`, () => folderOf(version))
    if (yield* Effect.promise(() => exists(folder))) return folder
    yield* Effect.acquireUseRelease(
      io(`write to ${cache()}`, async () => {
        await fs.mkdir(cache(), { recursive: true })
        return ownedFolder.make(cache(), "fill-")
      }),
      (filled) =>
        Effect.zipRight(
          copy(version, filled),
          // of two that fill it at once the first to end wins; the other's jars are the same
          io(`rename ${filled} to ${folder}`, () =>
            fs
              .rename(filled, folder)
              .catch(async (cause) => ((await exists(folder)) ? undefined : Promise.reject(cause))),
          ),
        ),
      (filled) => Effect.ignoreLogged(Effect.tryPromise(() => ownedFolder.remove(filled))),
    )
    return folder
  })
