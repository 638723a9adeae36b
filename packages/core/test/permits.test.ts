import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import * as permits from "../src/internal/permits.js"

/** Interrupts the fiber that runs `effect` just before its operation number `at`. */
const interruptedAt = <A, E>(effect: Effect.Effect<A, E>, at: number) =>
  Effect.gen(function* () {
    let operations = 0
    let fiber: Fiber.RuntimeFiber<A, E> | undefined
    const scheduler: Scheduler.Scheduler = {
      scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
      shouldYield: (running) => {
        if (operations++ !== at || fiber === undefined) return Scheduler.defaultScheduler.shouldYield(running)
        fiber.unsafeInterruptAsFork(fiber.id())
        return 0
      },
    }
    fiber = yield* Effect.fork(Effect.withScheduler(effect, scheduler))
    yield* Fiber.await(fiber)
    return operations > at
  })

describe("permits", () => {
  it.live("are given back wherever the holder or a waiter is interrupted", () =>
    Effect.gen(function* () {
      for (const contended of [false, true]) {
        for (let at = 0, reached = true; reached; at++) {
          const guard = permits.make(1)
          const holder = yield* Effect.fork(contended ? guard(Effect.yieldNow()) : Effect.void)
          reached = yield* interruptedAt(guard(Effect.yieldNow()), at)
          yield* Fiber.await(holder)
          const free = yield* Effect.timeoutOption(guard(Effect.succeed("free")), "1 seconds")
          assert.strictEqual(free._tag, "Some", `lost at operation ${at}, contended: ${contended}`)
        }
      }
    }),
  )

  it.effect("at most so many at once, in order", () =>
    Effect.gen(function* () {
      const guard = permits.make(2)
      let inside = 0
      const order: Array<number> = []
      yield* Effect.all(
        Array.from({ length: 9 }, (_, i) =>
          guard(
            Effect.gen(function* () {
              order.push(i)
              assert.isAtMost(++inside, 2)
              yield* Effect.yieldNow()
              inside--
            }),
          ),
        ),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8])
    }),
  )
})
