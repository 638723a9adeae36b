/**
 * The bare loop that the source is compared with: kafkajs's `eachBatch`, `JSON.parse`, and a POST of 300 records, one after the
 * other. Nothing is checked, settled or retried. With ONE it posts record by record, as a loop over messages does.
 *
 *     node bareSource.js BROKERS TOPIC URL RECORDS [ONE]
 */
import kafkajs from "kafkajs"
import { Agent, request } from "undici"
import { measure } from "./measured.js"

const [brokers = "", topic = "", url = "", count = "", one] = process.argv.slice(2)
const size = one === undefined ? 300 : 1
const dispatcher = new Agent()

const post = async (input: ReadonlyArray<unknown>): Promise<number> => {
  const { body } = await request(`${url}/rest/v1/activities/external.json`, {
    method: "POST",
    headers: { authorization: `Bearer ${process.env.TOKEN ?? "token"}`, "content-type": "application/json" },
    body: JSON.stringify({ input }),
    dispatcher,
  })
  const { result } = (await body.json()) as { readonly result: ReadonlyArray<unknown> }
  return result.length
}

const kafka = new kafkajs.Kafka({ brokers: brokers.split(","), logLevel: kafkajs.logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: `bare-${process.hrtime.bigint()}`, maxWaitTimeInMs: 500 })

await measure(async () => {
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let added = 0
  return await new Promise<number>((resolve) =>
    consumer.run({
      partitionsConsumedConcurrently: 5,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch }) => {
        for (let from = 0; from < batch.messages.length && added < Number(count); from += size) {
          const records = batch.messages.slice(from, from + size).map(({ value }) => JSON.parse(String(value)))
          const posted = await post(records)
          added += posted
          if (added >= Number(count)) resolve(added)
        }
      },
    }),
  )
})
process.exit()
