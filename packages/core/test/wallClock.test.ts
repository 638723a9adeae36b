import { assert, describe, it } from "@effect/vitest"
import { CustomActivities, MarketoClient, RequestPolicy } from "@effect-marketo/core"
import { Clock, DateTime, Duration, Effect, Fiber, Stream, TestClock } from "effect"
import { stub } from "./support/stub.js"
import { withWallClock } from "./support/wallClock.js"

const HOUR = 3_600_000
const ok = '{"requestId":"1#2","success":true,"result":[]}'
const refused = (code: string) => `{"success":false,"errors":[{"code":"${code}"}]}`
const get = Effect.flatMap(MarketoClient.MarketoClient, (client) =>
  client.get(RequestPolicy.endpoints.activityTypes.path, {}),
)

describe("no wait depends on the wall clock", () => {
  for (const jump of [-HOUR, HOUR]) {
    const way = jump < 0 ? "back" : "forward"

    it.effect(`set ${way} an hour after a 606, every caller waits for one window`, () =>
      Effect.gen(function* () {
        const offset = { millis: 0 }
        const { calls, layer } = yield* stub([
          () => {
            offset.millis = jump
            return refused("606")
          },
          ok,
        ])
        const both = Effect.zip(get, Effect.zipRight(Effect.sleep("1 seconds"), get), { concurrent: true })
        const fiber = yield* Effect.fork(Effect.provide(both, layer).pipe(withWallClock(offset)))
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* calls).length, 1)
        yield* TestClock.adjust("250 millis")
        yield* Fiber.join(fiber)
        assert.strictEqual((yield* calls).length, 3)
      }),
    )

    it.effect(`set ${way} an hour, a token is used until it runs out, and not longer`, () =>
      Effect.gen(function* () {
        const offset = { millis: 0 }
        const { layer, sent } = yield* stub([ok])
        const tokens = Effect.map(sent, (all) => all.filter(({ url }) => url.includes("/identity/")).length)
        yield* Effect.gen(function* () {
          yield* get
          offset.millis = jump
          yield* get
          assert.strictEqual(yield* tokens, 1)
          yield* Effect.fork(Effect.sleep("1 hours"))
          return yield* Effect.context<MarketoClient.MarketoClient>()
        }).pipe(
          Effect.flatMap((context) =>
            Effect.zipRight(TestClock.adjust("1 hours"), Effect.provide(withWallClock(offset)(get), context)),
          ),
          Effect.provide(layer),
        )
        assert.strictEqual(yield* tokens, 2)
      }),
    )

    it.effect(`set ${way} an hour, a batch that is not full is sent after maxWait`, () =>
      Effect.gen(function* () {
        const offset = { millis: 0 }
        const { calls, layer } = yield* stub([
          '{"requestId":"1#2","success":true,"result":[{"status":"added","id":1,"marketoGUID":"1"}]}',
        ])
        const activity = {
          leadId: 1,
          activityDate: DateTime.unsafeMake("2026-01-01T00:00:00Z"),
          activityTypeId: 100_001,
          primaryAttributeValue: "a",
          attributes: [],
        }
        const fiber = yield* Effect.fork(
          Effect.flatMap(CustomActivities.CustomActivities, (activities) =>
            Stream.runHead(
              activities.addAll(Stream.concat(Stream.make(activity), Stream.never), (input) => input, {
                batch: { maxWait: Duration.seconds(30) },
              }),
            ),
          ).pipe(Effect.provide(layer), withWallClock(offset)),
        )
        yield* TestClock.adjust("10 seconds")
        offset.millis = jump
        yield* TestClock.adjust("19 seconds")
        assert.strictEqual((yield* calls).length, 0)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual((yield* calls).length, 1)
        yield* Fiber.join(fiber)
      }),
    )
  }

  it.effect("the clock of the tests is the one that jumps", () =>
    Effect.gen(function* () {
      const offset = { millis: -HOUR }
      yield* TestClock.setTime(2 * HOUR)
      assert.deepStrictEqual(yield* withWallClock(offset)(Clock.currentTimeMillis), HOUR)
    }),
  )
})
