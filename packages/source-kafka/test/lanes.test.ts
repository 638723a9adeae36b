import { assert, it } from "@effect/vitest"
import type { PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, Deferred, Duration, Effect, Option, TestClock } from "effect"
import { Gatherer } from "../src/internal/gatherer.js"
import * as lanes from "../src/internal/lanes.js"
import type { Work } from "../src/internal/work.js"

/** A partition with one record. */
const batch = (partition: number): PartitionBatch.PartitionBatch => ({
  topic: "t",
  partition,
  length: 1,
  at: () => {
    throw new Error("not asked for")
  },
  valueAt: () => null,
  unreadableAt: () => undefined,
  records: Chunk.of(undefined as never),
  first: false,
  hasMore: false,
  claim: () => true,
  commit: () => Effect.succeed(true),
  release: Effect.void,
  use: () => Effect.succeed(false),
})

const gatherer = () => new Gatherer({ maxCount: 1, maxBytes: 1_000, maxWait: 0, firstWait: 0 })

const idle = (run: Effect.Effect<void>): Work<never> => ({ run, isHeld: () => false, release: Effect.void })

const begun = (count: number, workOf: (partition: number, lane: lanes.Lane) => Effect.Effect<void>) =>
  lanes.make({
    count,
    gatherer: gatherer(),
    begin: ([slice], lane) => idle(workOf(slice?.batch.partition ?? -1, lane)),
    onFailure: (cause) => Effect.dieMessage(cause.toString()),
  })

it.scoped(
  "work that has left its lane comes back before work that has not begun, and never makes more than there are lanes",
  () =>
    Effect.gen(function* () {
      const inLane: Array<number> = []
      const events: Array<string> = []
      const gates = yield* Effect.forEach([0, 1, 2, 3], () => Deferred.make<void>())
      const running = yield* begun(1, (partition, lane) =>
        Effect.gen(function* () {
          const enter = Effect.sync(() => {
            inLane.push(partition)
            events.push(`${partition}`)
            assert.isAtMost(inLane.length, 1)
          })
          const leave = Effect.sync(() => inLane.splice(inLane.indexOf(partition), 1))
          yield* enter
          if (partition === 0) {
            yield* leave
            yield* lane.leave
            yield* Effect.sleep("1 seconds")
            yield* lane.enter
            yield* enter
          } else {
            yield* Deferred.await(gates[partition] as Deferred.Deferred<void>)
          }
          yield* leave
        }),
      )
      yield* Effect.forkScoped(running.run)
      for (const partition of [0, 1, 2, 3]) yield* running.offer(batch(partition))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(events, ["0", "1"])
      yield* Deferred.succeed(gates[1] as Deferred.Deferred<void>, undefined)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(events, ["0", "1", "0", "2"])
      yield* Deferred.succeed(gates[2] as Deferred.Deferred<void>, undefined)
      yield* Deferred.succeed(gates[3] as Deferred.Deferred<void>, undefined)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(events, ["0", "1", "0", "2", "3"])
      yield* running.drain(Duration.minutes(1))
    }),
)

it.scoped("work that is interrupted while it wants a lane leaves none taken", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const events: Array<number> = []
    const running = yield* begun(1, (partition, lane) =>
      partition === 0
        ? Effect.gen(function* () {
            yield* lane.leave
            yield* Effect.sleep("1 seconds")
            events.push(Option.isSome(yield* Effect.timeoutOption(lane.enter, "1 seconds")) ? 1 : 0)
          })
        : Deferred.await(gate),
    )
    yield* Effect.forkScoped(running.run)
    yield* running.offer(batch(0))
    yield* running.offer(batch(1))
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(events, [0])
    yield* Deferred.succeed(gate, undefined)
    yield* running.offer(batch(2))
    yield* TestClock.adjust("1 seconds")
    yield* running.drain(Duration.minutes(1))
  }),
)
