/** What consuming is for every `KafkaClient`, in memory and over a broker. */
import { assert, describe, it } from "@effect/vitest"
import { Consumer, KafkaClient, type KafkaError, type KafkaRecord, type PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, Deferred, Effect, Fiber, type Layer, Option, type Scope, Stream } from "effect"
import { fill, Ledger, member, quick, unique, until, workThrough } from "./consumerKit.js"

const numbers = (records: Iterable<KafkaRecord.ConsumerRecord>) => Array.from(records, ({ offset }) => Number(offset))

const range = (from: number, until: number) => Array.from({ length: until - from }, (_, i) => from + i)

const committed = (groupId: string, topic: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) => kafka.committedOffsets(groupId, topic))

/** Gives the first batch of a topic of one partition to `work`, as a member that leaves when the work is done. */
const withBatch = <E, R>(
  options: KafkaClient.ConsumerOptions,
  work: (batch: PartitionBatch.PartitionBatch) => Effect.Effect<void, E, R>,
) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(Stream.take(1), Stream.runForEach(work)),
  )

export const consumerContract = (layer: Layer.Layer<KafkaClient.KafkaClient, KafkaError.KafkaError>) => {
  const test = <E>(name: string, effect: Effect.Effect<void, E, KafkaClient.KafkaClient | Scope.Scope>) =>
    it.scopedLive(name, () => Effect.provide(effect, layer))

  describe.concurrent("batch.use", () => {
    test(
      "works on the next records, commits them, and says when the batch is over",
      Effect.gen(function* () {
        const topic = unique("use")
        yield* fill(topic, 1, 25)
        const worked: Array<ReadonlyArray<number>> = []
        const answers: Array<boolean> = []
        yield* withBatch({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            for (let n = 0; n < 4; n++) {
              const before = (yield* committed(topic, topic)).get(0) ?? 0n
              answers.push(
                yield* batch.use(10, (records) =>
                  Effect.gen(function* () {
                    worked.push(numbers(records))
                    // not before the work has succeeded
                    assert.strictEqual((yield* committed(topic, topic)).get(0) ?? 0n, before)
                  }),
                ),
              )
            }
          }),
        )
        assert.deepStrictEqual(worked, [range(0, 10), range(10, 20), range(20, 25)])
        assert.deepStrictEqual(answers, [true, true, true, false])
        assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 25n]]))
      }),
    )

    test(
      "commits nothing of work that fails or is interrupted, and begins with the same records again",
      Effect.gen(function* () {
        const topic = unique("use-fails")
        yield* fill(topic, 1, 25)
        yield* withBatch({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.gen(function* () {
            yield* batch.use(10, () => Effect.void)
            assert.strictEqual(yield* Effect.flip(batch.use(10, () => Effect.fail("no"))), "no")
            const begun = yield* Deferred.make<void>()
            const working = yield* Effect.fork(
              batch.use(5, () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)),
            )
            yield* Deferred.await(begun)
            yield* Fiber.interrupt(working)
            assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 10n]]))
            let again: ReadonlyArray<number> = []
            assert.isTrue(yield* batch.use(100, (records) => Effect.sync(() => (again = numbers(records)))))
            assert.deepStrictEqual(again, range(10, 25))
          }),
        )
        assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 25n]]))
      }),
    )

    test(
      "runs one call after the other",
      Effect.gen(function* () {
        const topic = unique("use-in-turn")
        yield* fill(topic, 1, 30)
        const worked: Array<ReadonlyArray<number>> = []
        let running = 0
        yield* withBatch({ topic, groupId: topic, ...quick }, (batch) =>
          Effect.all(
            Effect.replicate(
              batch.use(10, (records) =>
                Effect.gen(function* () {
                  assert.strictEqual(++running, 1)
                  worked.push(numbers(records))
                  yield* Effect.yieldNow()
                  running--
                }),
              ),
              3,
            ),
            { concurrency: "unbounded" },
          ),
        )
        assert.deepStrictEqual(worked, [range(0, 10), range(10, 20), range(20, 30)])
      }),
    )

    test(
      "finishes and commits its work when the partition is revoked, and does not begin the next",
      Effect.gen(function* () {
        const topic = unique("use-revoked")
        yield* fill(topic, 1, 30)
        const options = { topic, groupId: topic, ...quick }
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        yield* member(options, (batch) => Effect.asVoid(Deferred.succeed(held, batch))).pipe(Effect.forkScoped)
        const batch = yield* Deferred.await(held)
        const begun = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const working = yield* Effect.fork(
          batch.use(10, () => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(goOn))),
        )
        yield* Deferred.await(begun)
        const ledger = new Ledger()
        yield* Effect.forkScoped(
          member(options, (given) => workThrough(given, (records) => Effect.sync(() => ledger.add(records)))),
        )
        yield* until(() => !batch.claim(10))
        yield* Deferred.succeed(goOn, undefined)
        assert.isTrue(yield* Fiber.join(working))
        assert.isFalse(yield* batch.use(10, () => Effect.die("was revoked")))
        // whoever has the partition then begins behind what was committed
        const first = (yield* committed(topic, topic)).get(0) ?? 0n
        assert.isAtLeast(Number(first), 10)
        assert.isFalse(ledger.times.has("0@9"))
      }),
    )
  })

  describe.concurrent("Consumer.forEach", () => {
    test(
      "keeps the order of each partition, with partitions in parallel, and commits after each success",
      Effect.gen(function* () {
        const topic = unique("for-each")
        yield* fill(topic, 3, 300)
        const options = { topic, groupId: topic, ...quick, maxRecords: 40 }
        const worked = new Map<number, Array<number>>()
        const running = new Set<number>()
        const allRun = yield* Deferred.make<void>()
        yield* Consumer.forEach(options, (records) =>
          Effect.gen(function* () {
            const { offset, partition } = Chunk.headNonEmpty(records)
            assert.isAtMost(records.length, 40)
            assert.isTrue([...records].every((record) => record.partition === partition))
            assert.isFalse(running.has(partition))
            running.add(partition)
            assert.strictEqual((yield* committed(topic, topic)).get(partition) ?? 0n, offset)
            // none ends before all have begun
            if (running.size === 3) yield* Deferred.succeed(allRun, undefined)
            yield* Deferred.await(allRun)
            worked.set(partition, [...(worked.get(partition) ?? []), ...numbers(records)])
            running.delete(partition)
          }),
        ).pipe(Effect.forkScoped)
        const isAllCommitted = Effect.map(committed(topic, topic), (offsets) =>
          [0, 1, 2].every((partition) => offsets.get(partition) === 100n),
        )
        yield* Effect.repeat(isAllCommitted, { until: (isAll) => isAll }).pipe(Effect.timeout("1 minute"))
        assert.deepStrictEqual(
          [0, 1, 2].map((partition) => worked.get(partition)),
          [range(0, 100), range(0, 100), range(0, 100)],
        )
      }),
    )

    test(
      "ends with the error of work that fails, commits nothing of it, and interrupts the work on other partitions",
      Effect.gen(function* () {
        const topic = unique("for-each-fails")
        yield* fill(topic, 2, 200)
        const options = { topic, groupId: topic, ...quick, maxRecords: 10 }
        const isHeld = yield* Deferred.make<void>()
        let isInterrupted = false
        const error = yield* Consumer.forEach(options, (records) => {
          const { offset, partition } = Chunk.headNonEmpty(records)
          if (partition === 1) {
            return Deferred.succeed(isHeld, undefined).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Effect.sync(() => (isInterrupted = true))),
            )
          }
          return offset < 20n ? Effect.void : Effect.zipRight(Deferred.await(isHeld), Effect.fail("no" as const))
        }).pipe(Effect.flip)
        assert.strictEqual(error, "no")
        assert.isTrue(isInterrupted)
        assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 20n]]))

        const ledger = new Ledger()
        yield* Effect.raceFirst(
          Consumer.forEach(options, (records) => Effect.sync(() => ledger.add(records))),
          until(() => ledger.size === 180),
        )
        assert.strictEqual(ledger.repeated, 0)
        assert.isFalse(ledger.times.has("0@19"))
      }),
    )

    test(
      "that is interrupted interrupts its work, and the records are delivered again",
      Effect.gen(function* () {
        const topic = unique("for-each-ends")
        yield* fill(topic, 1, 20)
        const options = { topic, groupId: topic, ...quick, maxRecords: 10 }
        const isHeld = yield* Deferred.make<void>()
        const running = yield* Effect.fork(
          Consumer.forEach(options, (records) =>
            Chunk.headNonEmpty(records).offset === 0n
              ? Effect.void
              : Effect.zipRight(Deferred.succeed(isHeld, undefined), Effect.never),
          ),
        )
        yield* Deferred.await(isHeld)
        yield* Fiber.interrupt(running)
        const kafka = yield* KafkaClient.KafkaClient
        const next = Option.getOrThrow(yield* Stream.runHead(kafka.consume(options)))
        assert.deepStrictEqual(numbers(next.records), range(10, 20))
        assert.isTrue(next.first)
      }),
    )
  })
}
