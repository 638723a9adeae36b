/** How many records may become dead letters. */
export interface Policy {
  readonly max: number
  readonly of: number
}

/** More than `max` of the last `of` records: something is wrong that dead letters do not cure. */
export class Guard {
  readonly #last: Array<boolean> = []
  #at = 0
  #dead = 0

  constructor(readonly policy: Policy) {}

  /** Counts records, in any order of batches; false when they are too many. */
  allows(areDead: ReadonlyArray<boolean>): boolean {
    for (const isDead of areDead) {
      this.#dead += Number(isDead) - Number(this.#last[this.#at] ?? false)
      this.#last[this.#at] = isDead
      this.#at = (this.#at + 1) % this.policy.of
      if (this.#dead > this.policy.max) return false
    }
    return true
  }
}
