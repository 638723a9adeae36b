/**
 * Writes the records of a Kafka topic to Marketo as custom activities: in batches, in the order of each partition, at least
 * once, and not twice where that can be known.
 *
 * @since 0.1.0
 */
import * as CustomActivities from "@effect-marketo/core/CustomActivities"
import type * as CustomActivity from "@effect-marketo/core/CustomActivity"
import * as MarketoError from "@effect-marketo/core/MarketoError"
import * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import type * as KafkaError from "@effect-marketo/kafka/KafkaError"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { MAX_COUNT } from "./internal/batch.js"
import * as breakers from "./internal/breaker.js"
import * as counters from "./internal/counters.js"
import * as deadLetters from "./internal/deadLetters.js"
import * as decoding from "./internal/decode.js"
import { Gatherer } from "./internal/gatherer.js"
import { Guard } from "./internal/guard.js"
import * as lanes from "./internal/lanes.js"
import * as reading from "./internal/readBack.js"
import * as work from "./internal/work.js"
import type { Progress } from "./Progress.js"
import * as SkippedPolicy from "./SkippedPolicy.js"
import type { SourceError } from "./SourceError.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> extends KafkaClient.ConsumerOptions {
  /** Has to exist. One partition is enough. */
  readonly deadLetterTopic: string
  /**
   * From a record to a custom activity. What it fails with, or dies of, makes the record a dead letter, so something that may pass,
   * such as a look-up, has to be repeated within. Default: `CustomActivity.fromBytes` of the value.
   */
  readonly decode?:
    | ((record: KafkaRecord.ConsumerRecord) => Effect.Effect<CustomActivity.CustomActivity, E, R>)
    | undefined
  /**
   * Records of a call. A call waits up to `maxWait` for more only while the topic has no more to give, so a backlog never waits.
   */
  readonly batch?: CustomActivities.BatchPolicy | undefined
  /**
   * Calls in flight, each with what follows from it: a lane takes its next call when the records of the one before are committed. A
   * partition is in one call at a time. Default: 5. `ApiLimits` bounds them too.
   */
  readonly concurrency?: number | undefined
  /**
   * How a call without an answer is settled. What is not found when it should be visible is in doubt: by default a dead letter that
   * says so. `notFound: "resend"` writes it again, which is as safe as its `identity` is unique and `visibilityDelay` long enough.
   */
  readonly unknown?: CustomActivities.UnknownPolicy | undefined
  /**
   * What happens with records that an earlier run, or another member, may have written without committing their offsets:
   * `"readBack"` looks them up first, which takes `unknown.visibilityDelay` after each assignment; `"write"` writes them again.
   * They are at most the first 300 of each partition. Default: `"readBack"` when an `identity` is named, else `"write"`.
   */
  readonly onAssign?: "readBack" | "write" | undefined
  /** By Marketo's code, or `other`: replaces entries of `SkippedPolicy.defaultPolicy`. */
  readonly skipped?: Readonly<Record<string, SkippedPolicy.Action>> | undefined
  /**
   * How long a record that Marketo skips is sent again, where the policy says `retry`. Then it becomes a dead letter, and what waits
   * behind it in its partition goes on; other partitions do not wait. It begins anew with each assignment. Default: 15 minutes.
   */
  readonly retryFor?: Duration.DurationInput | undefined
  /**
   * When more than `max` of the last `of` records would be dead letters, the stream fails. Those in doubt do not count.
   * Default: 100 of 1,000.
   */
  readonly guard?: { readonly max: number; readonly of: number } | undefined
  /** How long calls in flight may go on when the stream is interrupted. Default: 20 seconds. */
  readonly drain?: Duration.DurationInput | undefined
  /**
   * How long a rebalance waits for a call in flight and what follows from it. At least the `timeout` of `CustomActivities` (100
   * seconds) and `sessionTimeout`; less is refused: a member that is expelled in the middle of a call writes it twice. Default: these
   * and `unknown.visibilityDelay`, 250 seconds.
   */
  readonly rebalanceTimeout?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category errors
 */
export type Error = SourceError | MarketoError.MarketoError | KafkaError.KafkaError

/** Marketo's limit for a call. */
const MAX_BYTES = 1_000_000

/** Around a call's records, and what their JSON may have more than their values. */
const MARGIN_BYTES = 10_000

const SESSION_TIMEOUT = Duration.seconds(30)

const invalid = (field: string, limit: string) => new MarketoError.MarketoInvalidRequest({ field, limit })

