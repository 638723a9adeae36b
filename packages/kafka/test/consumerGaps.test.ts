import { assert, describe, it } from "@effect/vitest"
import { KafkajsClient } from "@effect-marketo/kafka"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Effect, Option, Schedule } from "effect"
import kafkajs from "kafkajs"
import { errorsTo, fill, gapsOf, type Line, member, next, quick, unique, until, workThrough } from "./consumerKit.js"

describeWithKafka("a partition that does not have the next offset", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })

  const withAdmin = (use: (admin: kafkajs.Admin) => Promise<unknown>) =>
    Effect.promise(async () => {
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
      await admin.connect()
      await use(admin).finally(() => admin.disconnect())
    })

  describe.concurrent("consuming it", () => {
    it.scopedLive("reads a partition that ends before the committed offset from where `from` says", () => {
      const lines: Array<Line> = []
      return Effect.gen(function* () {
        const topic = unique("anew")
        yield* fill(topic, 1, 10)
        const options = { topic, groupId: topic, ...quick }
        // as the one before it, with more records, had left it
        const partitions = [{ partition: 0, offset: "100" }]
        yield* withAdmin((admin) => admin.setOffsets({ groupId: topic, topic, partitions }))
        assert.deepStrictEqual(yield* next(options), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        assert.strictEqual(yield* gapsOf(topic), 90)
        assert.match(lines[0]?.text ?? "", /ends 90 offsets before 100.*the topic was made anew/)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo(lines)))
    })

    it.scopedLive("reads all of a topic that is made anew while it is consumed", () =>
      Effect.gen(function* () {
        const topic = unique("again")
        yield* fill(topic, 1, 100)
        const seen: Array<string> = []
        yield* member({ topic, groupId: topic, ...quick }, (batch) =>
          workThrough(batch, (records) =>
            Effect.sync(() => {
              for (const { value } of records) seen.push(`${Option.getOrNull(value)}`)
            }),
          ),
        ).pipe(Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 50 }), Effect.forkScoped)
        yield* until(() => seen.length === 100)
        yield* withAdmin((admin) => admin.deleteTopics({ topics: [topic] }))
        // fewer than before: a member that looks only when there are more cannot tell that the topic is another one
        yield* Effect.retry(fill(topic, 1, 50, "new"), { times: 50 })
        yield* until(() => seen.filter((value) => value === "new").length === 50)
      }).pipe(Effect.provide(layer), Effect.provide(errorsTo([]))),
    )
  })
})
