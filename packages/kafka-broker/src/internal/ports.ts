/**
 * Free ports on 127.0.0.1.
 *
 * @since 0.1.0
 */
import * as net from "node:net"

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

const first = 16_384
const count = 16_384

/**
 * Nobody holds a port between its test and its use, which is seconds later, nor that of a node that is down: so processes look
 * for theirs far apart (neighbours in number by the golden section), and none looks at a port twice before it has looked at all.
 */
let looked = 10_125 * process.pid

/**
 * Ports below those that Linux (from 32768) and macOS (from 49152) give to outgoing connections: while a node is down, no
 * client can be given its port by chance, not even the one that tries to connect to it.
 */
export const free = async (wanted: number): Promise<ReadonlyArray<number>> => {
  const ports: Array<number> = []
  for (let tries = 0; tries < count && ports.length < wanted; tries++) {
    const port = first + (looked++ % count)
    if (await isFree(port)) ports.push(port)
  }
  if (ports.length < wanted) throw new Error("no free ports between 16384 and 32767 on 127.0.0.1")
  return ports
}
