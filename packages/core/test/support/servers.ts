import { readFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import tls from "node:tls"
import { Effect, type Scope } from "effect"

const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8")

/** For `localhost`, signed by the authority of these tests; the others are each wrong in one way. */
export const certificate = (name: "localhost" | "otherHost" | "expired" | "selfSigned") => ({
  key: pem("key"),
  cert: pem(name),
})

/** Trusts the authority of these tests, as `NODE_EXTRA_CA_CERTS` does, which Node reads only when it starts. */
export const trusted: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
  Effect.acquireRelease(
    Effect.sync(() => {
      const { createSecureContext } = tls
      const ca = [...tls.rootCertificates, pem("authority")]
      tls.createSecureContext = (options) => createSecureContext({ ca, ...options })
      return createSecureContext
    }),
    (original) => Effect.sync(() => (tls.createSecureContext = original)),
  ),
)

/** Listens on a port of its own until the scope ends; gives the port. Open sockets are cut then. */
export const listening = (server: Server, host = "127.0.0.1"): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    server.on("connection", (socket: Socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket)).on("error", () => {})
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, host, () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }),
    )
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })

/** A server that is no more than this. */
export const tcp = (onConnection: (socket: Socket) => void): Effect.Effect<number, never, Scope.Scope> =>
  Effect.suspend(() => listening(createServer(onConnection)))

export const overTls = (
  options: tls.TlsOptions,
  onConnection: (socket: tls.TLSSocket) => void = () => {},
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.suspend(() => {
    const server = tls.createServer(options, (socket) => {
      socket.on("error", () => {})
      onConnection(socket)
    })
    server.on("tlsClientError", () => {})
    return listening(server)
  })
