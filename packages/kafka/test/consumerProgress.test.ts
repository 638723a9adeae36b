import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Progress from "../src/internal/consumerProgress.js"

const steps = FastCheck.array(
  FastCheck.record({
    do: FastCheck.constantFrom<["claim", "commit", "fail", "release", "close", "lose"]>(
      "claim",
      "commit",
      "fail",
      "release",
      "close",
      "lose",
    ),
    until: FastCheck.integer({ min: 1, max: 8 }),
  }),
  { maxLength: 30 },
)

describe("the progress of a batch", () => {
  it.prop(
    "it is over exactly once: when all is committed, or when it was taken away and nothing claimed is under way",
    [steps],
    ([actions]) => {
      const length = 8
      let settled = 0
      const progress = Progress.make(length, () => {
        settled += 1
      })
      // the same as sets of records
      const underWay = new Set<number>()
      const touched = new Set<number>()
      let committed = 0
      let isTaken = false
      let isLost = false
      for (const action of actions) {
        const wasOver = settled > 0
        if (action.do === "claim") {
          const isClaimed = progress.claim(action.until)
          assert.strictEqual(isClaimed, !isTaken && !wasOver)
          for (let index = committed; isClaimed && index < action.until; index++) {
            underWay.add(index)
            touched.add(index)
          }
        } else if (action.do === "commit" || action.do === "fail") {
          // only what was claimed comes back
          const until = Math.max(0, ...[...underWay].map((index) => index + 1).filter((end) => end <= action.until))
          const isCommitted = action.do === "commit" && progress.isHeld()
          if (!isCommitted) {
            progress.lose()
            isTaken = true
            isLost = true
          }
          progress.handBack(until, isCommitted)
          if (isCommitted) committed = Math.max(committed, until)
          for (let index = 0; index < until; index++) underWay.delete(index)
        } else {
          progress[action.do]()
          if (action.do === "release") underWay.clear()
          else isTaken = true
          if (action.do === "lose") isLost = true
        }
        const isOver = wasOver || committed === length || (isTaken && underWay.size === 0)
        assert.strictEqual(settled, isOver ? 1 : 0)
        assert.strictEqual(progress.committed(), committed)
        assert.strictEqual(progress.isHeld(), !isOver && !isLost)
        assert.strictEqual(
          progress.isClean(),
          [...touched].every((index) => index < committed),
        )
      }
    },
    { fastCheck: { numRuns: 500 } },
  )
})
