/** Connections to the brokers with a fault at a request of our choice. */
import * as net from "node:net"
import type { KafkajsOptions } from "@effect-marketo/kafka"

/** Numbers of Kafka's requests. */
export const api = { Produce: 0, EndTxn: 26 } as const

export interface Fault {
  readonly request: keyof typeof api
  /** Cut the connection before the request goes out, or after it and before its answer; or hold the request back. */
  readonly do: "cut before" | "cut after" | { readonly delay: number }
}

export interface Sockets extends KafkajsOptions.Transport {
  /** The next request of this kind, on whatever connection. */
  readonly next: (fault: Fault) => void
  /** Whether the fault has happened. */
  readonly isDone: () => boolean
}

/** A request begins with its length and the number of its kind. */
const kindOf = (data: unknown): number | undefined =>
  Buffer.isBuffer(data) && data.length > 6 ? data.readInt16BE(4) : undefined

export const make = (): Sockets => {
  let armed: Fault | undefined
  return {
    next: (fault) => {
      armed = fault
    },
    isDone: () => armed === undefined,
    socketFactory: ({ host, onConnect, port }) => {
      const socket = net.connect({ host, port }, onConnect)
      const write = socket.write.bind(socket) as (data: unknown, ...rest: ReadonlyArray<unknown>) => boolean
      const faulty = (data: unknown, ...rest: ReadonlyArray<unknown>): boolean => {
        if (armed === undefined || kindOf(data) !== api[armed.request]) return write(data, ...rest)
        const what = armed.do
        armed = undefined
        const cut = () => socket.destroy(Object.assign(new Error("cut on purpose"), { code: "ECONNRESET" }))
        if (what === "cut before") cut()
        else if (what === "cut after") write(data, cut)
        else setTimeout(() => write(data, ...rest), what.delay)
        return true
      }
      socket.write = faulty as typeof socket.write
      return socket
    },
  }
}
