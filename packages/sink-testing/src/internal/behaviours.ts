/**
 * The promises of the contract, one by one.
 *
 * @since 0.1.0
 */
import type { Batch, Service, Writer } from "@effect-marketo/core/ActivitySink"
import type { SinkError } from "@effect-marketo/core/SinkError"
import type { Subscription } from "@effect-marketo/core/Subscription"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Behaviour, Harness, Rounds } from "../SinkSuite.js"
import { Violation } from "../Violation.js"
import { batch, personal, rejectedTexts, subscription, texts } from "./data.js"
import { forkUntil, type Instant, measure } from "./instant.js"
import * as Session from "./session.js"
import { expectStored, readRecords } from "./stored.js"

const { expectCheckpoint, violation } = Session

const behaviour = (
  name: string,
  why: string,
  run: (harness: Harness) => Effect.Effect<void, SinkError | Violation, Scope.Scope>,
): Behaviour => ({ name, why, run: (harness) => Effect.scoped(Effect.flatMap(harness, run)) })

const chances = ({ rounds = 30, seed = Math.floor(Math.random() * 2 ** 31) }: Rounds = {}) => ({ rounds, seed })

const withSeed =
  (seed: number, what: string) =>
  (error: SinkError | Violation): Violation =>
    new Violation({ description: `${what}${error.message} (seed ${seed})`, cause: error })

/** With chance in it: a failure names the seed. */
const seeded = (
  name: string,
  why: string,
  run: (harness: Harness, rounds: number) => Effect.Effect<void, SinkError | Violation, Scope.Scope>,
): Behaviour => ({
  name,
  why,
  run: (harness, options) => {
    const { rounds, seed } = chances(options)
    return Effect.scoped(Effect.flatMap(harness, (one) => Effect.mapError(run(one, rounds), withSeed(seed, "")))).pipe(
      Effect.withRandom(Random.make(seed)),
    )
  },
})

/** Walks through the write in the course of all rounds, with every other step at a moment of chance. */
const anInstant = (round: number, rounds: number): Effect.Effect<Instant> =>
  Effect.map(Random.next, (chance) =>
    round % 2 === 0 ? { by: "operation", part: (round + 2 * chance) / rounds } : { by: "time", part: chance * 1.2 },
  )

/** Batches of `subscription` with three records each. */
const small = (sequence: number, from = (sequence - 1) * 3): Batch => batch(subscription, sequence, texts(3, from), [])

const fences = (harness: Harness, sink: Service): boolean => harness.fences ?? sink.delivery === "exactly-once"

/** The write must fail as the contract says, and its error must be fit to be shown. */
const expectRefused = (
  write: Effect.Effect<void, SinkError>,
  reason: SinkError["reason"],
  when: string,
): Effect.Effect<void, Violation> =>
  Effect.flatMap(Effect.either(write), (outcome) => {
    if (Either.isRight(outcome)) return violation(`${when} succeeded, expected a SinkError with the reason ${reason}`)
    const { _tag, reason: found } = outcome.left
    if (_tag !== "SinkError" || found !== reason) {
      return violation(`${when} failed with ${found ?? _tag}, expected a SinkError with the reason ${reason}`)
    }
    return outcome.left.message.includes(personal)
      ? violation(`${when} failed with an error that quotes records; errors end up in logs`)
      : Effect.void
  })

/** A second writer takes over, or is refused because the first one is alive. */
const secondWriter = (
  harness: Harness,
  sink: Service,
  openSecond: Effect.Effect<Writer, SinkError, Scope.Scope>,
): Effect.Effect<void, SinkError | Violation, Scope.Scope> =>
  Effect.gen(function* () {
    const [one, two, other] = [small(1), small(2), small(2, 100)]
    const first = yield* sink.open(subscription)
    yield* first.write(one)
    const second = yield* Effect.either(openSecond)
    if (Either.isLeft(second)) {
      if (second.left.reason !== "InUse") return yield* second.left
      yield* first.write(two)
      return yield* expectStored(harness, { batches: [one, two] })
    }
    yield* expectCheckpoint(second.right, one)
    if (fences(harness, sink)) {
      yield* expectRefused(first.write(two), "Fenced", "a write by the older of two writers")
      yield* expectStored(harness, { batches: [one] })
    }
    yield* second.right.write(other)
    yield* expectStored(harness, { batches: [one, other] })
  })

