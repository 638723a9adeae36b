/**
 * How far the work on the records of one batch has come: `committed <= returned <= claimed <= length`.
 */
export interface Progress {
  /** Claims the records before `until`; false when the batch is no longer open. */
  readonly claim: (until: number) => boolean
  /** The work on the records before `until` is over. */
  readonly handBack: (until: number, isCommitted: boolean) => void
  /** Nobody works any longer on what is claimed and not committed. */
  readonly release: () => void
  /** No further claims. What is claimed may still be committed. */
  readonly close: () => void
  /** No further claims, and nothing can be committed any more. */
  readonly lose: () => void
  readonly committed: () => number
  /** Whether a commit has a meaning: neither lost nor over. */
  readonly isHeld: () => boolean
  /** Whether all on which work was ever begun is committed. */
  readonly isClean: () => boolean
}

/** `onSettled` is called once: when all is committed, or when the batch is not open and nothing that is claimed is under way. */
export const make = (length: number, onSettled: () => void): Progress => {
  let begun = 0
  let claimed = 0
  let returned = 0
  let committed = 0
  let state: "open" | "closed" | "lost" | "settled" = "open"

  const settle = () => {
    if (state === "settled" || (committed < length && (state === "open" || returned < claimed))) return
    state = "settled"
    onSettled()
  }

  return {
    claim: (until) => {
      if (state !== "open") return false
      claimed = Math.max(claimed, Math.min(until, length))
      begun = Math.max(begun, claimed)
      return true
    },
    handBack: (until, isCommitted) => {
      returned = Math.max(returned, until)
      if (isCommitted) committed = Math.max(committed, until)
      settle()
    },
    release: () => {
      claimed = committed
      returned = committed
      settle()
    },
    close: () => {
      if (state === "open") state = "closed"
      settle()
    },
    lose: () => {
      if (state !== "settled") state = "lost"
      settle()
    },
    committed: () => committed,
    isHeld: () => state === "open" || state === "closed",
    isClean: () => committed >= begun,
  }
}
