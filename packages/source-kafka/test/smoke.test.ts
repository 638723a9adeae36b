import { assert, it } from "@effect/vitest"
import { KafkaClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { CustomActivitySource } from "@effect-marketo/source-kafka"
import { Effect, Layer } from "effect"
import { addCalls, fill, marketo, quick, record, stored, take, topics } from "./support/kit.js"

describeWithKafka("smoke", (brokers) => {
  it.scopedLive(
    "moves 10,000",
    () =>
      Effect.gen(function* () {
        const t = yield* topics("smoke", 12)
        yield* fill(
          t,
          Array.from({ length: 10_000 }, (_, n) => record(n)),
        )
        const t0 = Date.now()
        const total = yield* take(10_000)(
          CustomActivitySource.stream({ ...quick, topic: t.topic, groupId: t.topic, deadLetterTopic: t.dead }),
        )
        console.log(total, Date.now() - t0)
        const calls = yield* addCalls
        console.log(calls.length, calls.map((c) => c.records).join(" "))
        assert.strictEqual((yield* stored).size, 10_000)
      }).pipe(Effect.provide(Layer.merge(marketo({ latency: "150 millis" }), KafkaClient.layer({ brokers })))),
    60_000,
  )
})
