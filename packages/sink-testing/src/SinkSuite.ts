/**
 * The contract of `ActivitySink` as tests, for every sink: ours and yours.
 *
 * A sink is tested through a harness: its Layer, and a way to read its destination as a reader of it would. The suite
 * writes, crashes (by interruption, which the contract makes equal to a crash), opens again and compares. It runs in
 * real time and needs no order between its tests: each starts on a fresh destination.
 *
 * @example
 * import { ActivitySink, CheckpointStore } from "@effect-marketo/core"
 * import { SinkSuite } from "@effect-marketo/sink-testing"
 * import { Chunk, Effect, Layer } from "effect"
 *
 * SinkSuite.suite({
 *   name: "a sink of my own",
 *   harness: Effect.gen(function* () {
 *     const stored: Array<string> = []
 *     const sink = ActivitySink.layerFromWrite({
 *       name: "mine",
 *       write: (records) => Effect.sync(() => stored.push(...Chunk.map(records, (record) => record.text)))
 *     })
 *     const checkpoints = yield* Layer.memoize(CheckpointStore.layerMemory)
 *     return { layer: Layer.provide(sink, checkpoints), records: Effect.sync(() => stored) }
 *   })
 * })
 *
 * @since 0.1.0
 */

import { describe, it } from "@effect/vitest"
import type { ActivitySink, Batch } from "@effect-marketo/core/ActivitySink"
import type { SinkError } from "@effect-marketo/core/SinkError"
import type { Subscription } from "@effect-marketo/core/Subscription"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/behaviours.js"
import * as data from "./internal/data.js"
import type { Violation } from "./Violation.js"

/**
 * One fresh destination and the sink on it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Harness {
  /**
   * Built once for each process that the suite plays, so building it again must lead to the same destination. What lives
   * in memory is made outside of it, once for the harness: `Layer.memoize`.
   */
  readonly layer: Layer.Layer<ActivitySink, SinkError>
  /** The texts of the stored records, oldest first, as a reader of the destination sees them. */
  readonly records: Effect.Effect<ReadonlyArray<string>, unknown>
  /**
   * The texts of the stored rejected elements, oldest first. Leave it out for a sink that has no place for them: it must
   * then fail with the reason `RecordRejected`.
   */
  readonly rejected?: Effect.Effect<ReadonlyArray<string>, unknown> | undefined
  /**
   * Whether `open` shuts out the older writer of the same subscription. Default: true for sinks that deliver exactly
   * once, which they cannot do without.
   */
  readonly fences?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Rounds {
  /** How often the behaviours with chance in them repeat. Default: 30. */
  readonly rounds?: number | undefined
  /** Repeats the chances of a failed run, which names its seed. Default: another one each time. */
  readonly seed?: number | undefined
}

/**
 * One promise of the contract.
 *
 * @since 0.1.0
 * @category models
 */
export interface Behaviour {
  readonly name: string
  /** What goes wrong for users of a sink without it. */
  readonly why: string
  /** Fails with a `Violation` when the sink breaks the promise. Each `Harness` it asks for is a fresh destination. */
  readonly run: <E>(
    harness: Effect.Effect<Harness, E, Scope.Scope>,
    options?: Rounds,
  ) => Effect.Effect<void, Violation | SinkError | E>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E> extends Rounds {
  /** The title of the suite. */
  readonly name: string
  readonly harness: Effect.Effect<Harness, E, Scope.Scope>
  /** For one behaviour with all its rounds; there to end a hang. Default: 2 minutes. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Everything that `suite` checks, as plain Effects: to run one alone, or to see it fail for a broken sink.
 *
 * @since 0.1.0
 * @category testing
 */
export const behaviours: ReadonlyArray<Behaviour> = internal.behaviours

/**
 * Registers one test for each behaviour. Call it at the top level of a test file, or inside a `describe`.
 *
 * @since 0.1.0
 * @category testing
 */
export const suite = <E>(options: Options<E>): void => {
  const timeout = Duration.toMillis(options.timeout ?? "2 minutes")
  describe(options.name, () => {
    for (const { name, run } of behaviours) it.live(name, () => run(options.harness, options), timeout)
  })
}

/**
 * Texts of realistic records, different for each number from `from` on. Default: from 0.
 *
 * @since 0.1.0
 * @category testing
 */
export const texts = (count: number, from = 0): ReadonlyArray<string> => data.texts(count, from)

/**
 * A batch of a subscription as a pipeline makes it, for tests of your own. A record's text must have the members
 * `marketoGUID`, `leadId`, `activityDate` and `activityTypeId`, as those of `texts` have. The first `sequence` is 1.
 *
 * @since 0.1.0
 * @category testing
 */
export const batch = (
  subscription: Subscription,
  sequence: number,
  texts: ReadonlyArray<string>,
  rejected: ReadonlyArray<string> = [],
): Batch => data.batch(subscription, sequence, texts, rejected)
