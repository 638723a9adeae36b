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
  #isExceeded = false

  constructor(readonly policy: Policy) {}

  /** From the first time on. */
  get isExceeded(): boolean {
    return this.#isExceeded
  }

  /** Whether these would be too many. */
  forbids(areDead: ReadonlyArray<boolean>): boolean {
    const { max, of } = this.policy
    let dead = this.#dead
    const isTooMany = areDead.some((isDead, i) => {
      const leaving = i < of ? this.#last[(this.#at + i) % of] : areDead[i - of]
      dead += Number(isDead) - Number(leaving ?? false)
      return dead > max
    })
    return this.#isExceeded || isTooMany
  }

  /** In any order of batches. */
  count(areDead: ReadonlyArray<boolean>): void {
    this.#isExceeded = this.forbids(areDead)
    for (const isDead of areDead) {
      this.#dead += Number(isDead) - Number(this.#last[this.#at] ?? false)
      this.#last[this.#at] = isDead
      this.#at = (this.#at + 1) % this.policy.of
    }
  }
}
