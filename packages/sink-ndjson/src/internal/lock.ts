/**
 * One writer for a file, among all processes of one kernel.
 *
 * The lock is a listening unix socket beside the data file, `<file>.lock.<random>`. The kernel closes it with its
 * process, however that ends, so a lock is alive exactly when a connection to it succeeds: no process ids, nothing to
 * expire. Each attempt binds a name of its own, listens, and then looks around: it holds the lock when no other name
 * answers and its own is still there. Then it removes the dead ones.
 *
 * Why two cannot hold it: of any two that hold, one looked after both were listening. The other's name was there then,
 * and answered; or it was gone, because somebody had taken it for dead, which can only be between its bind and its
 * listen; and then that other one, looking after its listen, missed its own name. Either way one of them did not take
 * the lock. Names are never used twice, so nobody removes another's by mistake.
 *
 * @since 0.1.0
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as path from "node:path"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { codeOf, io, sink, unavailable } from "./io.js"
import type { Paths } from "./paths.js"

/** Somebody else holds the lock, or is just trying to. */
class Contended extends Data.TaggedError("Contended") {}

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the terminating zero included. */
const maxAddressBytes = 100

/** An answer that is not a clear "nobody listens" (no permission, a full backlog, silence) counts as alive. */
const isAlive = (address: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const socket = net.connect(address)
    const answer = (alive: boolean) => {
      resume(Effect.succeed(alive))
      socket.destroy()
    }
    socket.on("connect", () => answer(true))
    socket.on("error", (cause) => answer(!["ECONNREFUSED", "ENOENT"].includes(codeOf(cause) ?? "")))
    socket.setTimeout(1000, () => answer(true))
  })

const listen = (address: string): Effect.Effect<net.Server, unknown> =>
  Effect.async((resume) => {
    const server = net.createServer((socket) => socket.destroy())
    server.on("error", (cause) => resume(Effect.fail(cause)))
    // exclusive: a worker of node:cluster would otherwise share the primary's socket
    server.listen({ path: address, exclusive: true }, () => resume(Effect.succeed(server)))
    server.unref()
  })

/** Closes the socket and unlinks its name, both before it returns. */
const close = (server: net.Server): Effect.Effect<void> => Effect.sync(() => server.close())

const listenError = (file: string) => (cause: unknown) =>
  ["EOPNOTSUPP", "ENOTSUP", "EPERM", "EINVAL"].includes(codeOf(cause) ?? "")
    ? new SinkError({
        sink,
        reason: "Unavailable",
        description: `cannot lock ${file}: its file system takes no unix sockets (${codeOf(cause)}); put the file on a local disk`,
        cause,
      })
    : unavailable(`lock ${file}`, cause)

/** How to reach names of `nameBytes` bytes in the folder: by its path, or, where that is too long, by its descriptor. */
const addresses = (paths: Paths, folder: fs.FileHandle, nameBytes: number) => {
  const bases = process.platform === "linux" ? [paths.folder, `/proc/self/fd/${folder.fd}`] : [paths.folder]
  const base = bases.find((base) => Buffer.byteLength(base) + 1 + nameBytes <= maxAddressBytes)
  return base === undefined
    ? new SinkError({
        sink,
        reason: "Unavailable",
        description: `cannot lock ${paths.file}: the path is too long for a unix socket; use a shorter one`,
      })
    : Effect.succeed((name: string) => path.join(base, name))
}

/** Takes the lock and gives back what releases it. `folder` must stay open until then. */
export const acquire = (paths: Paths, folder: fs.FileHandle): Effect.Effect<Effect.Effect<void>, SinkError> =>
  Effect.gen(function* () {
    const prefix = `${paths.name}.lock.`
    const address = yield* addresses(paths, folder, Buffer.byteLength(prefix) + 12)
    const names = Effect.map(
      io(`list ${paths.folder}`, () => fs.readdir(paths.folder)),
      (all) => all.filter((name) => name.startsWith(prefix)),
    )
    const attempt = Effect.gen(function* () {
      const own = prefix + randomBytes(6).toString("hex")
      const server = yield* Effect.mapError(listen(address(own)), listenError(paths.file))
      return yield* Effect.gen(function* () {
        const found = yield* names
        const others = found.filter((name) => name !== own)
        const anyAlive = yield* Effect.exists(others, (name) => isAlive(address(name)))
        if (anyAlive || !found.includes(own)) return yield* new Contended()
        yield* io(`remove the old locks of ${paths.file}`, () =>
          Promise.all(others.map((name) => fs.rm(path.join(paths.folder, name), { force: true }))),
        )
        return close(server)
      }).pipe(Effect.onError(() => close(server)))
    })

    return yield* attempt.pipe(
      Effect.retry({
        while: (error) => error._tag === "Contended",
        // about a second in all, ever wider apart: the more contend, the rarer they must meet for one to get through
        schedule: Schedule.exponential("15 millis").pipe(
          Schedule.jitteredWith({ min: 0, max: 2 }),
          Schedule.intersect(Schedule.recurs(6)),
        ),
      }),
      Effect.catchTag(
        "Contended",
        () =>
          new SinkError({
            sink,
            reason: "InUse",
            description: `${paths.file} is being written by another process or layer; stop that one, share one layer between pipelines, or use another path`,
          }),
      ),
    )
  })
