/**
 * Every activity of an instance in a Kafka topic, exactly once, whatever happens on the way. Run it again, and it goes on where
 * the topic ends.
 *
 *     npm run broker        # a Kafka on this machine; it prints KAFKA_BROKERS=127.0.0.1:…
 *     KAFKA_BROKERS=127.0.0.1:… node --conditions=@effect-marketo/source --import tsx examples/src/activities-to-kafka.ts
 *
 * It reads a simulated instance, or a real one as `connection.ts` says. Then it reads the topic, as its consumers do, and
 * prints:
 *
 *     activities written now    5,000
 *     records in the topic      5,000
 *     different activities      5,000
 *     repeated                      0
 *
 * Start it a second time while the first one works: the second goes on from where the first is, and the first ends with
 *
 *     kafka: cannot write batch 6 of simulator/activities-to-kafka: another producer of this transactional id took over: stop (Fenced): …
 */
import { Activities, Feed, Pipeline } from "@effect-marketo/core"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { KafkaSink } from "@effect-marketo/sink-kafka"
import { Main } from "@effect-marketo/sink-stdout"
import { Config, Console, Effect, Layer, Stream } from "effect"
import * as Connection from "./connection.js"
import { table } from "./table.js"

const topic = "marketo.activities"

/** What consumers see, by the header that tells activities apart. */
const count = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  const guids = new Set<string>()
  let records = 0
  yield* Stream.runForEachChunk(kafka.read(topic), (chunk) =>
    Effect.sync(() => {
      records += chunk.length
      for (const { headers } of chunk) {
        for (const guid of headers["marketo-guid"] ?? []) guids.add(Buffer.from(guid ?? "").toString())
      }
    }),
  )
  return { records, different: guids.size }
})

const program = Effect.gen(function* () {
  const activities = yield* Activities.Activities
  const types = yield* activities.types
  const written = yield* Pipeline.run({
    name: "activities-to-kafka",
    feed: Feed.leadActivities({ activityTypeIds: types.map(({ id }) => id) }),
    since: Connection.since,
    // page by page and not too fast, so that there is time to start it a second time
    batch: { maxCount: 300 },
    transform: (records) => Effect.delay(Effect.succeed(records), "200 millis"),
  })
  // a commit is answered a moment before readers may see it
  const { different, records } = yield* Effect.delay(count, "1 second")
  yield* Console.log(
    table([
      ["activities written now", written.records],
      ["records in the topic", records],
      ["different activities", different],
      ["repeated", records - different],
    ]),
  )
})

const Kafka = KafkajsClient.layerConfig({ brokers: Config.array(Config.string(), "KAFKA_BROKERS") })
const Sink = Layer.provideMerge(KafkaSink.layer({ topic, createTopics: true }), Kafka)

program.pipe(Effect.provide([Connection.layer, Sink]), Main.runMain)
