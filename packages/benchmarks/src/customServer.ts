/**
 * Takes custom activities and says that all were added. Counts records by a word that each has once.
 * `GET /calls` tells how many calls there were since it was asked last, and the milliseconds from the first to the end of the last.
 *
 *     node customServer.js
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

let calls = 0
let first = 0
let last = 0

const result = (count: number) => Array.from({ length: count }, (_, i) => ({ id: i + 1, status: "added" }))

/** By the number of records. */
const answers = new Map<number, string>()

const answerTo = (body: Buffer): string => {
  let count = 0
  for (let at = body.indexOf('"leadId"'); at >= 0; at = body.indexOf('"leadId"', at + 8)) count++
  const answer = answers.get(count) ?? JSON.stringify({ requestId: "1#1", success: true, result: result(count) })
  answers.set(count, answer)
  return answer
}

const token = `{"access_token":"token","token_type":"bearer","expires_in":3600,"scope":"bench"}`

const server = createServer((request, response) => {
  const chunks: Array<Buffer> = []
  const answer = (body: string) => {
    last = performance.now()
    response.writeHead(200, { "content-type": "application/json;charset=UTF-8" })
    response.end(body)
  }
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    if (request.url === "/calls") {
      answer(JSON.stringify({ calls, millis: last - first }))
      calls = 0
      return
    }
    if (request.url?.startsWith("/identity/") === true) return answer(token)
    if (calls++ === 0) first = performance.now()
    answer(answerTo(Buffer.concat(chunks)))
  })
})

server.listen(0, "localhost", () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ url: `http://localhost:${port}` })}\n`)
})
