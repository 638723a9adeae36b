/**
 * Gathers records of many partitions into calls.
 *
 * A partition is in one call at a time, and its records leave in their order, so order per key holds whatever the number of
 * calls in flight. Any free lane takes any partition: a fixed lane for each would leave some idle while others are behind.
 */
import type { PartitionBatch } from "@effect-marketo/kafka/PartitionBatch"
import type { Slice } from "./batch.js"

export interface Policy {
  readonly maxCount: number
  readonly maxBytes: number
  /** Milliseconds. */
  readonly maxWait: number
  /** How long the first records of a partition that may have been worked on have to wait, in milliseconds. */
  readonly firstWait: number
}

interface Waiting {
  readonly batch: PartitionBatch
  /** Index of the first record that is not in a call yet. */
  next: number
  /** When its records began to wait for a call. */
  since: number
}

/** Bytes of a record in a call, about: the value of a record is its JSON, unless the user decodes something else. */
const sizeOf = (batch: PartitionBatch, index: number): number => {
  try {
    return (batch.valueAt(index)?.length ?? 0) + 1
  } catch {
    return 1 // decoding makes it a dead letter
  }
}

const left = ({ batch, next }: Waiting): number => batch.length - next

export class Gatherer {
  /** The one that has waited longest comes first. */
  readonly #waiting = new Map<number, Waiting>()
  /** Partitions that are in a call, and whether what is left of them comes soon: not while a record of the call is waited for. */
  readonly #busy = new Map<number, "coming" | "stalled">()

  constructor(readonly policy: Policy) {}

  /** Takes the place of an older batch of the partition, which is nobody's any more. */
  offer(batch: PartitionBatch, now: number): void {
    this.#waiting.delete(batch.partition)
    this.#waiting.set(batch.partition, { batch, next: 0, since: now })
  }

  /** The call of this partition is over. */
  done(partition: number, now: number): void {
    this.#busy.delete(partition)
    const waiting = this.#waiting.get(partition)
    if (waiting === undefined) return
    this.#waiting.delete(partition)
    if (left(waiting) === 0) return
    waiting.since = Math.max(waiting.since, now)
    this.#waiting.set(partition, waiting)
  }

  /** A record of this partition's call is waited for; other partitions do not wait to share a call with what is behind it. */
  stall(partition: number, isStalled: boolean): void {
    if (this.#busy.has(partition)) this.#busy.set(partition, isStalled ? "stalled" : "coming")
  }

  /** The next call; or in how many milliseconds to ask again, if nothing happens before. */
  take(now: number): ReadonlyArray<Slice> | number {
    const { firstWait, maxBytes, maxCount, maxWait } = this.policy
    const slices: Array<Slice> = []
    let count = 0
    let bytes = 0
    let isFull = false
    let oldest = now
    let isBehind = false
    let coming = 0
    let readyIn = Number.POSITIVE_INFINITY
    for (const [partition, waiting] of this.#waiting) {
      const { batch, next, since } = waiting
      const busy = this.#busy.get(partition)
      if (busy !== undefined) {
        if (busy === "coming") coming += left(waiting)
        continue
      }
      // claims nothing, and tells whether the batch is still there
      if (!batch.claim(0)) {
        this.#waiting.delete(partition)
        continue
      }
      if (next === 0 && batch.first && now < since + firstWait) {
        readyIn = Math.min(readyIn, since + firstWait - now)
        continue
      }
      let until = next
      while (until < batch.length && count < maxCount) {
        const size = sizeOf(batch, until)
        if (count > 0 && bytes + size > maxBytes) {
          isFull = true
          break
        }
        bytes += size
        count++
        until++
      }
      if (until > next) {
        slices.push({ batch, from: next, until })
        oldest = Math.min(oldest, since)
        isBehind ||= until === batch.length && batch.hasMore
      }
      isFull ||= count === maxCount
      if (isFull) break
    }
    if (slices.length === 0) return readyIn
    const waited = now - oldest
    // what is behind comes only when these are done; what is in other calls' partitions comes by itself
    if (!isFull && waited < maxWait && (coming > 0 || !isBehind)) return Math.min(maxWait - waited, readyIn)
    for (const { batch, until } of slices) {
      this.#busy.set(batch.partition, "coming")
      const waiting = this.#waiting.get(batch.partition)
      if (waiting !== undefined) waiting.next = until
    }
    return slices
  }
}
