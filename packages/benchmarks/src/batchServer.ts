/**
 * Takes custom activities and says at once that all were added, without a look at them.
 *
 *     node batchServer.js
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { BATCH } from "./records.js"

const result = Array.from({ length: BATCH }, (_, i) => ({ id: i + 1, marketoGUID: `${i + 1}`, status: "added" }))

const answers: Readonly<Record<string, string>> = {
  "/identity/oauth/token": `{"access_token":"token","token_type":"bearer","expires_in":3600,"scope":"bench"}`,
  "/rest/v1/activities/external.json": JSON.stringify({ requestId: "1#1", success: true, result }),
}

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    const body = answers[new URL(request.url ?? "", "http://localhost").pathname]
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json;charset=UTF-8" })
    response.end(body)
  })
})

server.listen(0, "localhost", () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ url: `http://localhost:${port}` })}\n`)
})
