/**
 * What a source has done.
 *
 * @since 0.1.0
 */

/**
 * Records whose offsets were committed together, by what became of them. The counts other than `records` add up to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly records: number
  /** Marketo answered that they are stored. */
  readonly added: number
  /** Found in Marketo by reading back. */
  readonly confirmed: number
  /** Refused, or not decodable: in the dead-letter topic. */
  readonly deadLettered: number
  /** In doubt, and not found by reading back: in the dead-letter topic too, with `marketo.execution: Unknown`. */
  readonly inDoubt: number
  readonly dropped: number
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const empty: Progress = { records: 0, added: 0, confirmed: 0, deadLettered: 0, inDoubt: 0, dropped: 0 }

/**
 * @since 0.1.0
 * @category combinators
 */
export const add = (self: Progress, that: Progress): Progress => ({
  records: self.records + that.records,
  added: self.added + that.added,
  confirmed: self.confirmed + that.confirmed,
  deadLettered: self.deadLettered + that.deadLettered,
  inDoubt: self.inDoubt + that.inDoubt,
  dropped: self.dropped + that.dropped,
})