const settingsOf = <E, R>(options: Options<E, R>, timeout: Duration.Duration) =>
  Effect.gen(function* () {
    const { batch = {}, concurrency = 5, guard = { max: 100, of: 1_000 }, unknown = {} } = options
    const { maxBytes = MAX_BYTES, maxCount = MAX_COUNT } = batch
    for (const [field, value, least] of [
      ["concurrency", concurrency, 1],
      ["batch.maxBytes", maxBytes, 1],
      ["batch.maxCount", maxCount, 1],
      ["guard.max", guard.max, 0],
      ["guard.of", guard.of, 1],
    ] as const) {
      if (!(Number.isInteger(value) && value >= least)) {
        yield* invalid(field, `must be a whole number of at least ${least}, not ${value}`)
      }
    }
    const visibilityDelay = Duration.decode(unknown.visibilityDelay ?? "2 minutes")
    const sessionTimeout = Duration.decode(options.sessionTimeout ?? SESSION_TIMEOUT)
    const longest = Duration.sum(timeout, sessionTimeout)
    const rebalanceTimeout = Duration.decode(options.rebalanceTimeout ?? Duration.sum(longest, visibilityDelay))
    if (Duration.lessThan(rebalanceTimeout, longest)) {
      yield* invalid(
        "rebalanceTimeout",
        `must be at least ${Duration.format(longest)}: one call and its commit take that long, and a member that is expelled before writes its batch twice`,
      )
    }
    const { identity, notFound = "inDoubt" } = unknown
    return {
      consumer: { ...options, sessionTimeout, rebalanceTimeout, unreadable: "deliver" as const },
      gathering: {
        maxCount: Math.min(maxCount, MAX_COUNT),
        maxBytes: Math.min(maxBytes, MAX_BYTES - MARGIN_BYTES),
        maxWait: Duration.toMillis(batch.maxWait ?? "30 seconds"),
      },
      concurrency,
      guard,
      unknown,
      notFound,
      visibilityDelay,
      onAssign: options.onAssign ?? (identity === undefined ? "write" : "readBack"),
      skipped: { ...SkippedPolicy.defaultPolicy, ...options.skipped },
      retryFor: Duration.toMillis(options.retryFor ?? "15 minutes"),
      drain: Duration.decode(options.drain ?? "20 seconds"),
    }
  })

/**
 * Runs until it fails or is interrupted, with an element for each batch whose offsets were committed.
 *
 * It fails when Marketo refuses the credentials or a permission, when Kafka refuses what cannot pass by itself, and by the guard or
 * the policy for skipped records. Everything that passes is waited for, with offsets standing still and heartbeats going on: limits,
 * quota and outages of Marketo, and a dead-letter topic that cannot be written.
 *
 * @example
 * import { CustomActivitySource } from "@effect-marketo/source-kafka"
 * import { Console, Stream } from "effect"
 *
 * const program = CustomActivitySource.stream({
 *   topic: "custom-activities",
 *   groupId: "to-marketo",
 *   deadLetterTopic: "custom-activities.dead",
 *   unknown: { identity: "bookingNumber" }
 * }).pipe(Stream.runForEach(({ added, deadLettered }) => Console.log(added, deadLettered)))
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = <E = never, R = never>(
  options: Options<E, R>,
): Stream.Stream<Progress, Error, KafkaClient.KafkaClient | CustomActivities.CustomActivities | R> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const activities = yield* CustomActivities.CustomActivities
      const settings = yield* settingsOf(options, activities.timeout)
      const { consumer, gathering, onAssign, unknown, visibilityDelay } = settings
      const client = yield* KafkaClient.KafkaClient
      const dead = yield* deadLetters.make(options.deadLetterTopic, options.groupId)
      // a reader that is slow holds the lanes up
      const progress = yield* Mailbox.make<Progress, Error>({ capacity: settings.concurrency })
      const context = {
        topic: options.topic,
        counters: counters.make(options.topic),
        activities,
        decode: decoding.make(options.decode),
        readBack: reading.make(activities, unknown),
        deadLetters: dead,
        guard: new Guard(settings.guard),
        breaker: yield* breakers.make,
        skipped: settings.skipped,
        onAssign,
        notFound: settings.notFound,
        visibilityDelay,
        minCount: unknown.minCount ?? 25,
        resends: unknown.resends ?? 3,
        retryFor: settings.retryFor,
        report: (done: Progress) => progress.offer(done),
      }
      const running = yield* lanes.make({
        count: settings.concurrency,
        gatherer: new Gatherer({
          ...gathering,
          firstWait: onAssign === "readBack" ? Duration.toMillis(visibilityDelay) : 0,
        }),
        begin: (slices, lane) => work.make(context, slices, lane),
        onFailure: (cause) => progress.failCause(cause),
      })
      yield* client.consume(consumer).pipe(
        Stream.runForEach(running.offer),
        Effect.catchAllCause((cause) => progress.failCause(cause)),
        Effect.interruptible,
        Effect.forkScoped,
      )
      yield* running.run.pipe(
        Effect.catchAllCause((cause) => progress.failCause(cause)),
        Effect.interruptible,
        Effect.forkScoped,
      )
      // comes before the consumer leaves its group, so that what is in flight can be committed
      yield* Effect.addFinalizer(() => Effect.zipRight(progress.shutdown, running.drain(settings.drain)))
      return Mailbox.toStream(progress)
    }),
  )

/**
 * `stream` without its elements.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = <E = never, R = never>(
  options: Options<E, R>,
): Effect.Effect<void, Error, KafkaClient.KafkaClient | CustomActivities.CustomActivities | R> =>
  Stream.runDrain(stream(options))
