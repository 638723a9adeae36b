/** One record, key or partition holds up nobody but itself, whatever it waits for. */
import { assert, describe, it } from "@effect/vitest"
import { CustomActivities, CustomActivity, MarketoError } from "@effect-marketo/core"
import { KafkaClient, KafkaError, Partitioner } from "@effect-marketo/kafka"
import { CustomActivitySource, DeadLetter } from "@effect-marketo/source-kafka"
import { Chunk, Clock, DateTime, Deferred, Effect, Fiber, Layer, Option, Stream, TestClock } from "effect"
import * as Feed from "./support/feed.js"
import {
  addCalls,
  booking,
  fill,
  identity,
  marketo,
  now,
  quiet,
  repeated,
  skipping,
  stored,
  take,
  topics,
} from "./support/kit.js"

const layer = Layer.mergeAll(Feed.layer, marketo(), quiet).pipe(
  Layer.provideMerge(Layer.effectDiscard(TestClock.setTime(DateTime.toEpochMillis(now)))),
)

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

const partitions = 12

/** A key of each partition. */
const keys = range(partitions).map(
  (partition) =>
    range(1_000)
      .map(String)
      .find((key) => Partitioner.partition(key, partitions) === partition) ?? "",
)

const LOCKED = 100_049

/** Record `n` is in partition `n % partitions`. The first record of each partition in `locked` is of the locked lead. */
const topicOf = (count: number, locked: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const place = yield* topics("isolation", partitions)
    yield* fill(
      place,
      range(count).map((n) => ({
        key: keys[n % partitions] ?? "",
        value: booking(n, { leadId: locked.includes(n) ? LOCKED : 100_000 + (n % 49) }),
      })),
    )
    return place
  })

type Place = Effect.Effect.Success<ReturnType<typeof topicOf>>

const source = ({ dead, topic }: Place, options: Partial<CustomActivitySource.Options> = {}) =>
  CustomActivitySource.stream({
    topic,
    groupId: topic,
    deadLetterTopic: dead,
    batch: { maxWait: "1 seconds" },
    ...options,
  })

const letters = (topic: string) =>
  Effect.flatMap(KafkaClient.KafkaClient, (client) =>
    Effect.map(Stream.runCollect(client.read(topic)), (records) =>
      Chunk.toReadonlyArray(records).map((one) => Option.getOrThrow(DeadLetter.fromRecord(one))),
    ),
  )

const committed = Effect.map(Feed.Feed, (feed) => range(partitions).map((partition) => feed.committed(partition)))

describe("a locked lead", () => {
  const locked = Layer.provideMerge(
    skipping("719", ({ leadId }) => leadId === LOCKED),
    layer,
  )

  for (const onAssign of ["write", "readBack"] as const) {
    for (const [stuck, lanes] of [
      [1, 1],
      [1, 5],
      [9, 2],
    ] as const) {
      it.effect(`in ${stuck} of 12 partitions holds up no other, with ${lanes} lanes (${onAssign})`, () =>
        Effect.gen(function* () {
          const count = 1_200
          const place = yield* topicOf(count, range(stuck))
          const fiber = yield* Effect.fork(
            take(count)(
              source(place, { onAssign, concurrency: lanes, retryFor: "1 minutes", unknown: { visibilityDelay: 0 } }),
            ),
          )
          yield* TestClock.adjust("20 seconds")
          const own = count / partitions
          const done = yield* committed
          assert.deepStrictEqual(
            done,
            range(partitions).map((partition) => (partition < stuck ? 0 : own)),
          )
          yield* TestClock.adjust("80 seconds")
          const { added, confirmed, deadLettered } = yield* Fiber.join(fiber)
          assert.deepStrictEqual([added + confirmed, deadLettered], [count - stuck, stuck])
          assert.deepStrictEqual([(yield* stored).size, repeated(yield* stored)], [count - stuck, 0])
        }).pipe(Effect.provide(locked)),
      )
    }
  }

  it.effect("is given up after retryFor, not earlier and not much later, and what is behind it goes on", () =>
    Effect.gen(function* () {
      const place = yield* topicOf(600, [0])
      const begun = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.fork(take(600)(source(place, { retryFor: "130 seconds" })))
      yield* TestClock.adjust("129 seconds")
      assert.deepStrictEqual([(yield* committed)[0], (yield* letters(place.dead)).length], [0, 0])
      yield* TestClock.adjust("4 seconds")
      const [letter] = yield* letters(place.dead)
      assert.deepStrictEqual([letter?.codes, letter?.offset, letter?.mayBeStored], [["719"], 0n, false])
      assert.strictEqual((yield* Fiber.join(fiber)).added, 599)
      assert.strictEqual((yield* committed)[0], 50)
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 133_000)
    }).pipe(Effect.provide(locked)),
  )

  it.effect("with retryFor: 0 is a dead letter at once", () =>
    Effect.gen(function* () {
      const place = yield* topicOf(600, [0])
      const fiber = yield* Effect.fork(take(600)(source(place, { retryFor: 0 })))
      yield* TestClock.adjust("3 seconds")
      const { added, deadLettered } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([added, deadLettered], [599, 1])
    }).pipe(Effect.provide(locked)),
  )
})

