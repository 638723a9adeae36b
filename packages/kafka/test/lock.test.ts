import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import * as lock from "../src/internal/lock.js"

/** Interrupts the fiber that runs `effect` just before its operation number `at`; false when it had fewer. */
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

describe("a lock", () => {
  it.live("is given back wherever the holder or a waiter is interrupted", () =>
    Effect.gen(function* () {
      for (const contended of [false, true]) {
        for (let at = 0, reached = true; reached; at++) {
          const locked = lock.make()
          const holder = yield* Effect.fork(contended ? locked(Effect.yieldNow()) : Effect.void)
          reached = yield* interruptedAt(locked(Effect.yieldNow()), at)
          yield* Fiber.await(holder)
          const free = yield* Effect.timeoutOption(locked(Effect.succeed("free")), "1 seconds")
          assert.strictEqual(free._tag, "Some", `lost at operation ${at}, contended: ${contended}`)
        }
      }
    }),
  )

  it.effect("lets one in at a time, in order", () =>
    Effect.gen(function* () {
      const locked = lock.make()
      const order: Array<number> = []
      let inside = 0
      yield* Effect.forEach(
        Array.from({ length: 5 }, (_, i) => i),
        (i) =>
          locked(
            Effect.gen(function* () {
              order.push(i)
              assert.strictEqual(++inside, 1)
              yield* Effect.yieldNow()
              inside--
            }),
          ),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
    }),
  )
})
