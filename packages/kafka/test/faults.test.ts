import { assert, it } from "@effect/vitest"
import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { Deferred, Duration, Effect, Fiber, Logger, LogLevel, Stream } from "effect"
import { KafkaClient, KafkajsClient, type KafkajsOptions, type KafkaRecord } from "../src/index.js"
import { expectRead, fresh, newTopic, read, reasonOf, record, send, text } from "./contract.js"
import { api, type Fault, make } from "./faults.js"

/** The lines that are logged while `effect` runs, and their levels. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<readonly [level: string, text: string]> = []
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      lines.push([logLevel.label, `${message} ${JSON.stringify([...annotations])}`])
    })
    return effect.pipe(
      Logger.withMinimumLogLevel(LogLevel.Debug),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.as(lines),
    )
  })

describeWithKafka("when the way to the broker fails", (brokers) => {
  /** Short where a send is to be given up, and enough for one on a busy machine. */
  const deliveryTimeout = Duration.seconds(2)

  /** Clients whose requests meet `fault()`, which is asked for each of the kind `apiKey`. */
  const withFaults = (
    apiKey: number,
    fault: () => Fault,
    limits: Partial<Record<"requestTimeout" | "startTimeout" | "deliveryTimeout", Duration.Duration>> = {},
  ) =>
    KafkajsClient.layer(
      { brokers, ...limits },
      make((key) => (key === apiKey ? fault() : undefined)),
    )

  for (const [what, fault, expected] of [
    ["was carried out", "after", ["a"]],
    ["was never sent", "before", []],
  ] as const) {
    it.scopedLive(`nobody knows of a commit without an answer whether it was made; here it ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const transactionalId = fresh("id")
        const producer = yield* client.transactionalProducer({ transactionalId })
        assert.strictEqual(
          yield* reasonOf(producer.transaction((transaction) => send(transaction, topic, ["a"]))),
          "OutcomeUnknown",
        )
        assert.strictEqual(yield* reasonOf(producer.transaction(() => Effect.void)), "ProducerSpent")
        yield* client.transactionalProducer({ transactionalId }) // now it is decided
        yield* expectRead(topic, expected)
      }).pipe(Effect.provide(withFaults(api.EndTxn, times(1, fault)))),
    )
  }

  it.scopedLive("a producer whose abort has no answer is spent, the failure stays", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const topic = yield* newTopic()
      const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
      const failure = yield* Effect.flip(
        producer.transaction((transaction) => Effect.zipRight(send(transaction, topic, ["a"]), Effect.fail("no"))),
      )
      assert.strictEqual(failure, "no")
      assert.strictEqual(yield* reasonOf(producer.transaction(() => Effect.void)), "ProducerSpent")
    }).pipe(Effect.provide(withFaults(api.EndTxn, times(1, "before")))),
  )

  it.scopedLive("an interruption during the commit waits for it", () =>
    Effect.gen(function* () {
      const committing = yield* Deferred.make<void>()
      const layer = withFaults(api.EndTxn, () => {
        Deferred.unsafeDone(committing, Effect.void)
        return undefined
      })
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const fiber = yield* Effect.fork(producer.transaction((transaction) => send(transaction, topic, ["a"])))
        yield* Deferred.await(committing)
        yield* Fiber.interrupt(fiber)
        yield* producer.transaction((transaction) => send(transaction, topic, ["b"]))
        yield* expectRead(topic, ["a", "b"])
      }).pipe(Effect.provide(layer))
    }),
  )

  it.scopedLive("a send without an answer is repeated, and its records are there once", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const topic = yield* newTopic()
      const producer = yield* client.producer()
      yield* send(producer, topic, ["a", "b"])
      yield* send(producer, topic, ["c"])
      const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
      yield* transactional.transaction((transaction) => send(transaction, topic, ["d", "e"]))
      yield* expectRead(topic, ["a", "b", "c", "d", "e"])
    }).pipe(Effect.provide(withFaults(api.Produce, everyOther("after")))),
  )

  it.scopedLive("a send asks again for the coordinator of its transaction when the connection to it is cut", () =>
    Effect.gen(function* () {
      const faults: Array<Fault> = []
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        yield* producer.transaction((transaction) =>
          Effect.gen(function* () {
            yield* send(transaction, topic, ["a"])
            faults.push("after", "after")
            yield* send(transaction, topic, ["b"], 1)
            assert.isEmpty(faults)
          }),
        )
        yield* expectRead(topic, ["a", "b"])
      }).pipe(Effect.provide(withFaults(api.FindCoordinator, () => faults.shift())))
    }),
  )

  it.scopedLive("a producer goes on after a send that nobody answered, with the numbers of its records anew", () =>
    Effect.gen(function* () {
      let fault: Fault = "after"
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        assert.strictEqual(yield* reasonOf(send(producer, topic, ["a"])), "OutcomeUnknown")
        fault = undefined
        yield* send(producer, topic, ["b"]) // under the number of "a" the broker would take it for a repetition
        yield* expectRead(topic, ["a", "b"])
      }).pipe(Effect.provide(withFaults(api.Produce, () => fault, { deliveryTimeout })))
    }),
  )

  it.scopedLive("a producer counts anew also when a send without an answer is refused at its second try", () =>
    Effect.gen(function* () {
      let topic = ""
      const again: ReadonlyArray<() => Fault> = [() => "after", () => ({ answer: refusal(topic, 29) })]
      const faults: Array<() => Fault> = []
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        topic = yield* newTopic()
        const producer = yield* client.producer()
        yield* send(producer, topic, ["first"]) // the partition of a new topic may have no leader for a moment
        faults.push(...again)
        assert.strictEqual(yield* reasonOf(send(producer, topic, ["a"])), "Misconfigured")
        yield* send(producer, topic, ["b"])
        yield* expectRead(topic, ["first", "a", "b"])

        faults.push(...again)
        const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
        const refused = transactional.transaction((transaction) => send(transaction, topic, ["c"]))
        assert.strictEqual(yield* reasonOf(refused), "Misconfigured")
        assert.strictEqual(yield* reasonOf(transactional.transaction(() => Effect.void)), "ProducerSpent")
        yield* expectRead(topic, ["first", "a", "b"])
      }).pipe(Effect.provide(withFaults(api.Produce, () => faults.shift()?.())))
    }),
  )

  it.scopedLive("a refused send leaves sends to other partitions alone: none of them is in doubt", () =>
    Effect.gen(function* () {
      let topic = ""
      const faults: Array<() => Fault> = []
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        topic = yield* newTopic(6)
        const producer = yield* client.producer()
        const partitions = [0, 1, 2, 3, 4, 5]
        const sendToAll = Effect.forEach(
          partitions,
          (partition) => Effect.either(send(producer, topic, [`${partition}`], partition)),
          { concurrency: "unbounded" },
        )
        yield* sendToAll
        faults.push(() => ({ answer: refusal(topic, 29) })) // of the first of them, partition 0
        const reasons = (yield* sendToAll).map((end) => (end._tag === "Left" ? end.left.reason : "written"))
        assert.deepStrictEqual(reasons, ["Misconfigured", ...partitions.slice(1).map(() => "written")])
        yield* send(producer, topic, ["again"])
        yield* expectRead(topic, ["0", "again", ...["1", "2", "3", "4", "5"].flatMap((value) => [value, value])])
      }).pipe(Effect.provide(withFaults(api.Produce, () => faults.shift()?.())))
    }),
  )

  it.scopedLive("sends that wait for their turn are given up in time too, and nothing of them is written", () =>
    Effect.gen(function* () {
      let isFaulty = true
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        const [time, reasons] = yield* Effect.timed(
          Effect.forEach(["a", "b", "c", "d", "e", "f"], (value) => reasonOf(send(producer, topic, [value])), {
            concurrency: "unbounded",
          }),
        )
        assert.deepStrictEqual(reasons, ["OutcomeUnknown", ...Array.from({ length: 5 }, () => "Unavailable")])
        assert.isBelow(Duration.toMillis(time), 2 * Duration.toMillis(deliveryTimeout))
        isFaulty = false
        yield* send(producer, topic, ["g"])
        yield* expectRead(topic, ["g"])
      }).pipe(Effect.provide(withFaults(api.Produce, () => (isFaulty ? "lose" : undefined), { deliveryTimeout })))
    }),
  )

  it.scopedLive("a producer is spent also when the send without an answer was not the first one to fail", () =>
    Effect.gen(function* () {
      let fault: Fault
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const transactionalId = fresh("id")
        const producer = yield* client.transactionalProducer({ transactionalId })
        const refused = producer.transaction((transaction) =>
          Effect.gen(function* () {
            yield* Effect.ignore(send(transaction, topic, ["x".repeat(2_000_000)], 1))
            fault = "after"
            yield* send(transaction, topic, ["a"])
          }),
        )
        assert.strictEqual(yield* reasonOf(refused), "OutcomeUnknown")
        fault = undefined
        // under the number of "a" the broker would take "b" for a repetition
        const next = producer.transaction((transaction) => send(transaction, topic, ["b"]))
        assert.strictEqual(yield* reasonOf(next), "ProducerSpent")
        const newer = yield* client.transactionalProducer({ transactionalId })
        yield* newer.transaction((transaction) => send(transaction, topic, ["b"]))
        yield* expectRead(topic, ["b"])
      }).pipe(Effect.provide(withFaults(api.Produce, () => fault, { deliveryTimeout })))
    }),
  )

  for (const [what, fault] of [
    ["cuts the connection", "before"],
    ["says nothing", "lose"],
  ] as const) {
    it.scopedLive(`a send and an end are given up in time when the broker ${what}`, () =>
      Effect.gen(function* () {
        let isFaulty = true
        yield* Effect.gen(function* () {
          const client = yield* KafkaClient.KafkaClient
          const topic = yield* newTopic()
          const producer = yield* client.producer()
          const transactional = yield* client.transactionalProducer({ transactionalId: fresh("id") })
          const [time, reasons] = yield* Effect.timed(
            Effect.all(
              [
                reasonOf(send(producer, topic, ["a"])),
                reasonOf(transactional.transaction((transaction) => send(transaction, topic, ["a"]))),
              ],
              { concurrency: "unbounded" },
            ),
          )
          assert.deepStrictEqual(reasons, ["OutcomeUnknown", "OutcomeUnknown"])
          assert.isBelow(Duration.toMillis(time), 15_000)
          isFaulty = false
          yield* send(producer, topic, ["later"])
          yield* expectRead(topic, ["later"])
        }).pipe(Effect.provide(withFaults(api.Produce, () => (isFaulty ? fault : undefined), { deliveryTimeout })))
      }),
    )
  }

  for (const [where, late] of [
    ["to a partition that is new to it", (topic: string) => ({ topic, partition: 1 })],
    ["to the same partition", (topic: string) => ({ topic, partition: 0 })],
  ] as const) {
    it.scopedLive(`an older producer is fenced in the middle of its transaction, at a send ${where}`, () =>
      Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic(2)
        const transactionalId = fresh("id")
        const older = yield* client.transactionalProducer({ transactionalId })
        const reason = yield* reasonOf(
          older.transaction((transaction) =>
            Effect.gen(function* () {
              yield* send(transaction, topic, ["old"])
              yield* client.transactionalProducer({ transactionalId })
              yield* transaction.send(late(topic), [record("older")])
            }),
          ),
        )
        assert.strictEqual(reason, "Fenced")
        assert.deepStrictEqual(yield* read(topic), [])
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers }))),
    )
  }

  it.scopedLive("an older producer is fenced at its commit", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const topic = yield* newTopic()
      const transactionalId = fresh("id")
      const older = yield* client.transactionalProducer({ transactionalId })
      const reason = yield* reasonOf(
        older.transaction((transaction) =>
          Effect.zipRight(send(transaction, topic, ["old"]), client.transactionalProducer({ transactionalId })),
        ),
      )
      assert.strictEqual(reason, "Fenced")
      assert.deepStrictEqual(yield* read(topic), [])
    }).pipe(Effect.provide(KafkajsClient.layer({ brokers }))),
  )

  /** A client to whose brokers every connection is cut after `cut()`. */
  const severed = (limits: Omit<KafkajsOptions.Options, "brokers">) => {
    let isCut = false
    return {
      cut: () => {
        isCut = true
      },
      mend: () => {
        isCut = false
      },
      layer: KafkajsClient.layer(
        { brokers, ...limits },
        make(() => (isCut ? "before" : undefined)),
      ),
    }
  }

  it.scopedLive("what a send needs first, a new connection or the topic, is given up in time as well", () =>
    Effect.gen(function* () {
      const { cut, layer } = severed({ startTimeout: Duration.seconds(5), deliveryTimeout })
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        yield* send(producer, topic, ["a"])
        cut()
        assert.strictEqual(yield* reasonOf(send(producer, topic, ["b"])), "OutcomeUnknown")
        const [time, reasons] = yield* Effect.timed(
          Effect.all([reasonOf(send(producer, topic, ["c"])), reasonOf(send(producer, fresh("other"), ["c"]))], {
            concurrency: "unbounded",
          }),
        )
        assert.deepStrictEqual(reasons, ["Unavailable", "Unavailable"])
        assert.isBelow(Duration.toMillis(time), 15_000)
      }).pipe(Effect.provide(layer))
    }),
  )

  it.scopedLive("a producer that could not be made fences nobody later", () =>
    Effect.gen(function* () {
      const { cut, layer, mend } = severed({ startTimeout: Duration.seconds(5) })
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const transactionalId = fresh("id")
        cut()
        assert.strictEqual(yield* reasonOf(client.transactionalProducer({ transactionalId })), "Unavailable")
        mend()
        const producer = yield* client.transactionalProducer({ transactionalId })
        yield* Effect.sleep("1500 millis") // kafkajs tries again within a second
        yield* producer.transaction((transaction) => send(transaction, topic, ["a"]))
      }).pipe(Effect.provide(layer))
    }),
  )

  /** 300 records of 10 kB. */
  const many = Array.from({ length: 300 }, (_, index) => `${index} `.padEnd(10_000, "x"))
  const manyRecords = many.map(record) as [KafkaRecord.ProducerRecord, ...Array<KafkaRecord.ProducerRecord>]

  it.scopedLive("3 MB for one partition go out in parts, in order, also where the topic takes less than usual", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const [topic, strict] = [yield* newTopic(), yield* newTopic(1, { "max.message.bytes": "300000" })]
      const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
      yield* producer.transaction((transaction) =>
        Effect.all(
          [topic, strict].map((to) => transaction.send({ topic: to, partition: 0 }, manyRecords)),
          { concurrency: "unbounded" },
        ),
      )
      yield* expectRead(topic, many)
      yield* expectRead(strict, many)
      const error = yield* Effect.flip(
        producer.transaction((transaction) =>
          transaction.send({ topic: strict, partition: 0 }, [
            ...manyRecords,
            record("y".repeat(400_000)),
            ...manyRecords,
          ]),
        ),
      )
      assert.deepStrictEqual([error.reason, error.index], ["RecordTooLarge", 300])
    }).pipe(Effect.provide(KafkajsClient.layer({ brokers }))),
  )

  it.scopedLive("a read goes on after its connection was cut, and gives each record once", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const topic = yield* newTopic()
      const producer = yield* client.producer()
      for (let round = 0; round < 2; round++) yield* producer.send({ topic, partition: 0 }, manyRecords)
      assert.deepStrictEqual((yield* read(topic)).map(text), [...many, ...many])
    }).pipe(Effect.provide(withFaults(api.Fetch, times(4, "after")))),
  )

  it.scopedLive("a read that does not move is an error that says where, not an end", () =>
    Effect.gen(function* () {
      const client = yield* KafkaClient.KafkaClient
      const topic = yield* newTopic()
      const producer = yield* client.producer()
      yield* send(producer, topic, ["a"])
      const error = yield* Effect.flip(read(topic))
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.message, "partition 0 has not moved from offset 0 of 1")
    }).pipe(Effect.provide(withFaults(api.Fetch, () => "lose", { startTimeout: Duration.seconds(5) }))),
  )

  it.scopedLive("a slow reader is not overrun, and one that has enough ends at once", () =>
    Effect.gen(function* () {
      const transport = make(() => undefined)
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        for (let round = 0; round < 4; round++) yield* producer.send({ topic, partition: 0 }, manyRecords) // 12 MB
        const before = transport.received
        const [time] = yield* Effect.timed(
          client.read(topic).pipe(
            Stream.take(1),
            Stream.mapEffect(() => Effect.sleep("500 millis")),
            Stream.runDrain,
          ),
        )
        assert.isBelow(transport.received - before, 6_000_000)
        assert.isBelow(Duration.toMillis(time), 15_000)
      }).pipe(Effect.provide(KafkajsClient.layer({ brokers }, transport)))
    }),
  )

  it.scopedLive("a reader that must not be interrupted ends as soon as it has enough", () =>
    Effect.gen(function* () {
      const { cut, layer } = severed({})
      yield* Effect.gen(function* () {
        const client = yield* KafkaClient.KafkaClient
        const topic = yield* newTopic()
        const producer = yield* client.producer()
        for (let round = 0; round < 2; round++) yield* producer.send({ topic, partition: 0 }, manyRecords)
        const reading = client.read(topic).pipe(
          Stream.take(1),
          Stream.tap(() => Effect.sync(cut)),
          Stream.runDrain,
        )
        const [time] = yield* Effect.timed(Effect.uninterruptible(reading))
        assert.isBelow(Duration.toMillis(time), 15_000)
      }).pipe(Effect.provide(layer))
    }),
  )

  it.scopedLive(
    "kafkajs's lines come to the log: none while all is well, each once in an outage, never with a record",
    () =>
      Effect.gen(function* () {
        // what a new topic's first record meets may be worth a line
        const topic = yield* Effect.gen(function* () {
          const client = yield* KafkaClient.KafkaClient
          const topic = yield* newTopic()
          const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
          yield* producer.transaction((transaction) => send(transaction, topic, ["the contents"]))
          return topic
        }).pipe(Effect.provide(KafkajsClient.layer({ brokers })))
        const transact = Effect.gen(function* () {
          const client = yield* KafkaClient.KafkaClient
          const producer = yield* client.transactionalProducer({ transactionalId: fresh("id") })
          // one right after the other: the next often meets the end of the one before
          for (let n = 0; n < 30; n++) {
            yield* producer.transaction((transaction) => send(transaction, topic, ["the contents"]))
          }
        })
        const healthy = yield* logged(Effect.scoped(Effect.provide(transact, KafkajsClient.layer({ brokers }))))
        assert.isNotEmpty(healthy)
        assert.deepStrictEqual(
          healthy.filter(([level]) => level !== "DEBUG"),
          [],
        )
        const cut = yield* logged(Effect.scoped(Effect.provide(transact, withFaults(api.Produce, times(8, "before")))))
        const warnings = cut.filter(([level]) => level !== "DEBUG").map(([, text]) => text.replace(/ \[.*/, ""))
        assert.isTrue(warnings.some((text) => text.includes("cut by the test")))
        assert.strictEqual(new Set(warnings).size, warnings.length)
        assert.notInclude(JSON.stringify([healthy, cut]), "the contents")
      }),
  )
})

/** The first `count` requests. */
const times = (count: number, fault: Fault) => {
  let asked = 0
  return () => (asked++ < count ? fault : undefined)
}

/** The first, the third, … */
const everyOther = (fault: Fault) => {
  let asked = 0
  return () => (asked++ % 2 === 0 ? fault : undefined)
}

/** An answer to Produce: what the broker holds against a send to partition 0, by Kafka's number of the error. */
const refusal = (topic: string, error: number): Buffer => {
  const [name, rest] = [Buffer.from(topic), Buffer.alloc(38)]
  rest.writeInt32BE(1)
  rest.writeInt16BE(error, 8)
  const head = Buffer.alloc(6)
  head.writeInt32BE(1)
  head.writeInt16BE(name.length, 4)
  return Buffer.concat([head, name, rest])
}
