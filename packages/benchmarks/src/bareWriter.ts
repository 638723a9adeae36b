/**
 * The bare loop that writing is compared with: `JSON.stringify` and a POST for each batch.
 *
 *     node bareWriter.js URL BATCHES
 */
import { request } from "undici"
import { measure } from "./measured.js"
import { batch } from "./records.js"

const [url = "", batches = ""] = process.argv.slice(2)

await measure(async () => {
  let added = 0
  for (let number = 0; number < Number(batches); number++) {
    const { body } = await request(`${url}/rest/v1/activities/external.json`, {
      method: "POST",
      headers: { authorization: "Bearer token", "content-type": "application/json" },
      body: JSON.stringify({ input: batch(number) }),
    })
    const { result } = (await body.json()) as { readonly result: ReadonlyArray<unknown> }
    added += result.length
  }
  return added
})
