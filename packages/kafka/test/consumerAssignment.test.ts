import { assert, describe, it } from "@effect/vitest"
import type { KafkaError, PartitionBatch } from "@effect-marketo/kafka"
import { Duration, Effect, Fiber, Option, TestClock } from "effect"
import type { EachBatchPayload, KafkaMessage } from "kafkajs"
import * as Assignment from "../src/internal/kafkajs/consumerAssignment.js"
import * as Gate from "../src/internal/kafkajs/consumerGate.js"
import * as Membership from "../src/internal/kafkajs/consumerMembership.js"
import type { Message } from "../src/internal/kafkajs/fetch.js"

// what a real group does once in months: coordinators that move, joins that fail half-way, members that forget a claim

const coordinatorMoved = Object.assign(new Error("not the coordinator"), { type: "NOT_COORDINATOR_FOR_GROUP" })
const connectionClosed = Object.assign(new Error("closed"), { name: "KafkaJSConnectionClosedError", retriable: true })

const expelled = Object.assign(new Error("not a member"), { type: "UNKNOWN_MEMBER_ID" })

/** Promises that need no time have been followed. */
const settled = Effect.promise(() => new Promise(setImmediate))

const silent = () => new Promise<void>(() => {})

/** Brokers take it, unless they are told not to. */
const nanoseconds = 1_700_000_000_000_000_000

/** As our decoder of a fetch gives them to kafkajs. */
const messageOf = (offset: number, timestamp: number): KafkaMessage => {
  const message: Message = {
    offset: `${offset}`,
    timestamp,
    key: null,
    value: null,
    headers: [["trace", null]],
    isControlRecord: false,
    unreadable: undefined,
  }
  return message as unknown as KafkaMessage
}

const maxWait = 500