describe("a lead for which Marketo never answers", () => {
  const silent = Layer.provideMerge(
    Layer.effect(
      CustomActivities.CustomActivities,
      Effect.map(CustomActivities.CustomActivities, (service) => ({
        ...service,
        add: (batch, options) =>
          Chunk.some(batch, ({ leadId }) => leadId === LOCKED)
            ? Effect.zipRight(
                options?.hold?.acquire ?? Effect.void,
                Effect.delay(
                  new MarketoError.MarketoUnavailable({
                    endpoint: "addCustomActivities",
                    attempts: 1,
                    reason: "Timeout",
                    execution: "Unknown",
                  }),
                  "100 seconds",
                ),
              )
            : Effect.delay(service.add(batch, options), "10 seconds"),
      })),
    ),
    layer,
  )

  it.effect("holds up other partitions for one of its calls at a time, not while its record is looked up", () =>
    Effect.gen(function* () {
      const count = 600
      const place = yield* topicOf(count, [0])
      const options = { concurrency: 2, batch: { maxCount: 5 }, unknown: { notFound: "resend" } } as const
      const fiber = yield* Effect.fork(take(count)(source(place, { onAssign: "write", ...options })))
      yield* TestClock.adjust("2 hours")
      const { added, inDoubt } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([added, inDoubt], [count - 1, 1])
      const times = (yield* addCalls).map(({ at }) => at)
      const gaps = times.slice(1).map((at, i) => at - (times[i] ?? at))
      assert.isAtMost(Math.max(...gaps), 125_000)
    }).pipe(Effect.provide(silent)),
  )
})

describe("a partition of the dead-letter topic that cannot be written", () => {
  it.effect("holds up the partitions whose dead letters go there, and no other", () =>
    Effect.gen(function* () {
      const place = yield* topicOf(2_400, [])
      // even partitions have a bad record; their dead letters go to partition 0
      yield* fill(
        place,
        range(partitions).flatMap((partition) =>
          partition % 2 === 0 ? [{ key: keys[partition] ?? "", value: "{" }] : [],
        ),
      )
      const client = yield* KafkaClient.KafkaClient
      const mended = yield* Deferred.make<void>()
      const away: KafkaClient.Service = {
        ...client,
        producer: (options) =>
          Effect.map(client.producer(options), (producer) => ({
            ...producer,
            send: (to, records) =>
              Effect.flatMap(Deferred.isDone(mended), (isMended) =>
                isMended || to.partition === 1
                  ? producer.send(to, records)
                  : new KafkaError.KafkaError({ reason: "Unavailable", description: "no leader" }),
              ),
          })),
      }
      const fiber = yield* Effect.fork(
        Effect.provideService(
          take(2_406)(source(place, { concurrency: 1, batch: { maxCount: 50, maxWait: "1 seconds" } })),
          KafkaClient.KafkaClient,
          away,
        ),
      )
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(
        yield* committed,
        range(partitions).map(() => 200),
      )
      yield* Deferred.succeed(mended, undefined)
      yield* TestClock.adjust("3 minutes")
      const { added, deadLettered } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([added, deadLettered, (yield* letters(place.dead)).length], [2_400, 6, 6])
    }).pipe(Effect.provide(layer)),
  )
})

describe("work that waits on a partition ends when the partition is lost, and its next owner goes on:", () => {
  const count = 24

  /** The partitions are taken away from work that never ends by itself, and come back. */
  const whileLost = (options: Partial<CustomActivitySource.Options>, isStuck: () => boolean) =>
    Effect.gen(function* () {
      const place = yield* topicOf(count, [])
      const feed = yield* Feed.Feed
      const fiber = yield* Effect.fork(take(count)(source(place, { concurrency: 1, ...options })))
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(isStuck())
      assert.strictEqual(feed.claimed(), 0)
      yield* feed.rebalance
      yield* TestClock.adjust("1 minutes")
      const { added } = yield* Fiber.join(fiber)
      assert.strictEqual(added, count)
      assert.strictEqual(repeated(yield* stored), 0)
    })

  it.effect("a decoder", () => {
    let decoded = 0
    return whileLost(
      {
        decode: ({ value }) =>
          decoded++ === 0
            ? Effect.never
            : Effect.orDie(CustomActivity.fromBytes(Option.getOrElse(value, () => new Uint8Array()))),
      },
      () => decoded > 0,
    ).pipe(Effect.provide(layer))
  })

  it.effect("the look for what an earlier run has written", () => {
    let looks = 0
    const stuck = Layer.effect(
      CustomActivities.CustomActivities,
      Effect.map(CustomActivities.CustomActivities, (service) => ({
        ...service,
        readBack: (batch, options) => (looks++ === 0 ? Effect.never : service.readBack(batch, options)),
      })),
    )
    return whileLost({ unknown: { identity, visibilityDelay: 0 } }, () => looks > 0).pipe(
      Effect.provide(Layer.provideMerge(stuck, layer)),
    )
  })
})
