/**
 * One writer for a file, among all processes of one kernel.
 *
 * The lock is a listening unix socket in the folder of the data file, `.marketo-lock-<hash of the name>-<random>`. The
 * name says neither the file's name nor its extension, so that patterns for the data (`activities.ndjson*`, `*.ndjson*`)
 * do not match it. The kernel closes the socket when its process ends, for any reason, so a lock is alive exactly when
 * a connection to it succeeds: no process ids, nothing to expire. Each attempt binds a name of its own, listens, and
 * then looks around: it holds the lock if no other name answers and its own name is still there. Then it removes the
 * dead sockets.
 *
 * Why two processes cannot both hold it: suppose A and B do, and A looked after both were listening. If B's name was
 * there, it answered, so A did not take the lock. If it was gone, a third process had removed it between B's bind and
 * B's listen. B then looked after its listen, missed its own name, and did not take the lock. Names are never used
 * twice, so no process removes another's name by mistake.
 *
 * @since 0.1.0
 */
import { createHash, randomBytes } from "node:crypto"
import { fstatSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as path from "node:path"
import { SinkError } from "@effect-marketo/core/SinkError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { codeOf, io, isSameFile, lookUp, sink, unavailable, verify } from "./io.js"
import type { Paths } from "./paths.js"

export interface Lock {
  /** Fails if the folder is no longer at its path, or if the lock was removed so that another process can take it. */
  readonly verify: Effect.Effect<void, SinkError>
  readonly release: Effect.Effect<void>
}

/** Another process holds the lock, or is trying to take it at this moment. */
class Contended extends Data.TaggedError("Contended") {}

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the terminating zero included. */
const maxAddressBytes = 100

/** Any answer other than a clear "not listening" (no permission, a full backlog, silence) counts as alive. */
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
        description: `cannot lock ${file}: its file system does not support unix sockets (${codeOf(cause)}); put the file on a local disk`,
        cause,
      })
    : unavailable(`lock ${file}`, cause)

/** How to reach a name in the folder: by its path, or, if that is too long, by the folder's descriptor. */
const addresses = (paths: Paths, folder: fs.FileHandle, name: string) => {
  const bases = process.platform === "linux" ? [paths.folder, `/proc/self/fd/${folder.fd}`] : [paths.folder]
  const base = bases.find((base) => Buffer.byteLength(path.join(base, name)) <= maxAddressBytes)
  return base === undefined
    ? new SinkError({
        sink,
        reason: "Unavailable",
        description: `cannot lock ${paths.file}: the path is too long for a unix socket; use a shorter one`,
      })
    : Effect.succeed((name: string) => path.join(base, name))
}

/** The names that locks of one file have, and no other. */
const naming = (file: string) => {
  const prefix = `.marketo-lock-${createHash("sha256").update(file).digest("hex").slice(0, 12)}-`
  return {
    next: () => prefix + randomBytes(6).toString("hex"),
    has: (name: string) => name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length)),
  }
}

const verifyHeld = (paths: Paths, folder: fs.FileHandle, own: string) =>
  verify(paths.folder, () => {
    const named = lookUp(paths.folder)
    if (named === undefined || !isSameFile(named, fstatSync(folder.fd, { bigint: true }))) {
      const description = `the folder ${paths.folder} was moved, replaced or unmounted while this process was writing there; put it back and start again`
      return new SinkError({ sink, reason: "Unavailable", description })
    }
    if (lookUp(path.join(paths.folder, own)) === undefined) {
      const description = `the lock of ${paths.file}, ${own}, was removed, so another process may be writing the file; stop that process and start again`
      return new SinkError({ sink, reason: "InUse", description })
    }
    return undefined
  })

/** Takes the lock. `folder` must stay open until it is released. */
export const acquire = (paths: Paths, folder: fs.FileHandle): Effect.Effect<Lock, SinkError> =>
  Effect.gen(function* () {
    const locks = naming(paths.name)
    const address = yield* addresses(paths, folder, locks.next())
    const names = Effect.map(
      io(`list ${paths.folder}`, () => fs.readdir(paths.folder, { withFileTypes: true })),
      (entries) => entries.filter((entry) => entry.isSocket() && locks.has(entry.name)).map(({ name }) => name),
    )
    const attempt = Effect.gen(function* () {
      const own = locks.next()
      const server = yield* Effect.mapError(listen(address(own)), listenError(paths.file))
      return yield* Effect.gen(function* () {
        const found = yield* names
        const others = found.filter((name) => name !== own)
        const anyAlive = yield* Effect.exists(others, (name) => isAlive(address(name)))
        if (anyAlive || !found.includes(own)) return yield* new Contended()
        yield* io(`remove the old locks of ${paths.file}`, () =>
          Promise.all(others.map((name) => fs.rm(path.join(paths.folder, name), { force: true }))),
        )
        return { verify: verifyHeld(paths, folder, own), release: close(server) }
      }).pipe(Effect.onError(() => close(server)))
    })

    return yield* attempt.pipe(
      Effect.retry({
        while: (error) => error._tag === "Contended",
        // About a second in all, with growing random delays: the more processes contend, the rarer they must meet.
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
