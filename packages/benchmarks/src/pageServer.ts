/**
 * Serves the same full pages over and over, made beforehand of the simulator's activities: the simulator itself would need
 * more time for a page than its readers do.
 *
 *     node pageServer.js PAGES plain|gzip
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { Simulator } from "@effect-marketo/simulator"
import { Effect } from "effect"

const [pages = "", encoding = ""] = process.argv.slice(2)
const last = Number(pages) - 1
const isGzip = encoding === "gzip"
const encode = (text: string) => (isGzip ? gzipSync(text, { level: 1 }) : Buffer.from(text))

const PAGE = 300
const DISTINCT_PAGES = 50

const results = await Simulator.Simulator.pipe(
  Effect.flatMap(({ activities }) => activities),
  Effect.map((stored) =>
    Array.from({ length: DISTINCT_PAGES }, (_, page) =>
      encode(
        `,"result":[${stored
          .slice(page * PAGE, (page + 1) * PAGE)
          .map(({ text }) => text)
          .join(",")}]}`,
      ),
    ),
  ),
  Effect.provide(Simulator.layer({ data: { activities: PAGE * DISTINCT_PAGES } })),
  Effect.runPromise,
)

/** As long as Marketo's tokens are. */
const tokenOf = (page: number) => `${page}`.padStart(52, "A")

const pageAt = (token: string) => {
  const page = Number(token.replace(/^A+/, ""))
  const head = {
    requestId: `${page.toString(16)}#1a1234567`,
    success: true,
    nextPageToken: tokenOf(page + 1),
    moreResult: page < last,
  }
  // two gzip members in a row are one gzip stream
  return Buffer.concat([encode(JSON.stringify(head).slice(0, -1)), results[page % DISTINCT_PAGES] as Buffer])
}

const answers: Readonly<Record<string, (url: URL) => Buffer>> = {
  "/identity/oauth/token": () =>
    encode(`{"access_token":"token","token_type":"bearer","expires_in":3600,"scope":"bench"}`),
  "/rest/v1/activities/pagingtoken.json": () =>
    encode(`{"requestId":"1#1","success":true,"nextPageToken":"${tokenOf(0)}"}`),
  "/rest/v1/activities.json": (url) => pageAt(url.searchParams.get("nextPageToken") ?? ""),
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://localhost")
  const body = answers[url.pathname]?.(url)
  response.writeHead(body === undefined ? 404 : 200, {
    "content-type": "application/json;charset=UTF-8",
    "content-length": body?.length ?? 0,
    ...(isGzip ? { "content-encoding": "gzip" } : {}),
  })
  response.end(body)
})

server.listen(0, "localhost", () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ url: `http://localhost:${port}` })}\n`)
})
