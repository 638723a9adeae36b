/**
 * Ours: pages through the Kafka sink.
 *
 *     node kafkaWriter.js BROKERS TOPIC PAGES PAGES_A_TRANSACTION
 */
import { Checkpoint } from "@effect-marketo/core"
import { KafkajsClient } from "@effect-marketo/kafka"
import { KafkaSink } from "@effect-marketo/sink-kafka"
import { Chunk, DateTime, Effect } from "effect"
import { pages } from "./kafkaPages.js"
import { measure } from "./measured.js"

const [brokers = "", topic = "", count = "", together = ""] = process.argv.slice(2)
const subscription = { instance: "bench", name: "bench" }
const distinct = await pages

const checkpoint = (sequence: number) =>
  new Checkpoint.Checkpoint({
    v: 1,
    instance: subscription.instance,
    subscription: subscription.name,
    sequence,
    positions: [
      new Checkpoint.Position({
        query: "activityTypeIds=1",
        token: `${sequence}`.padStart(52, "A"),
        through: DateTime.unsafeMake(0),
      }),
    ],
  })

/** The records of the transaction that begins with page `from`. */
const records = (from: number) =>
  Chunk.flatten(
    Chunk.unsafeFromArray(
      Array.from({ length: Number(together) }, (_, i) => distinct[(from + i) % distinct.length] ?? Chunk.empty()),
    ),
  )

const program = Effect.gen(function* () {
  const sink = yield* KafkaSink.make({ topic, prefix: topic, createTopics: true })
  const writer = yield* sink.open(subscription)
  return () =>
    Effect.gen(function* () {
      let written = 0
      for (let page = 0, sequence = 1; page < Number(count); page += Number(together), sequence++) {
        const batch = { records: records(page), rejected: Chunk.empty(), checkpoint: checkpoint(sequence) }
        yield* writer.write(batch)
        written += batch.records.length
      }
      return written
    })
})

await program.pipe(
  Effect.flatMap((write) => Effect.promise(() => measure(() => Effect.runPromise(Effect.orDie(write()))))),
  Effect.scoped,
  Effect.provide(KafkajsClient.layer({ brokers: brokers.split(",") })),
  Effect.runPromise,
)
