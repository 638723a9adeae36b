/** What consuming is for every `KafkaClient`, in memory and over a broker. */
import { assert, describe, it } from "@effect/vitest"
import { Consumer, KafkaClient, type KafkaError, type KafkaRecord, type PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, Deferred, Duration, Effect, Fiber, type Layer, Option, Schedule, type Scope, Stream } from "effect"
import {
  beginning,
  errorsTo,
  fill,
  gapsOf,
  Ledger,
  type Line,
  member,
  next,
  quick,
  reading,
  unique,
  until,
  workThrough,
} from "./consumerKit.js"

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

/** A group that has committed the first `count` records of a partition. */
const commitFirst = (options: KafkaClient.ConsumerOptions, count: number) =>
  Effect.flatMap(KafkaClient.KafkaClient, (kafka) =>
    kafka.consume(options).pipe(
      Stream.take(1),
      Stream.runForEach((batch) => {
        batch.claim(count)
        return batch.commit(count)
      }),
    ),
  )

const all = (batch: PartitionBatch.PartitionBatch) => Chunk.size(batch.records)

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

  describe.concurrent("a member of a group", () => {
    test(
      "gives every record once, and goes on where the group has committed",
      Effect.gen(function* () {
        const topic = unique("once")
        yield* fill(topic, 6, 3000)
        const ledger = new Ledger()
        const options = { topic, groupId: topic, ...quick }
        /** Works on that many and a few more. */
        const enough = (count: number) =>
          Effect.raceFirst(
            member(options, (batch) =>
              workThrough(
                batch,
                (records) =>
                  Effect.suspend(() =>
                    ledger.size < count ? Effect.sync(() => ledger.add(records)) : Effect.sleep("1 minute"),
                  ),
                70,
              ),
            ),
            until(() => ledger.size >= count),
          )
        yield* enough(1000)
        assert.isBelow(ledger.size, 3000)
        yield* enough(3000)
        assert.strictEqual(ledger.size, 3000)
        assert.strictEqual(ledger.repeated, 0)
      }),
    )

    test(
      "gives the next batch of a partition when all of the one before was committed",
      Effect.gen(function* () {
        const topic = unique("pressure")
        // several times what one read may bring
        yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => fill(topic, 2, 4000, "x".repeat(450)))
        const kafka = yield* KafkaClient.KafkaClient
        const given: Array<PartitionBatch.PartitionBatch> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => given.push(batch))),
          Effect.forkScoped,
        )
        yield* until(() => given.length === 2)
        const [one, other] = given as [PartitionBatch.PartitionBatch, PartitionBatch.PartitionBatch]
        assert.notStrictEqual(one.partition, other.partition)
        assert.isTrue(one.hasMore)
        assert.isBelow(all(one), 6_000)
        assert.strictEqual(one.length, all(one))
        assert.deepStrictEqual(one.records, Chunk.makeBy(one.length, one.at))
        one.claim(all(one))
        yield* one.commit(all(one) - 1)
        yield* Effect.sleep("700 millis")
        assert.strictEqual(given.length, 2)
        yield* one.commit(all(one))
        other.claim(all(other))
        yield* other.commit(all(other))
        yield* until(() => given.length === 4)
        assert.isFalse(given[2]?.first)
      }),
    )

    test(
      "commits what is in flight in a rebalance, and only that",
      Effect.gen(function* () {
        const topic = unique("rebalance")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        const ledger = new Ledger()
        // the first member works on ten records while the second one joins
        const firstMember = yield* member(options, (batch) =>
          Effect.gen(function* () {
            if (yield* Deferred.succeed(held, batch)) assert.isTrue(batch.claim(10))
            else yield* workThrough(batch, (records) => Effect.sync(() => ledger.add(records)))
          }),
        ).pipe(Effect.forkScoped)
        const batch = yield* Deferred.await(held)
        assert.isTrue(batch.first)
        yield* member(options, (given) => workThrough(given, (records) => Effect.sync(() => ledger.add(records)))).pipe(
          Effect.forkScoped,
        )
        yield* until(() => !batch.claim(10))
        yield* Effect.sleep("1 second")
        assert.strictEqual(ledger.size, 0)
        assert.isTrue(yield* batch.commit(10))
        yield* until(() => ledger.size === 290)
        assert.isFalse(ledger.times.has("0@9"))
        assert.strictEqual(ledger.repeated, 0)
        yield* Fiber.interrupt(firstMember)
      }),
    )

    test(
      "the end of the stream waits for work in flight, and commits it",
      Effect.gen(function* () {
        const topic = unique("stop")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        const ending = yield* member(options, (batch) => {
          batch.claim(10)
          return Effect.asVoid(Deferred.succeed(held, batch))
        }).pipe(Effect.fork)
        const batch = yield* Deferred.await(held)
        const end = yield* Effect.fork(Fiber.interrupt(ending))
        yield* until(() => !batch.claim(10))
        yield* Effect.sleep("1 second")
        assert.isTrue(Option.isNone(yield* Fiber.poll(end)))
        assert.isTrue(yield* batch.commit(10))
        yield* Fiber.join(end).pipe(Effect.timeout("15 seconds"))
        assert.isFalse(yield* batch.commit(20))
        assert.deepStrictEqual(yield* beginning(options), { first: true, offset: 10n })
      }),
    )

    test(
      "released records are delivered again, and the end does not wait for them",
      Effect.gen(function* () {
        const topic = unique("release")
        yield* fill(topic, 1, 300)
        const options = { topic, groupId: topic, ...quick }

        const released = yield* Deferred.make<void>()
        const ending = yield* member(options, (batch) =>
          Effect.gen(function* () {
            assert.isTrue(batch.claim(10))
            yield* batch.release
            assert.isTrue(batch.claim(20))
            yield* batch.commit(5)
            yield* batch.release
            yield* Deferred.succeed(released, undefined)
          }),
        ).pipe(Effect.fork)
        yield* Effect.raceFirst(Deferred.await(released), Fiber.join(ending))
        const [took] = yield* Effect.timed(Fiber.interrupt(ending))
        assert.isBelow(Duration.toMillis(took), 15_000)
        assert.deepStrictEqual(yield* beginning(options), { first: true, offset: 5n })
      }),
    )

    test(
      "members that come and go lose and repeat nothing",
      Effect.gen(function* () {
        const topic = unique("churn")
        yield* fill(topic, 12, 24_000)
        const ledger = new Ledger()
        const options = { topic, groupId: topic, ...quick }
        const join = member(options, (batch) =>
          workThrough(batch, (records) =>
            Effect.zipRight(
              Effect.sleep(`${20 + Math.floor(Math.random() * 60)} millis`),
              Effect.sync(() => ledger.add(records)),
            ),
          ),
        ).pipe(Effect.fork)
        const members = [yield* join, yield* join]
        while (ledger.size < 24_000) {
          yield* Effect.sleep("700 millis")
          if (members.length > 2) yield* Fiber.interruptAll(members.splice(0, 1))
          else members.push(yield* join)
        }
        yield* Fiber.interruptAll(members)
        assert.strictEqual(ledger.size, 24_000)
        assert.strictEqual(ledger.repeated, 0)
      }),
    )

    test(
      "knows which partitions it never lost",
      Effect.gen(function* () {
        const topic = unique("kept")
        yield* fill(topic, 4, 4)
        const options = { topic, groupId: topic, ...quick }
        const given: Array<PartitionBatch.PartitionBatch> = []
        yield* member(options, (batch) => {
          given.push(batch)
          return workThrough(batch, () => Effect.void)
        }).pipe(Effect.forkScoped)
        yield* until(() => given.length === 4)
        const producer = yield* Effect.flatMap(KafkaClient.KafkaClient, (kafka) => kafka.producer())
        // whoever has a partition gets a record of it
        yield* Effect.forEach([0, 1, 2, 3], (partition) =>
          producer.send({ topic, partition }, [{ key: null, value: "x" }]),
        ).pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)
        const visited = new Set<number>()
        const visiting = yield* Effect.fork(
          member(options, (batch) => {
            visited.add(batch.partition)
            return workThrough(batch, () => Effect.void)
          }),
        )
        yield* until(() => visited.size === 2)
        yield* Fiber.interrupt(visiting)
        const left = given.length
        yield* until(() => new Set(given.slice(left).map(({ partition }) => partition)).size === 4)
        const returned = given.slice(4).filter(({ first }) => first)
        assert.sameMembers(
          returned.map(({ partition }) => partition),
          [...visited],
        )
      }),
    )

    test(
      "that holds a partition keeps no other from being read to its end",
      Effect.gen(function* () {
        const topic = unique("held")
        yield* fill(topic, 4, 400)
        const ledger = new Ledger()
        const held = yield* Deferred.make<PartitionBatch.PartitionBatch>()
        yield* member({ topic, groupId: topic, ...quick }, (batch) =>
          batch.partition === 2
            ? Effect.zipRight(
                Effect.sync(() => assert.isTrue(batch.claim(1))),
                Deferred.succeed(held, batch),
              )
            : workThrough(batch, (records) => Effect.sync(() => ledger.add(records)), 20),
        ).pipe(Effect.forkScoped)
        yield* until(() => ledger.size === 300)
        const producer = yield* Effect.flatMap(KafkaClient.KafkaClient, (kafka) => kafka.producer())
        yield* producer.send({ topic, partition: 3 }, [{ key: null, value: "late" }])
        yield* until(() => ledger.times.has("3@100"))
        yield* Effect.flatMap(Deferred.await(held), ({ release }) => release)
      }),
    )

    test(
      "a slow reader is given no batch that was lost before it came to it",
      Effect.gen(function* () {
        const topic = unique("slow")
        const partitions = 8
        yield* fill(topic, partitions, 800)
        const options = { topic, groupId: topic, ...quick }
        const kafka = yield* KafkaClient.KafkaClient
        const isSlow = yield* Deferred.make<void>()
        const given: Array<{ readonly isLost: boolean; readonly partition: number }> = []
        yield* kafka.consume(options).pipe(
          Stream.runForEach((batch) =>
            Effect.map(given.length === 0 ? Deferred.await(isSlow) : Effect.void, () =>
              given.push({ isLost: !batch.claim(0), partition: batch.partition }),
            ),
          ),
          Effect.forkScoped,
        )
        for (let guest = 0; guest < 8; guest++) {
          const joined = yield* Deferred.make<void>()
          const visiting = yield* Effect.fork(member(options, () => Effect.asVoid(Deferred.succeed(joined, undefined))))
          yield* Deferred.await(joined)
          yield* Fiber.interrupt(visiting)
        }
        yield* Deferred.succeed(isSlow, undefined)
        yield* until(() => new Set(given.map(({ partition }) => partition)).size === partitions)
        yield* until(() => given.filter(({ isLost }) => !isLost).length >= partitions)
        // the one that it was busy with all the time, and perhaps those of a rebalance that goes on
        assert.isAtMost(given.filter(({ isLost }) => isLost).length, 1 + partitions)
      }),
    )

    test(
      "gives each topic to those that have subscribed to it",
      Effect.gen(function* () {
        const groupId = unique("shared")
        const topics = ["constructor", "one", "other"].map((name) => `${groupId}.${name}`)
        const ledgers = new Map(topics.map((topic) => [topic, new Ledger()]))
        yield* Effect.forEach(topics, (topic) => fill(topic, 3, 300), { discard: true })
        yield* Effect.forEach([...topics, ...topics], (topic) =>
          Effect.forkScoped(reading({ topic, groupId, ...quick }, ledgers.get(topic) as Ledger)),
        )
        yield* until(() => [...ledgers.values()].every(({ size }) => size === 300))
        assert.deepStrictEqual(
          [...ledgers.values()].map(({ repeated }) => repeated),
          [0, 0, 0],
        )
      }),
    )
  })

  describe.concurrent("a gap", () => {
    test(
      "counts and logs the offsets that are gone, and goes on with the first that is left",
      Effect.suspend(() => {
        const lines: Array<Line> = []
        return Effect.gen(function* () {
          const topic = unique("gone")
          const kafka = yield* KafkaClient.KafkaClient
          yield* fill(topic, 1, 100)
          for (const from of ["earliest", "latest"] as const) {
            const options = { topic, groupId: `${topic}-${from}`, ...quick, from }
            yield* commitFirst({ ...options, from: "earliest" }, 20)
          }
          yield* kafka.deleteRecords({ topic, partition: 0 }, 60n)
          for (const from of ["earliest", "latest"] as const) {
            const options = { topic, groupId: `${topic}-${from}`, ...quick, from }
            lines.length = 0
            const before = yield* gapsOf(topic)
            // what the topic still has is not skipped, wherever a new group would begin
            assert.deepStrictEqual(
              yield* next(options, false),
              Array.from({ length: 40 }, (_, i) => 60 + i),
            )
            assert.strictEqual((yield* gapsOf(topic)) - before, 40)
            assert.lengthOf(lines, 1)
            assert.match(lines[0]?.text ?? "", /^40 offsets from 20 on were removed from partition 0 of topic gone/)
            assert.deepInclude(lines[0]?.annotations, {
              topic,
              partition: 0,
              offsets: "40",
              position: "20",
              next: "60",
            })
            // it is said once: the group stands behind the gap now
            assert.strictEqual((yield* next(options))[0], 60)
            assert.strictEqual((yield* gapsOf(topic)) - before, 40)
          }
        }).pipe(Effect.provide(errorsTo(lines)))
      }),
    )

    test(
      'fails with onGap "fail", again and again, until somebody decides',
      Effect.gen(function* () {
        const topic = unique("fail")
        const kafka = yield* KafkaClient.KafkaClient
        yield* fill(topic, 1, 100)
        const options = { topic, groupId: topic, ...quick, onGap: "fail" } as const
        yield* commitFirst(options, 20)
        yield* kafka.deleteRecords({ topic, partition: 0 }, 60n)
        for (let n = 0; n < 2; n++) {
          const error = yield* Effect.flip(next(options))
          assert.strictEqual(error.reason, "OffsetOutOfRange")
          assert.isFalse(error.isRetryable)
          assert.match(
            error.message,
            /40 offsets from 20 on were removed from partition 0.*Set the group's offset to 60/,
          )
        }
        assert.strictEqual((yield* next({ ...options, onGap: "continue" }))[0], 60)
      }).pipe(Effect.provide(errorsTo([]))),
    )

    test(
      "counts what is removed behind the batch that is worked on",
      Effect.gen(function* () {
        const topic = unique("behind")
        const kafka = yield* KafkaClient.KafkaClient
        // several times what one fetch may bring
        yield* fill(topic, 1, 5_000, "x".repeat(1_000))
        const given: Array<PartitionBatch.PartitionBatch> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => given.push(batch))),
          Effect.forkScoped,
        )
        yield* until(() => given.length === 1)
        const [batch] = given as [PartitionBatch.PartitionBatch]
        yield* kafka.deleteRecords({ topic, partition: 0 }, 4_990n)
        batch.claim(batch.length)
        assert.isTrue(yield* batch.commit(batch.length))
        yield* until(() => given.length === 2)
        assert.strictEqual(Chunk.headNonEmpty((given[1] as PartitionBatch.PartitionBatch).records).offset, 4_990n)
        assert.strictEqual(yield* gapsOf(topic), 4_990 - batch.length)
      }).pipe(Effect.provide(errorsTo([]))),
    )

    test(
      "does not count the offsets of transactions",
      Effect.gen(function* () {
        const topic = unique("transactions")
        const kafka = yield* KafkaClient.KafkaClient
        yield* kafka.createTopic({ name: topic })
        const producer = yield* kafka.transactionalProducer({ transactionalId: topic })
        const send = (value: string) =>
          producer.transaction((transaction) => transaction.send({ topic, partition: 0 }, [{ key: null, value }]))
        const abort = producer.transaction((transaction) =>
          Effect.zipRight(
            transaction.send({ topic, partition: 0 }, [{ key: null, value: "aborted" }]),
            Effect.fail("aborted" as const),
          ),
        )
        const seen: Array<number> = []
        yield* kafka.consume({ topic, groupId: topic, ...quick, onGap: "fail" }).pipe(
          Stream.runForEach((batch) =>
            workThrough(batch, (records) =>
              Effect.sync(() => seen.push(...Array.from(records, ({ offset }) => Number(offset)))),
            ),
          ),
          Effect.forkScoped,
        )
        for (let n = 1; n <= 3; n++) {
          yield* Effect.ignore(abort)
          yield* send("kept")
          yield* until(() => seen.length === n)
        }
        // each transaction takes an offset for its end
        assert.deepStrictEqual(seen, [2, 6, 10])
        assert.strictEqual(yield* gapsOf(topic), 0)
      }),
    )
  })
}
