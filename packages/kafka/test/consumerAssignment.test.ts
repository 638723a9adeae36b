import { assert, describe, it } from "@effect/vitest"
import type { KafkaError, PartitionBatch } from "@effect-marketo/kafka"
import { Duration, Effect, Fiber, Option, TestClock } from "effect"
import type { EachBatchPayload, IHeaders } from "kafkajs"
import * as Assignment from "../src/internal/kafkajs/consumerAssignment.js"
import * as Membership from "../src/internal/kafkajs/consumerMembership.js"

// what a real group does once in months: joins that cross each other, coordinators that move, members that forget a claim

const coordinatorMoved = Object.assign(new Error("not the coordinator"), { type: "NOT_COORDINATOR_FOR_GROUP" })
const connectionClosed = Object.assign(new Error("closed"), { name: "KafkaJSConnectionClosedError", retriable: true })

const expelled = Object.assign(new Error("not a member"), { type: "UNKNOWN_MEMBER_ID" })

/** Promises that need no time have been followed. */
const settled = Effect.promise(() => new Promise(setImmediate))

const silent = () => new Promise<void>(() => {})

/** Brokers take it, unless they are told not to. */
const nanoseconds = "1700000000000000000"

/** Kafka takes it; the types of kafkajs do not say so. */
const withoutValue = { trace: null } as unknown as IHeaders

const setupWith = (sessionTimeout: Duration.Duration) =>
  Effect.gen(function* () {
    const offered: Array<PartitionBatch.PartitionBatch> = []
    const failures: Array<KafkaError.KafkaError> = []
    const direct: Array<string> = []
    let heartbeat = async (): Promise<void> => membership.confirmed(generation)
    let commit = (_topics: unknown): Promise<void> => Promise.resolve()
    let elsewhere = (): Promise<void> => Promise.resolve()
    const clock = yield* Effect.clock
    let generation = 6
    let answerJoin: (memberId: string) => void = () => {}
    let refuseJoin = () => {}
    const coordinator: Membership.Coordinator = {
      offsetCommit: ({ groupGenerationId, memberId }) => {
        direct.push(`commit as ${memberId}/${groupGenerationId}`)
        return elsewhere()
      },
      heartbeat: ({ groupGenerationId, memberId }) => {
        direct.push(`heartbeat as ${memberId}/${groupGenerationId}`)
        return elsewhere()
      },
      joinGroup: () =>
        new Promise((resolve, reject) => {
          answerJoin = (memberId) => resolve({ generationId: generation, memberId })
          refuseJoin = () => reject(connectionClosed)
        }),
      syncGroup: async () => {},
    }
    const membership = Membership.make({
      groupId: "g",
      sessionTimeout,
      findCoordinator: async () => coordinator,
      now: () => clock.unsafeCurrentTimeMillis(),
    })
    const watched = membership.watch(coordinator)
    const assignment = yield* Assignment.make({
      topic: "t",
      groupId: "g",
      sessionTimeout,
      rebalanceTimeout: Duration.seconds(150),
      membership,
      offer: (batch) => offered.push(batch),
      fail: (error) => failures.push(error),
    })
    const paused = new Set<number>()
    /** From where kafkajs reads on in each partition. */
    const positions = new Map<number, number>()
    const payload = (partition: number, from = positions.get(partition) ?? 10): EachBatchPayload => ({
      batch: {
        topic: "t",
        partition,
        highWatermark: `${from + 2}`,
        messages: [from, from + 1].map((offset) => ({
          key: null,
          value: null,
          timestamp: offset === from ? "0" : nanoseconds,
          attributes: 0,
          offset: `${offset}`,
          headers: withoutValue,
        })),
        isEmpty: () => false,
        firstOffset: () => `${from}`,
        lastOffset: () => `${from + 1}`,
        offsetLag: () => "0",
        offsetLagLow: () => "0",
      },
      resolveOffset: (offset) => {
        positions.set(partition, 1 + Number(offset))
      },
      heartbeat: () => heartbeat(),
      pause: () => {
        paused.add(partition)
        return () => paused.delete(partition)
      },
      commitOffsetsIfNecessary: (offsets) => commit(offsets?.topics),
      uncommittedOffsets: () => ({ topics: [] }),
      isRunning: () => true,
      isStale: () => false,
    })
    /** How the handler of kafkajs ends. */
    const handle = (partition: number, from?: number): Promise<unknown> =>
      assignment.eachBatch(payload(partition, from)).then(
        () => "done",
        (error: unknown) => error,
      )
    /** Gives the member a batch, with how its handler ends. */
    const give = (partition: number) => {
      const handled = handle(partition)
      const batch = offered.at(-1)
      if (batch === undefined) throw new Error("no batch was offered")
      return [batch, handled] as const
    }
    let request: Promise<unknown> | undefined
    const joinBegins = () => {
      request = watched.joinGroup({})
    }
    /** The request that follows does not come: kafkajs asks for metadata in between, which may fail. */
    const joinIsAnswered = Effect.promise(async () => {
      generation += 1
      answerJoin("a")
      await request
      request = undefined
    })
    const joinFails = Effect.promise(async () => {
      refuseJoin()
      await request?.catch(() => {})
      request = undefined
    })
    const join = (memberId: string, partitions: ReadonlyArray<number>, generations = 1) =>
      Effect.promise(async () => {
        if (request === undefined) joinBegins()
        generation += generations
        answerJoin(memberId)
        await request
        request = undefined
        await watched.syncGroup({})
        assignment.joined(partitions)
      })
    const workWhole = (partition: number) =>
      Effect.gen(function* () {
        const [batch, handled] = give(partition)
        batch.claim(2)
        assert.isTrue(yield* batch.commit(2))
        assert.strictEqual(yield* Effect.promise(() => handled), "done")
        return batch.first
      })
    return {
      ...assignment,
      offered,
      handle,
      give,
      paused,
      joinBegins,
      joinIsAnswered,
      joinFails,
      join,
      workWhole,
      failures,
      direct,
      onHeartbeat: (answer: typeof heartbeat) => {
        heartbeat = answer
      },
      onCommit: (answer: typeof commit) => {
        commit = answer
      },
      /** By the coordinator that is found instead of the one that was joined. */
      onElsewhere: (answer: typeof elsewhere) => {
        elsewhere = answer
      },
    }
  })