/** `open` during a write of the older writer: what the newer one did not read is not committed afterwards. */
const takeOver = (harness: Harness, rounds: number): Effect.Effect<void, SinkError | Violation, Scope.Scope> =>
  Effect.gen(function* () {
    const sink = yield* Session.newProcess(harness)
    const repeats = sink.delivery === "at-least-once"
    const done = [small(1), small(2), small(3)]
    const costs = yield* Effect.scoped(
      Effect.flatMap(sink.open(subscription), (writer) =>
        Effect.forEach(done, (batch) => measure(writer.write(batch))),
      ),
    )
    // the least, because a write that was held up once would put the instants of all rounds after the write
    const cost = costs.reduce((least, one) => (one.millis < least.millis ? one : least))
    for (let round = 0; round < rounds; round++) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* sink.open(subscription)
          yield* expectCheckpoint(first, done.at(-1))
          const next = small(done.length + 1)
          const write = yield* forkUntil(Effect.either(first.write(next)), yield* anInstant(round, rounds), cost)
          const second = yield* Effect.either(sink.open(subscription))
          const outcome = yield* Fiber.join(write)
          if (Either.isLeft(outcome) && outcome.left.reason !== "Fenced") return yield* outcome.left
          if (Either.isLeft(second)) {
            if (second.left.reason !== "InUse") return yield* second.left
            done.push(next)
            return yield* expectStored(harness, { batches: done })
          }
          const sequence = Option.match(second.right.checkpoint, { onNone: () => 0, onSome: (found) => found.sequence })
          const wasRead = sequence === next.checkpoint.sequence
          yield* expectCheckpoint(second.right, wasRead ? next : done.at(-1))
          const wasDone = wasRead || Either.isRight(outcome)
          if (wasDone && !wasRead && fences(harness, sink)) {
            return yield* violation(
              `an older writer committed batch ${next.checkpoint.sequence} after a newer one had read the checkpoint; shut out older writers first, then read`,
            )
          }
          if (!wasDone) {
            yield* expectStored(harness, { batches: done, repeats: repeats ? { doubtful: [next] } : undefined })
            yield* second.right.write(next)
          }
          done.push(next)
          yield* expectStored(harness, { batches: done, repeats: repeats ? { doubtful: [] } : undefined })
        }),
      )
    }
  })

type Step =
  | { readonly do: "write"; readonly records: number; readonly rejected: number }
  | {
      readonly do: "interrupt"
      readonly records: number
      readonly rejected: number
      readonly part: number
      readonly next: "reopen" | "restart"
    }
  | { readonly do: "reopen" }
  | { readonly do: "restart" }

const steps: FastCheck.Arbitrary<ReadonlyArray<Step>> = FastCheck.array(
  FastCheck.oneof(
    FastCheck.record({
      do: FastCheck.constant("write" as const),
      records: FastCheck.nat(5),
      rejected: FastCheck.nat(2),
    }),
    FastCheck.record({
      do: FastCheck.constant("interrupt" as const),
      records: FastCheck.nat(5),
      rejected: FastCheck.nat(2),
      part: FastCheck.double({ min: 0, max: 1, noNaN: true }),
      next: FastCheck.constantFrom("reopen" as const, "restart" as const),
    }),
    FastCheck.constant({ do: "reopen" as const }),
    FastCheck.constant({ do: "restart" as const }),
  ),
  { minLength: 1, maxLength: 8 },
)

const play = (harness: Harness, all: ReadonlyArray<Step>): Effect.Effect<void, SinkError | Violation, Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* Session.make(harness)
    const rejected = (count: number) => (harness.rejected === undefined ? 0 : count)
    for (const step of all) {
      if (step.do === "write") yield* session.write(step.records, rejected(step.rejected))
      else if (step.do === "interrupt") {
        yield* session.interrupt({
          ...step,
          rejected: rejected(step.rejected),
          instant: { by: "operation", part: step.part },
        })
      } else yield* session[step.do]
    }
    yield* session.restart
  })

