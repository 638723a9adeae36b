/** A way to the broker that fails when it is told to: by the kind of the request that is written. */
import * as net from "node:net"
import type { KafkajsOptions } from "../src/index.js"

/** Kafka's API keys. */
export const api = {
  Produce: 0,
  Fetch: 1,
  OffsetCommit: 8,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  EndTxn: 26,
} as const

/**
 * `before`: the connection is cut and the request not sent; `after`: sent, and cut before the answer; `lose`: not sent, no answer;
 * `answer`: not sent, and answered with this body as if the broker had.
 */
export type Fault = "before" | "after" | "lose" | { readonly answer: Buffer } | undefined

/** Whether the answer to that request is among these, the first of which begins here. */
const isAnswerTo = (number: number, answers: Buffer): boolean => {
  for (let at = 0; at + 8 <= answers.length; at += 4 + answers.readInt32BE(at)) {
    if (answers.readInt32BE(at + 4) === number) return true
  }
  return false
}

export const make = (faultOf: (apiKey: number) => Fault): Required<KafkajsOptions.Transport> & { received: number } => {
  const transport = {
    received: 0,
    socketFactory: ({ host, onConnect, port }: Parameters<KafkajsOptions.SocketFactory>[0]) => {
      const socket = net.connect({ host, port }, onConnect)
      socket.on("data", (bytes) => {
        transport.received += bytes.length
      })
      const write = socket.write.bind(socket)
      socket.write = (...args: [unknown, ...Array<unknown>]) => {
        const [request] = args
        const fault = Buffer.isBuffer(request) ? faultOf(request.readInt16BE(4)) : undefined
        if (fault === "lose") return true
        if (typeof fault === "object") {
          const head = Buffer.alloc(8)
          head.writeInt32BE(4 + fault.answer.length)
          ;(request as Buffer).copy(head, 4, 8, 12) // the number of the request
          setImmediate(() => socket.emit("data", Buffer.concat([head, fault.answer])))
          return true
        }
        const cut = () => {
          socket.destroy(new Error("cut by the test"))
        }
        if (fault === "before") {
          cut()
          return false
        }
        if (fault === "after") {
          const number = (request as Buffer).readInt32BE(8)
          const emit = socket.emit.bind(socket)
          socket.emit = (event: string | symbol, ...rest: Array<unknown>) => {
            if (event !== "data" || !isAnswerTo(number, rest[0] as Buffer))
              return Reflect.apply(emit, socket, [event, ...rest])
            cut()
            return true
          }
        }
        return Reflect.apply(write, socket, args)
      }
      return socket
    },
  }
  return transport
}
