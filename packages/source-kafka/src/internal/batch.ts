/**
 * What a call is made of.
 */
import type * as CustomActivity from "@effect-marketo/core/CustomActivity"
import type * as KafkaRecord from "@effect-marketo/kafka/KafkaRecord"
import type { PartitionBatch } from "@effect-marketo/kafka/PartitionBatch"

/** Marketo's limit for the records of a call. */
export const MAX_COUNT = 300

/** Consecutive records of a partition's batch: those that go into one call. */
export interface Slice {
  readonly batch: PartitionBatch
  readonly from: number
  readonly until: number
}

/** Why a record becomes a dead letter. */
export interface Cause {
  readonly stage: "VALUE_CONVERTER" | "TASK_PUT"
  readonly exception: string
  readonly message: string
  readonly code: string
  readonly requestId?: string | undefined
  /** The record may be in Marketo all the same. */
  readonly mayBeStored: boolean
}

export type Outcome =
  | { readonly _tag: "Added"; readonly confirmedBy: "answer" | "readBack" }
  | { readonly _tag: "Dropped" }
  | { readonly _tag: "Dead"; readonly cause: Cause }

/** A record on its way. */
export class Entry {
  /** Whether nothing is left to be done before its offset may be committed. */
  isDone = false
  /** How often it was sent again after a call without an answer. */
  resent = 0
  /** Why it is sent again. */
  unsettled: Cause | undefined
  /** When Marketo skipped it for the first time with a code that is retried, by the monotonic clock, in milliseconds. */
  skippedAt: number | undefined
  /** Whether the guard has counted its outcome. */
  isCounted = false

  constructor(
    readonly batch: PartitionBatch,
    readonly index: number,
    /** Undefined where it could not be decoded. */
    readonly activity: CustomActivity.CustomActivity | undefined,
    /** Undefined as long as it is not known. */
    public outcome: Outcome | undefined,
  ) {}

  get record(): KafkaRecord.ConsumerRecord {
    return this.batch.at(this.index)
  }
}