const setupWith = (sessionTimeout: Duration.Duration) =>
  Effect.gen(function* () {
    const offered: Array<PartitionBatch.PartitionBatch> = []
    const withdrawn: Array<number> = []
    const failures: Array<KafkaError.KafkaError> = []
    const direct: Array<string> = []
    let heartbeat = async (): Promise<void> => membership.confirmed(generation)
    let commit = (_topics: unknown): Promise<void> => Promise.resolve()
    let elsewhere = (): Promise<void> => Promise.resolve()
    let find = (): Promise<Membership.Coordinator> => Promise.resolve(coordinator)
    const clock = yield* Effect.clock
    let generation = 6
    let isJoinSent = false
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
          isJoinSent = true
          answerJoin = (memberId) => resolve({ generationId: generation, memberId })
          refuseJoin = () => reject(connectionClosed)
        }),
      syncGroup: async () => {},
    }
    const membership = Membership.make({
      groupId: "g",
      sessionTimeout,
      findCoordinator: () => find(),
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
      withdraw: (partition) => withdrawn.push(partition),
      fail: (error) => failures.push(error),
    })
    const gate = Gate.make({ assignment, membership, maxWait, onOutOfRange: () => Promise.resolve(true) })
    /** From where kafkajs reads on in each partition. */
    const positions = new Map<number, number>()
    const payload = (partition: number, from = positions.get(partition) ?? 10): EachBatchPayload => ({
      batch: {
        topic: "t",
        partition,
        highWatermark: `${from + 2}`,
        messages: [messageOf(from, 0), messageOf(from + 1, nanoseconds)],
        isEmpty: () => false,
        firstOffset: () => `${from}`,
        lastOffset: () => `${from + 1}`,
        offsetLag: () => "0",
        offsetLagLow: () => "0",
      },
      resolveOffset: (offset) => {
        positions.set(partition, 1 + Number(offset))
      },
      heartbeat: () => gate.heartbeat(() => heartbeat()) as Promise<void>,
      pause: () => () => {},
      commitOffsetsIfNecessary: (offsets) => commit(offsets?.topics),
      uncommittedOffsets: () => ({ topics: [] }),
      isRunning: () => true,
      isStale: () => false,
    })
    const handle = (partition: number, from?: number): Promise<void> => assignment.eachBatch(payload(partition, from))
    /** Gives the member a batch. */
    const give = (partition: number) => {
      const before = offered.length
      void handle(partition)
      const batch = offered.at(-1)
      if (batch === undefined || offered.length === before) throw new Error("no batch was offered")
      return batch
    }
    /** What a fetch of these partitions ends with: those that a broker is asked for, or an error. */
    const fetching = async (...partitions: ReadonlyArray<number>): Promise<unknown> => {
      const asked: Array<number> = []
      const topics = [{ topic: "t", partitions: partitions.map((partition) => ({ partition, fetchOffset: "0" })) }]
      try {
        await gate.fetch({ topics }, async (request) => {
          for (const { partitions } of request.topics) asked.push(...partitions.map(({ partition }) => partition))
          return { responses: [] }
        })
        return asked
      } catch (error) {
        return error
      }
    }
    const fetch = (...partitions: ReadonlyArray<number>) => Effect.promise(() => fetching(...partitions))
    const fetchUnanswered = (partition: number) =>
      gate.fetch(
        { topics: [{ topic: "t", partitions: [{ partition, fetchOffset: "0" }] }] },
        () => new Promise(() => {}),
      )
    let request: Promise<unknown> | undefined
    const joinBegins = () => {
      isJoinSent = false
      request = assignment.whenDrained(() => watched.joinGroup({}))
    }
    const joinIsSent = Effect.repeat(settled, { until: () => isJoinSent })
    /** The request that follows does not come: kafkajs asks for metadata in between, which may fail. */
    const joinIsAnswered = Effect.zipRight(
      joinIsSent,
      Effect.promise(async () => {
        generation += 1
        answerJoin("a")
        await request
        request = undefined
      }),
    )
    const joinFails = Effect.zipRight(
      joinIsSent,
      Effect.promise(async () => {
        refuseJoin()
        await request?.catch(() => {})
        request = undefined
      }),
    )
    const join = (memberId: string, partitions: ReadonlyArray<number>, generations = 1) =>
      Effect.suspend(() => {
        if (request === undefined) joinBegins()
        return Effect.zipRight(
          joinIsSent,
          Effect.promise(async () => {
            generation += generations
            answerJoin(memberId)
            await request
            request = undefined
            await watched.syncGroup({})
            assignment.joined(partitions)
          }),
        )
      })
    const workWhole = (partition: number) =>
      Effect.gen(function* () {
        const batch = give(partition)
        batch.claim(2)
        assert.isTrue(yield* batch.commit(2))
        assert.isFalse(assignment.isHeld(partition))
        return batch.first
      })
    return {
      ...assignment,
      heartbeat: gate.heartbeat,
      offered,
      withdrawn,
      handle,
      give,
      fetch,
      fetching,
      fetchUnanswered,
      joinBegins,
      isJoinSent: () => isJoinSent,
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
      onFind: (delay: Duration.DurationInput) => {
        find = () => Effect.runPromise(Effect.delay(Effect.succeed(coordinator), delay))
      },
      /** By the coordinator that is found instead of the one that was joined. */
      onElsewhere: (answer: typeof elsewhere) => {
        elsewhere = answer
      },
    }
  })

const setup = setupWith(Duration.seconds(30))

