/**
 * What becomes of a record that Marketo skips, by Marketo's code: one table, used by the source, its tests and the
 * documentation.
 *
 * @since 0.1.0
 */

/**
 * - `deadLetter`: goes to the dead-letter topic, and the next record's turn comes
 * - `drop`: counted (`outcome` is `dropped`), and gone
 * - `retry`: sent again, after 1 s, then twice as long each time up to a minute, until Marketo takes it; no later record of its
 *   partition is sent before that. Where `onAssign` is `"write"`, it becomes a dead letter when its partition is taken away
 *   meanwhile and records behind it are stored
 * - `fail`: ends the stream; its offset is not committed, and what is stored behind it in the same call is delivered again
 *
 * @since 0.1.0
 * @category models
 */
export type Action = "deadLetter" | "drop" | "retry" | "fail"

/**
 * An action for each of Marketo's codes, and for all others.
 *
 * @since 0.1.0
 * @category models
 */
export interface SkippedPolicy {
  readonly other: Action
  readonly [code: string]: Action
}

/**
 * The default: a lock that was waited for too long and a resource that was away for a moment pass by themselves; everything
 * else will be the same next time, and somebody has to look at it.
 *
 * @since 0.1.0
 * @category models
 */
export const defaultPolicy: SkippedPolicy = {
  "713": "retry",
  "719": "retry",
  "1003": "deadLetter",
  "1004": "deadLetter",
  "1006": "deadLetter",
  "1008": "deadLetter",
  "1013": "deadLetter",
  "1049": "deadLetter",
  other: "deadLetter",
}

/** Of several codes the one that allows least decides. */
const strength: ReadonlyArray<Action> = ["fail", "deadLetter", "retry", "drop"]

/**
 * What becomes of a record with these codes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const actionOf = (policy: SkippedPolicy, codes: ReadonlyArray<string>): Action => {
  const actions = codes.map((code) => policy[code] ?? policy.other)
  return strength.find((action) => actions.includes(action)) ?? policy.other
}
