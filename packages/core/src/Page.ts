/**
 * What one call returned, and where every chain of the read stands after it.
 *
 * Pages may be filtered, mapped and enriched on the way to a writer as long as they keep their order: the positions of
 * a page cover it and all pages before it. A page without records is a page like any other; dropping it drops progress.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { AnyActivity } from "./Activity.js"
import type { ActivityRecord, Rejected } from "./ActivityRecord.js"
import type { Position } from "./Checkpoint.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Page<out A = AnyActivity> {
  /** Possibly none: Marketo scans its log in blocks, and a narrow filter gives long runs of empty pages. */
  readonly records: Chunk.Chunk<ActivityRecord<A>>
  /** Elements that could not be understood; only with `undecodable: "keep"`. */
  readonly rejected: Chunk.Chunk<Rejected>
  /** Every chain of the read, after this page. */
  readonly positions: ReadonlyArray<Position>
  /** How far the read has come: the oldest `through` of the chains that are read. */
  readonly through: DateTime.Utc
  /** `false` when every chain has said so in its newest answer: the read has caught up. */
  readonly moreResult: boolean
  /** Marketo's id of the call. */
  readonly requestId: Option.Option<string>
}

/**
 * @since 0.1.0
 * @category combinators
 */
export const map =
  <A, B>(f: (record: ActivityRecord<A>) => ActivityRecord<B>) =>
  (self: Page<A>): Page<B> => ({ ...self, records: Chunk.map(self.records, f) })

/**
 * @since 0.1.0
 * @category combinators
 */
export const filter =
  <A>(predicate: (record: ActivityRecord<A>) => boolean) =>
  (self: Page<A>): Page<A> => ({ ...self, records: Chunk.filter(self.records, predicate) })

/**
 * Records in, records out, a page at a time.
 *
 * @since 0.1.0
 * @category combinators
 */
export const mapEffect =
  <A, B, E, R>(f: (records: Chunk.Chunk<ActivityRecord<A>>) => Effect.Effect<Chunk.Chunk<ActivityRecord<B>>, E, R>) =>
  (self: Page<A>): Effect.Effect<Page<B>, E, R> =>
    Effect.map(f(self.records), (records) => ({ ...self, records }))
