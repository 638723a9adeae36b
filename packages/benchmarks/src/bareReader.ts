/**
 * The bare loop that ours is compared with: undici, `JSON.parse`, one `JSON.stringify` an activity, one buffered write a page.
 * It checks nothing, retries nothing and cannot resume.
 *
 *     node bareReader.js URL FILE [PAGES_A_SYNC]
 */
import { once } from "node:events"
import * as fs from "node:fs"
import { promisify } from "node:util"
import { gunzipSync } from "node:zlib"
import { request } from "undici"
import { measure } from "./measured.js"

const [url = "", file = "", pagesASync] = process.argv.slice(2)

interface Page {
  readonly result: ReadonlyArray<unknown>
  readonly nextPageToken: string
  readonly moreResult: boolean
}

const get = async <A>(path: string): Promise<A> => {
  const { body, headers } = await request(`${url}${path}`, {
    headers: { authorization: "Bearer token", "accept-encoding": "gzip" },
  })
  if (headers["content-encoding"] !== "gzip") return (await body.json()) as A
  return JSON.parse(gunzipSync(await body.arrayBuffer()).toString()) as A
}

const sync = promisify(fs.fdatasync)

await measure(async () => {
  const output = fs.createWriteStream(file)
  const [descriptor] = (await once(output, "open")) as [number]
  const start = await get<{ readonly nextPageToken: string }>(
    "/rest/v1/activities/pagingtoken.json?sinceDatetime=2026-01-01",
  )
  let token = start.nextPageToken
  let activities = 0
  for (let page = 1; ; page++) {
    const { moreResult, nextPageToken, result } = await get<Page>(
      `/rest/v1/activities.json?activityTypeIds=1&nextPageToken=${token}`,
    )
    let lines = ""
    for (const activity of result) lines += `${JSON.stringify(activity)}\n`
    if (!output.write(lines)) await once(output, "drain")
    if (pagesASync !== undefined && page % Number(pagesASync) === 0) await sync(descriptor)
    activities += result.length
    token = nextPageToken
    if (!moreResult) break
  }
  output.end()
  await once(output, "close")
  return activities
})
