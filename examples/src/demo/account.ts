/** Does a file hold exactly what Marketo stores? Compared text by text, each as often as it occurs. */
import { createHash } from "node:crypto"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Account {
  readonly stored: number
  readonly lines: number
  /** Stored, and not in the file. */
  readonly missing: number
  /** Lines that are one too many. */
  readonly repeated: number
}

export const account = <E1, R1, E2, R2>(
  stored: Stream.Stream<string, E1, R1>,
  lines: Stream.Stream<string, E2, R2>,
): Effect.Effect<Account, E1 | E2, R1 | R2> =>
  Effect.gen(function* () {
    // a digest instead of the text: two million texts would not fit into memory
    const open = new Map<string, number>()
    const tally = (step: 1 | -1) => (count: number, texts: Chunk.Chunk<string>) => {
      for (const text of texts) {
        const digest = createHash("sha256").update(text).digest("base64")
        const rest = (open.get(digest) ?? 0) + step
        if (rest === 0) open.delete(digest)
        else open.set(digest, rest)
      }
      return count + texts.length
    }
    // chunk by chunk: runFold calls itself for each element of a chunk, which is too deep for a large one
    const storedCount = yield* Stream.runFold(Stream.chunks(stored), 0, tally(1))
    const lineCount = yield* Stream.runFold(Stream.chunks(lines), 0, tally(-1))
    let missing = 0
    let repeated = 0
    for (const rest of open.values()) {
      if (rest > 0) missing += rest
      else repeated -= rest
    }
    return { stored: storedCount, lines: lineCount, missing, repeated }
  })
