/**
 * The one request that tells whether a broker is ready.
 *
 * @since 0.1.0
 */
import * as net from "node:net"
import * as Effect from "effect/Effect"

/** Metadata (key 3) version 1, which Kafka 2 to 4 answer; client id "ready"; no topics. */
const request = Buffer.from([0, 0, 0, 19, 0, 3, 0, 1, 0, 0, 0, 0, 0, 5, ...Buffer.from("ready"), 0, 0, 0, 0])

/** An answer: length, correlation id, then the brokers: id, host, port, rack. */
const idsOf = (answer: Buffer): ReadonlyArray<number> => {
  const ids: Array<number> = []
  let offset = 12
  for (let left = answer.readInt32BE(8); left > 0; left--) {
    ids.push(answer.readInt32BE(offset))
    offset += 4
    offset += 2 + answer.readInt16BE(offset) + 4
    offset += 2 + Math.max(answer.readInt16BE(offset), 0)
  }
  return ids
}

/** The ids of the nodes that a broker knows to be up; none when it gives no answer within a second. */
export const nodes = (port: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.async((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(request))
    let received = Buffer.alloc(0)
    const end = (ids: ReadonlyArray<number>) => {
      socket.destroy()
      resume(Effect.succeed(ids))
    }
    socket.on("data", (data) => {
      received = Buffer.concat([received, data])
      if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) end(idsOf(received))
    })
    socket.on("error", () => end([])).on("close", () => end([]))
    socket.setTimeout(1000, () => end([]))
    return Effect.sync(() => socket.destroy())
  })
