/**
 * The bare loop that writing is compared with: `JSON.stringify` and a POST for each batch, so many at once.
 *
 *     node bareWriter.js URL BATCHES [LANES TOKEN]
 */
import { request } from "undici"
import { measure } from "./measured.js"
import { batch } from "./records.js"

const [url = "", batches = "", lanes = "1", token = "token"] = process.argv.slice(2)

let added = 0
let next = 0

const write = async () => {
  while (next < Number(batches)) {
    const { body } = await request(`${url}/rest/v1/activities/external.json`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ input: batch(next++) }),
    })
    const { result } = (await body.json()) as { readonly result: ReadonlyArray<unknown> }
    added += result.length
  }
}

await measure(async () => {
  await Promise.all(Array.from({ length: Number(lanes) }, write))
  return added
})