const setup = setupWith(Duration.seconds(30))

describe("what a member has in hand", () => {
  it.effect("a time that no date can have, or a header without a value, keeps nobody from reading its record", () =>
    Effect.gen(function* () {
      const { give, join } = yield* setup
      yield* join("m", [0])
      const [batch, handled] = give(0)
      batch.claim(1)
      assert.isTrue(yield* batch.commit(1))
      assert.strictEqual(batch.at(1).timestamp.epochMillis, 8.64e15)
      assert.deepStrictEqual(batch.at(1).headers, { trace: [new Uint8Array()] })
      batch.claim(2)
      assert.isTrue(yield* batch.commit(2))
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
    }),
  )

  it.effect("is first unless the partition was kept from one generation to the next", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1], 2)
      assert.isTrue(yield* member.workWhole(0))
      assert.isFalse(yield* member.workWhole(0))
      yield* member.join("a", [0])
      assert.isFalse(yield* member.workWhole(0))
      // a generation was missed in between: somebody may have had it
      yield* member.join("a", [0], 2)
      assert.isTrue(yield* member.workWhole(0))
      // it was expelled
      yield* member.join("b", [0])
      assert.isTrue(yield* member.workWhole(0))
      yield* member.join("b", [])
      yield* member.join("b", [0])
      assert.isTrue(yield* member.workWhole(0))
    }),
  )

  it.effect("is kept when a member joins again a group that stays as it is", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch, handled] = member.give(0)
      batch.claim(2)
      yield* member.join("a", [0], 0)
      assert.isTrue(yield* batch.commit(2))
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
      assert.isFalse(yield* member.workWhole(0))
    }),
  )

  it.effect("is first when it was lost without a claim, in the middle of a batch, and comes back", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      yield* member.workWhole(0)
      member.give(0)
      yield* member.join("a", [1])
      yield* member.join("a", [0, 1])
      assert.isTrue(yield* member.workWhole(0))
    }),
  )

  it.effect("is not read again meanwhile, from whichever broker", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      const [batch] = member.give(0)
      member.give(1)
      assert.deepStrictEqual([...member.paused], [0, 1])
      batch.claim(2)
      yield* batch.commit(2)
      assert.deepStrictEqual([...member.paused], [1])
      yield* member.join("a", [0])
      assert.deepStrictEqual([...member.paused], [])
    }),
  )

  it.effect("stays first until a batch was committed whole, and after a claim that was not", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [part, handled] = member.give(0)
      part.claim(1)
      assert.isTrue(yield* part.commit(1))
      member.onHeartbeat(() => Promise.reject(coordinatorMoved))
      yield* member.beat
      assert.strictEqual(yield* Effect.promise(() => handled), coordinatorMoved)
      yield* member.join("a", [0])
      member.onHeartbeat(() => Promise.resolve())
      assert.isTrue(yield* member.workWhole(0))
      const [released, ended] = member.give(0)
      assert.isFalse(released.first)
      released.claim(2)
      yield* released.release
      member.onHeartbeat(() => Promise.reject(coordinatorMoved))
      yield* member.beat
      yield* Effect.promise(() => ended)
      yield* member.join("a", [0])
      assert.isTrue(yield* member.workWhole(0))
    }),
  )

  it.effect("is lost when kafkajs has joined again beside the work, and the partition went elsewhere", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      const [gone, handled] = member.give(0)
      const [kept] = member.give(1)
      assert.isTrue(gone.claim(2))
      assert.isTrue(kept.claim(1))
      yield* member.join("a", [1])
      assert.isFalse(yield* gone.commit(2))
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
      assert.isTrue(kept.claim(2))
      assert.isTrue(yield* kept.commit(2))
    }),
  )

  it.effect("is nothing that was read before kafkajs joined again, of a partition that went elsewhere", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      yield* member.join("a", [1])
      assert.strictEqual(yield* Effect.promise(() => member.handle(0)), "done")
      assert.strictEqual(member.offered.length, 0)
    }),
  )

  it.effect("is committed where the coordinator has moved to, and joined again afterwards", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch, handled] = member.give(0)
      batch.claim(1)
      member.onCommit(() => Promise.reject(coordinatorMoved))
      const committing = yield* Effect.fork(batch.commit(1))
      yield* Effect.repeat(
        Effect.promise(() => Promise.resolve()),
        { times: 20 },
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* Fiber.join(committing))
      assert.deepStrictEqual(member.direct, ["commit as a/7"])
      assert.isFalse(batch.claim(2))
      assert.strictEqual(yield* Effect.promise(() => handled), coordinatorMoved)
    }),
  )

  for (const [what, answer, times] of [
    ["that says so", coordinatorMoved, 1],
    ["that is gone", connectionClosed, 2],
  ] as const) {
    it.effect(`after a coordinator ${what} heartbeats go where it has moved to, and a new join is asked for`, () =>
      Effect.gen(function* () {
        const member = yield* setup
        let asked = 0
        member.onHeartbeat(() => {
          asked += 1
          return Promise.reject(answer)
        })
        yield* member.join("a", [0])
        const [batch, handled] = member.give(0)
        batch.claim(1)
        for (let n = 1; n <= times; n++) {
          yield* member.beat
          assert.strictEqual(asked, n)
          yield* member.beat
          assert.deepStrictEqual(
            member.direct,
            Array.from({ length: n }, () => "heartbeat as a/7"),
          )
        }
        assert.isFalse(batch.claim(2))
        assert.isTrue(yield* batch.commit(1))
        assert.include(yield* Effect.promise(() => handled), { type: "NOT_COORDINATOR_FOR_GROUP" })
        yield* member.join("a", [0])
        member.give(0)
        yield* member.beat
        assert.strictEqual(asked, times + 1)
        assert.deepStrictEqual(member.failures, [])
      }),
    )
  }

  it.effect("one connection that is lost asks nobody to join again", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch] = member.give(0)
      for (let n = 0; n < 5; n++) {
        member.onHeartbeat(() => Promise.reject(connectionClosed))
        yield* member.beat
        member.onHeartbeat(() => Promise.resolve())
        yield* member.beat
        yield* member.beat
      }
      assert.strictEqual(member.direct.length, 5)
      assert.isTrue(batch.claim(1))
    }),
  )

  it.effect("does not begin while kafkajs joins, and is read again after that", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      member.joinBegins()
      const handled = member.handle(0)
      yield* settled
      yield* member.join("a", [0])
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
      assert.strictEqual(member.offered.length, 0)
      member.handle(0)
      assert.strictEqual(member.offered.length, 1)
    }),
  )

  for (const [what, answer, outcome] of [
    ["is another one by now", () => Promise.reject(coordinatorMoved), "NOT_COORDINATOR_FOR_GROUP"],
    ["has forgotten us", () => Promise.reject(expelled), "UNKNOWN_MEMBER_ID"],
    ["knows us in a generation that has other partitions", () => Promise.resolve(), "NOT_COORDINATOR_FOR_GROUP"],
  ] as const) {
    it.effect(`does not begin after a silence in which the coordinator ${what}`, () =>
      Effect.gen(function* () {
        const member = yield* setup
        yield* member.join("a", [0])
        member.onHeartbeat(answer)
        yield* TestClock.adjust("16 seconds")
        assert.include(yield* Effect.promise(() => member.handle(0)), { type: outcome })
        assert.strictEqual(member.offered.length, 0)
      }),
    )
  }

  it.effect("begins after a silence in which the coordinator has moved, when that knows us", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      member.onHeartbeat(() => Promise.reject(connectionClosed))
      yield* TestClock.adjust("16 seconds")
      member.handle(0)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 200)))
      assert.deepStrictEqual(member.direct, ["heartbeat as a/7"])
      assert.strictEqual(member.offered.length, 1)
    }),
  )

  it.live("does not begin when no coordinator answers for a session, which ends the member", () =>
    Effect.gen(function* () {
      const member = yield* setupWith(Duration.millis(300))
      yield* member.join("a", [0])
      member.onHeartbeat(() => Promise.reject(connectionClosed))
      member.onElsewhere(() => Promise.reject(connectionClosed))
      yield* Effect.sleep("200 millis")
      assert.strictEqual(yield* Effect.promise(() => member.handle(0)), "done")
      assert.isTrue(member.failures[0]?.isRetryable)
      assert.strictEqual(member.offered.length, 0)
    }),
  )

  it.effect("is not what was committed while it was read beside; where records are gone it is", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      yield* member.workWhole(0)
      assert.strictEqual(yield* Effect.promise(() => member.handle(0, 10)), "done")
      assert.strictEqual(member.offered.length, 1)
      member.handle(0, 5)
      assert.strictEqual(member.offered.length, 2)
    }),
  )

  it.effect("is committed in the generation that a join beside the work ends in", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch] = member.give(0)
      batch.claim(2)
      let commits = 0
      member.onCommit(() => {
        commits += 1
        return Promise.resolve()
      })
      member.joinBegins()
      const committing = yield* Effect.fork(batch.commit(2))
      yield* settled
      assert.strictEqual(commits, 0)
      yield* member.join("a", [0])
      assert.isTrue(yield* Fiber.join(committing))
      assert.strictEqual(commits, 1)
      assert.deepStrictEqual(member.direct, [])
    }),
  )

  for (const [when, steps] of [
    ["before", ["refuse", "join"]],
    ["after", ["join", "refuse"]],
  ] as const) {
    it.effect(
      `is committed again when it was refused ${when} the end of a join, unless its partition went elsewhere`,
      () =>
        Effect.gen(function* () {
          const member = yield* setup
          yield* member.join("a", [0, 1])
          const refusals: Array<() => void> = []
          member.onCommit(() => new Promise((_, reject) => refusals.push(() => reject(expelled))))
          const [kept] = member.give(0)
          const [gone] = member.give(1)
          kept.claim(2)
          gone.claim(2)
          const committing = yield* Effect.fork(
            Effect.all([kept.commit(2), gone.commit(2)], { concurrency: "unbounded" }),
          )
          yield* settled
          member.onCommit(() => Promise.resolve())
          member.joinBegins()
          const perform = {
            refuse: Effect.sync(() => {
              for (const refuse of refusals) refuse()
            }),
            join: member.join("a", [0]),
          }
          for (const step of steps) {
            yield* perform[step]
            yield* settled
          }
          assert.deepStrictEqual(yield* Fiber.join(committing), [true, false])
          assert.deepStrictEqual(member.failures, [])
        }),
    )
  }

  it.effect("is committed in the old generation when kafkajs has given up to join, and a refusal is heard again", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch, handled] = member.give(0)
      batch.claim(1)
      member.joinBegins()
      const committing = yield* Effect.fork(batch.commit(1))
      yield* settled
      assert.isTrue(Option.isNone(yield* Fiber.poll(committing)))
      yield* member.joinFails
      assert.isTrue(yield* Fiber.join(committing))
      assert.isTrue(batch.claim(2))
      member.onCommit(() => Promise.reject(expelled))
      assert.isFalse(yield* batch.commit(2))
      assert.strictEqual(yield* Effect.promise(() => handled), expelled)
    }),
  )

  it.live("hears refusals again when a join has failed between its two requests", () =>
    Effect.gen(function* () {
      const member = yield* setupWith(Duration.millis(300))
      yield* member.join("a", [0])
      const [batch] = member.give(0)
      batch.claim(1)
      member.joinBegins()
      yield* member.joinIsAnswered
      member.onHeartbeat(() => Promise.reject(expelled))
      yield* Effect.repeat(member.beat, { until: () => !batch.claim(2) })
    }),
  )

  it.effect("is committed to the end when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch, handled] = member.give(0)
      batch.claim(2)
      let answer = () => {}
      member.onCommit(
        () =>
          new Promise<void>((resolve) => {
            answer = resolve
          }),
      )
      const committing = yield* Effect.fork(batch.commit(2))
      yield* settled
      const interrupting = yield* Effect.fork(Fiber.interrupt(committing))
      yield* settled
      answer()
      yield* Fiber.join(interrupting)
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
      member.onCommit(() => Promise.resolve())
      assert.isFalse(yield* member.workWhole(0))
    }),
  )

  for (const [what, answer] of [
    ["a refusal", expelled],
    ["a connection that was closed", connectionClosed],
  ] as const) {
    it.effect(`sends no heartbeat while kafkajs joins, and does not hear of ${what} from before`, () =>
      Effect.gen(function* () {
        const member = yield* setup
        yield* member.join("a", [0])
        const [batch] = member.give(0)
        let refuse = () => {}
        let beats = 0
        member.onHeartbeat(() => {
          beats += 1
          return new Promise((_, reject) => {
            refuse = () => reject(answer)
          })
        })
        const beating = yield* Effect.fork(member.beat)
        yield* settled
        member.joinBegins()
        const waiting = yield* Effect.fork(member.beat)
        yield* settled
        assert.strictEqual(beats, 1)
        yield* Fiber.interrupt(waiting)
        yield* member.join("a", [0])
        refuse()
        yield* Fiber.join(beating)
        assert.isTrue(batch.claim(1))
        member.onHeartbeat(() => Promise.resolve())
        yield* member.beat
        assert.deepStrictEqual(member.direct, [])
      }),
    )
  }

  it.effect("ends the member when no heartbeat was answered for a session", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      member.give(0)
      member.onHeartbeat(() => Promise.reject(connectionClosed))
      member.onElsewhere(() => Promise.reject(connectionClosed))
      yield* TestClock.adjust("29 seconds")
      yield* member.beat
      assert.strictEqual(member.failures.length, 0)
      yield* TestClock.adjust("2 seconds")
      yield* member.beat
      assert.isTrue(member.failures[0]?.isRetryable)
    }),
  )

  it.live("ends the member, to be replaced, when no heartbeat is answered at all", () =>
    Effect.gen(function* () {
      const session = 3_000
      const member = yield* setupWith(Duration.millis(session))
      yield* member.join("a", [0])
      member.onHeartbeat(silent)
      member.onElsewhere(silent)
      const began = Date.now()
      member.give(0)
      yield* Effect.repeat(member.beat, { until: () => member.failures.length > 0 })
      assert.isTrue(member.failures[0]?.isRetryable)
      assert.isAtLeast(Date.now() - began, session)
      // the first is given up early enough for another coordinator to be asked
      assert.isAtLeast(member.direct.length, 1)
    }),
  )

  for (const [what, answer] of [
    ["not answered", silent],
    ["refused again and again", () => Promise.reject(connectionClosed)],
  ] as const) {
    it.live(`is not known to be committed when that is ${what} for a session; nothing is sent after it`, () =>
      Effect.gen(function* () {
        const member = yield* setupWith(Duration.millis(500))
        yield* member.join("a", [0])
        const [batch] = member.give(0)
        batch.claim(2)
        const began = Date.now()
        const sent: Array<number> = []
        const refuse = () => {
          sent.push(Date.now() - began)
          return answer()
        }
        member.onCommit(refuse)
        member.onElsewhere(refuse)
        assert.isFalse(yield* batch.commit(2))
        assert.isAtMost(Math.max(...sent), 510)
        assert.deepStrictEqual(member.failures, [])
      }),
    )
  }

  it.effect("is waited for at the end, for as long as a rebalance may take", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const [batch, handled] = member.give(0)
      batch.claim(2)
      const draining = yield* Effect.fork(member.drain)
      yield* TestClock.adjust("149 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(draining)))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(draining)
      assert.strictEqual(yield* Effect.promise(() => handled), "done")
      assert.isFalse(yield* batch.commit(2))
    }),
  )
})