describe("a batch that a member holds", () => {
  it.effect("is read although a timestamp is beyond all dates, or a header has no value", () =>
    Effect.gen(function* () {
      const { give, join } = yield* setup
      yield* join("m", [0])
      const batch = give(0)
      batch.claim(1)
      assert.isTrue(yield* batch.commit(1))
      assert.strictEqual(batch.at(1).timestamp.epochMillis, 8.64e15)
      assert.deepStrictEqual(batch.at(1).headers.trace, [null])
      batch.claim(2)
      assert.isTrue(yield* batch.commit(2))
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
      // a generation was missed in between: another member may have had it
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

  it.effect("is not first after a join of a group that stays as it is", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      yield* member.workWhole(0)
      yield* member.join("a", [0], 0)
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

  it.effect("keeps its partition from being fetched, and no other", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      assert.deepStrictEqual(yield* member.fetch(0, 1), [0, 1])
      const batch = member.give(0)
      assert.deepStrictEqual(yield* member.fetch(0, 1), [1])
      batch.claim(2)
      yield* batch.commit(1)
      assert.deepStrictEqual(yield* member.fetch(0, 1), [1])
      yield* batch.commit(2)
      assert.deepStrictEqual(yield* member.fetch(0, 1), [0, 1])
    }),
  )

  it.effect("lets kafkajs go on as soon as it is settled, when all partitions have waited", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
      batch.claim(2)
      const began = performance.now()
      const waiting = member.fetching(0)
      yield* batch.commit(2)
      assert.deepStrictEqual(yield* Effect.promise(() => waiting), [])
      assert.isBelow(performance.now() - began, maxWait)
      assert.deepStrictEqual(yield* member.fetch(0), [0])
    }),
  )

  it.effect("is withdrawn from a reader that has not taken it, when its partition is lost", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      member.give(0)
      assert.deepStrictEqual(member.withdrawn, [])
      yield* member.join("a", [1])
      assert.deepStrictEqual(member.withdrawn, [0])
    }),
  )

  it.effect("stays first until a batch was committed whole, and after a claim that was not", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const part = member.give(0)
      part.claim(1)
      assert.isTrue(yield* part.commit(1))
      member.onHeartbeat(() => Promise.reject(coordinatorMoved))
      yield* member.beat
      assert.strictEqual(yield* member.fetch(0), coordinatorMoved)
      yield* member.join("a", [0])
      member.onHeartbeat(() => Promise.resolve())
      assert.isTrue(yield* member.workWhole(0))
      const released = member.give(0)
      assert.isFalse(released.first)
      released.claim(2)
      yield* released.release
      member.onHeartbeat(() => Promise.reject(coordinatorMoved))
      yield* member.beat
      yield* member.join("a", [0])
      assert.isTrue(yield* member.workWhole(0))
    }),
  )

  it.effect("keeps kafkajs from joining or leaving while records are claimed, whoever asked for it", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      const claimed = member.give(0)
      const unclaimed = member.give(1)
      assert.isTrue(claimed.claim(1))
      member.joinBegins()
      assert.isFalse(claimed.claim(2))
      assert.isFalse(unclaimed.claim(1))
      assert.isFalse(member.isHeld(1))
      yield* settled
      assert.isFalse(member.isJoinSent())
      assert.isTrue(yield* claimed.commit(1))
      yield* member.join("a", [0])
      // committed and kept: no other member has had it
      assert.isTrue(yield* member.workWhole(0))
      assert.isFalse(yield* member.workWhole(0))
    }),
  )

  it.effect("is not waited for longer than a rebalance may take", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
      batch.claim(1)
      member.joinBegins()
      yield* TestClock.adjust("149 seconds")
      yield* member.beat
      assert.isTrue(member.isHeld(0))
      yield* TestClock.adjust("2 seconds")
      yield* member.beat
      assert.isFalse(member.isHeld(0))
      yield* member.join("a", [0])
      assert.isFalse(yield* batch.commit(1))
      assert.isTrue(yield* member.workWhole(0))
    }),
  )

  it.effect("is nothing that was read before kafkajs joined again, of a partition that went elsewhere", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0, 1])
      yield* member.join("a", [1])
      yield* Effect.promise(() => member.handle(0))
      assert.strictEqual(member.offered.length, 0)
    }),
  )

  it.effect("is committed where the coordinator has moved to, and joined again afterwards", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
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
      assert.strictEqual(yield* member.fetch(0), coordinatorMoved)
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
        const batch = member.give(0)
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
        assert.include(yield* member.fetch(0), { type: "NOT_COORDINATOR_FOR_GROUP" })
        yield* member.join("a", [0])
        member.give(0)
        yield* member.beat
        assert.strictEqual(asked, times + 1)
        assert.deepStrictEqual(member.failures, [])
      }),
    )
  }

  it.live("a coordinator that is found slowly is asked all the same", () =>
    Effect.gen(function* () {
      const member = yield* setupWith(Duration.seconds(3))
      yield* member.join("a", [0])
      const batch = member.give(0)
      batch.claim(2)
      member.onCommit(() => Promise.reject(connectionClosed))
      // longer than one search may take before the next one begins
      member.onFind("500 millis")
      assert.isTrue(yield* batch.commit(2))
      assert.deepStrictEqual(member.direct, ["commit as a/7"])
    }),
  )

  it.effect("one connection that is lost makes kafkajs join no more than before", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
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
      assert.deepStrictEqual(yield* member.fetch(0), [])
      yield* Effect.promise(() => member.handle(0))
      yield* member.join("a", [0])
      assert.strictEqual(member.offered.length, 0)
      assert.deepStrictEqual(yield* member.fetch(0), [0])
      member.give(0)
    }),
  )

  it.effect("is not what a broker was asked for before a join: such a fetch ends when the join begins", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const fetching = member.fetchUnanswered(0)
      member.joinBegins()
      assert.deepStrictEqual(yield* Effect.promise(() => fetching), { responses: [] })
      yield* member.join("a", [0])
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
        yield* Effect.promise(() => member.handle(0))
        assert.include(yield* member.fetch(0), { type: outcome })
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
      yield* Effect.promise(() => member.handle(0))
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
      yield* Effect.promise(() => member.handle(0))
      assert.isTrue(member.failures[0]?.isRetryable)
      assert.strictEqual(member.offered.length, 0)
    }),
  )

  it.effect("is not what was committed while it was read beside, and after a gap it is", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      yield* member.workWhole(0)
      for (let n = 0; n < 3; n++) yield* Effect.promise(() => member.handle(0, 10))
      assert.strictEqual(member.offered.length, 1)
      member.moveTo(0, 5n)
      yield* Effect.promise(() => member.handle(0, 5))
      assert.strictEqual(member.offered.length, 2)
    }),
  )

  it.effect("is committed in the old generation when kafkajs has given up to join, which it has to do again", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
      batch.claim(1)
      member.joinBegins()
      assert.isTrue(yield* batch.commit(1))
      yield* member.joinFails
      assert.include(yield* member.fetch(0), { type: "NOT_COORDINATOR_FOR_GROUP" })
      yield* member.join("a", [0])
      yield* member.workWhole(0)
    }),
  )

  it.live("kafkajs has to join again when a join has failed between its two requests", () =>
    Effect.gen(function* () {
      const member = yield* setupWith(Duration.millis(300))
      yield* member.join("a", [0])
      member.joinBegins()
      yield* member.joinIsAnswered
      assert.deepStrictEqual(yield* member.fetch(0), [])
      assert.include(yield* member.fetch(0), { type: "NOT_COORDINATOR_FOR_GROUP" })
    }),
  )

  it.effect("is committed to the end when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
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
      assert.isFalse(member.isHeld(0))
      member.onCommit(() => Promise.resolve())
      assert.isFalse(yield* member.workWhole(0))
    }),
  )

  it.effect("is held while heartbeats go on, until kafkajs may join", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      const batch = member.give(0)
      batch.claim(2)
      let beats = 0
      member.onHeartbeat(() => {
        beats += 1
        return Promise.resolve()
      })
      yield* member.beat
      member.joinBegins()
      yield* member.beat
      assert.strictEqual(beats, 2)
      yield* batch.commit(2)
      yield* Effect.repeat(settled, { until: member.isJoinSent })
      yield* Effect.promise(() => member.heartbeat(() => Promise.reject(expelled)))
      yield* member.join("a", [0])
      assert.isFalse(yield* member.workWhole(0))
    }),
  )

  it.effect("does not let kafkajs wait for a coordinator that is silent once it must join another", () =>
    Effect.gen(function* () {
      const member = yield* setup
      yield* member.join("a", [0])
      member.give(0).claim(1)
      const waiting = member.heartbeat(silent)
      member.onHeartbeat(() => Promise.reject(coordinatorMoved))
      yield* member.beat
      assert.strictEqual(
        yield* Effect.flip(Effect.tryPromise({ try: () => waiting, catch: (e) => e })),
        coordinatorMoved,
      )
    }),
  )

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
        const batch = member.give(0)
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
      const batch = member.give(0)
      batch.claim(2)
      const draining = yield* Effect.fork(member.drain)
      yield* TestClock.adjust("149 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(draining)))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(draining)
      assert.isFalse(member.isHeld(0))
      assert.isFalse(yield* batch.commit(2))
    }),
  )
})
