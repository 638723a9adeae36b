/**
 * Free ports on 127.0.0.1.
 *
 * @since 0.1.0
 */
import { randomInt } from "node:crypto"
import * as net from "node:net"

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/**
 * Ports below those that Linux (from 32768) and macOS (from 49152) give to outgoing connections: while a node is down, no
 * client can be given its port by chance, not even the one that tries to connect to it.
 */
export const free = async (count: number): Promise<ReadonlyArray<number>> => {
  const ports = new Set<number>()
  for (let draws = 0; draws < 100 * count && ports.size < count; draws++) {
    const port = randomInt(16_384, 32_768)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  if (ports.size < count) throw new Error("no free ports between 16384 and 32767 on 127.0.0.1")
  return [...ports]
}