const anySequence: Behaviour = {
  name: "any sequence of writes, interruptions, reopenings and restarts ends complete and in order",
  why: "states that nobody thought of, such as an interruption right after a restart, must hold too",
  run: (harness, options) => {
    const { rounds, seed } = chances(options)
    // the shortest first, instead of shrinking the first to fail: on a real destination that would take minutes
    const sequences = FastCheck.sample(steps, { numRuns: rounds, seed }).sort((a, b) => a.length - b.length)
    return Effect.forEach(
      sequences,
      (all) =>
        Effect.scoped(
          Effect.flatMap(harness, (one) =>
            Effect.mapError(play(one, all), withSeed(seed, `after ${JSON.stringify(all)}: `)),
          ),
        ),
      { discard: true },
    )
  },
}

const lineBreaks =
  '{\n  "marketoGUID": "a",\r\n  "leadId": 1,\n  "activityDate": "2026-01-05T00:00:00Z",\n  "activityTypeId": 1\n}'

export const behaviours: ReadonlyArray<Behaviour> = [
  behaviour(
    "a new subscription has no checkpoint",
    "a pipeline that is given one it never wrote would not start at `since`",
    (harness) =>
      Effect.gen(function* () {
        const writer = yield* Effect.flatMap(Session.newProcess(harness), (sink) => sink.open(subscription))
        yield* expectCheckpoint(writer, undefined)
        yield* expectStored(harness, { batches: [] })
      }),
  ),
  behaviour(
    "batches and the records in them are stored once and in the order of their writing",
    "readers see a lead's activities in the order in which they happened",
    (harness) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        for (const count of [1, 300, 2, 0, 50, 1]) yield* session.write(count)
      }),
  ),
  behaviour(
    "a text is stored as it is, byte for byte",
    "a sink that encodes again loses integers past 2^53 and members that nobody modelled",
    (harness) =>
      Effect.gen(function* () {
        const [plain = ""] = texts(1, 0)
        const withValue = (json: string) => `${plain.slice(0, -1)},"value":${json}}`
        const odd = batch(
          subscription,
          1,
          [
            plain,
            withValue('"å 日本 🙂 \u2028 \u007f"'),
            withValue('"\\"quoted\\" \\\\ \\n \\t \\u0000 \\ud83d\\ude42 \\/"'),
            withValue("123456789012345678901234567890"),
            withValue('1.0e+2,"value":[ ] , "value":null'),
            withValue(`"${"x".repeat(1_000_000)}"`),
            plain,
          ],
          [],
        )
        const writer = yield* Effect.flatMap(Session.newProcess(harness), (sink) => sink.open(subscription))
        yield* writer.write(odd)
        yield* expectStored(harness, { batches: [odd] })
      }),
  ),
  behaviour(
    "a record with line breaks between its tokens stays one record",
    "Marketo may send indented JSON; in a line-based destination it would fall into pieces",
    (harness) =>
      Effect.gen(function* () {
        const [before = "", after = ""] = texts(2, 0)
        const writer = yield* Effect.flatMap(Session.newProcess(harness), (sink) => sink.open(subscription))
        yield* writer.write(batch(subscription, 1, [before, lineBreaks, after], []))
        const stored = yield* readRecords(harness)
        const same = yield* Effect.try({
          try: () => JSON.stringify(stored.map((text) => JSON.parse(text))),
          catch: () => new Violation({ description: `stored is not JSON: ${stored.join(" | ")}` }),
        })
        const expected = JSON.stringify([before, lineBreaks, after].map((text) => JSON.parse(text)))
        if (same !== expected) yield* violation(`stored are ${same}, expected ${expected}`)
      }),
  ),
  behaviour(
    "another writer resumes where the last one ended",
    "the checkpoint is what a pipeline starts from; a lost or altered one repeats or skips activities",
    (harness) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        yield* session.reopen
        yield* session.write(3)
        yield* session.reopen
        yield* session.write(3)
        yield* session.write(3)
        yield* session.reopen
        yield* session.reopen
      }),
  ),
  behaviour(
    "another process resumes where the last one ended",
    "deployments and crashes end processes; what lived in their memory is gone",
    (harness) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        yield* session.restart
        yield* session.write(3)
        yield* session.restart
        yield* session.write(3)
        yield* session.restart
        yield* session.restart
      }),
  ),
  behaviour(
    "an empty batch moves the checkpoint and stores no record",
    "hours of empty pages are normal; without it they would be read again after each restart",
    (harness) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        yield* session.write(0)
        yield* session.restart
        yield* session.write(3)
        yield* session.write(0)
        yield* session.write(0)
        yield* session.reopen
      }),
  ),
  behaviour(
    "a batch of 30,000 records is stored whole",
    "pages that wait while a write is slow go out together",
    (harness) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        yield* session.write(30_000)
        yield* session.reopen
        yield* session.write(1)
      }),
  ),
  behaviour(
    "rejected elements are stored, with records or without, or their batch fails",
    "what could not be decoded may be the only copy of a purchase; it is never dropped in silence",
    (harness) =>
      Effect.gen(function* () {
        if (harness.rejected !== undefined) {
          const session = yield* Session.make(harness)
          yield* session.write(3, 2)
          yield* session.write(0, 1)
          yield* session.write(2, 0)
          return yield* session.restart
        }
        const sink = yield* Session.newProcess(harness)
        for (const count of [0, 3]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* sink.open(subscription)
              yield* expectCheckpoint(writer, undefined)
              const doubtful = batch(subscription, 1, texts(count, 0), rejectedTexts(1, 0))
              yield* expectRefused(writer.write(doubtful), "RecordRejected", "a write with a rejected element")
            }),
          )
        }
        yield* expectCheckpoint(yield* sink.open(subscription), undefined)
        if (sink.delivery === "exactly-once") yield* expectStored(harness, { batches: [] })
      }),
  ),
  seeded(
    "an interrupted write is in the checkpoint whole, or is sent again",
    "an interruption equals a crash: activities are lost when the checkpoint comes first, repeated when it comes apart",
    (harness, rounds) =>
      Effect.gen(function* () {
        const session = yield* Session.make(harness)
        for (let round = 0; round < rounds; round++) {
          yield* session.write(3)
          yield* session.interrupt({
            records: 3,
            rejected: harness.rejected === undefined ? 0 : round % 2,
            instant: yield* anInstant(round, rounds),
            next: round % 4 < 2 ? "reopen" : "restart",
          })
        }
        yield* session.restart
      }),
  ),
  behaviour(
    "a second writer of a subscription shuts out the first, or is refused",
    "two copies of a pipeline that both write end with everything twice",
    (harness) =>
      Effect.flatMap(Session.newProcess(harness), (sink) => secondWriter(harness, sink, sink.open(subscription))),
  ),
  behaviour(
    "a second process on a subscription shuts out the first, or is refused",
    "the older copy is often one that was taken for dead: a paused machine, a slow deployment",
    (harness) =>
      Effect.flatMap(Session.newProcess(harness), (sink) =>
        secondWriter(
          harness,
          sink,
          Effect.flatMap(Session.newProcess(harness), (another) => another.open(subscription)),
        ),
      ),
  ),
  seeded(
    "a writer that takes over during a write reads all that is committed",
    "what an older writer commits after the newer one has read the checkpoint is sent a second time",
    takeOver,
  ),
  behaviour(
    "two subscriptions write in turn and keep checkpoints of their own",
    "several pipelines share one destination",
    (harness) =>
      Effect.gen(function* () {
        const [a, b]: readonly [Subscription, Subscription] = [
          subscription,
          { ...subscription, name: `${subscription.name}-2` },
        ]
        const inOrder = [
          batch(a, 1, texts(3, 0), []),
          batch(b, 1, texts(3, 10), []),
          batch(a, 2, texts(3, 20), []),
          batch(a, 3, texts(3, 30), []),
          batch(b, 2, texts(3, 40), []),
        ] as const
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sink = yield* Session.newProcess(harness)
            const writers = { [a.name]: yield* sink.open(a), [b.name]: yield* sink.open(b) }
            for (const next of inOrder) yield* writers[next.checkpoint.subscription]?.write(next) ?? Effect.void
          }),
        )
        yield* expectStored(harness, { batches: inOrder })
        const sink = yield* Session.newProcess(harness)
        yield* expectCheckpoint(yield* sink.open(a), inOrder[3])
        yield* expectCheckpoint(yield* sink.open(b), inOrder[4])
      }),
  ),
  anySequence,
]
