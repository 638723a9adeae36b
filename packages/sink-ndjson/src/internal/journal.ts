/**
 * Commits a batch atomically to the data file, the rejected file and the checkpoint file.
 *
 * A commit appends and syncs, then replaces the checkpoint file, which says how many bytes count. Whatever fails before
 * the replacement leaves bytes that do not count, and `open` cuts them off. After any failure the journal must be
 * opened again, with new file handles: a sync that failed once may succeed the second time without having written
 * anything.
 *
 * Between two commits anything may happen to the files. So each commit verifies that lock, files and checkpoint are as
 * the last one left them, and does so again before the new bytes count.
 *
 * Calls are made one at a time, and not interrupted.
 *
 * @since 0.1.0
 */
import { SinkError } from "@effect-marketo/core/SinkError"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as checkpointFile from "./checkpointFile.js"
import * as countedFile from "./countedFile.js"
import { sink } from "./io.js"
import type { Lock } from "./lock.js"
import type { Place } from "./paths.js"
import { recover } from "./recovery.js"
import * as rotation from "./rotation.js"

export interface Options {
  readonly place: Place
  readonly lock: Lock
  readonly gzip: boolean
  readonly maxBytes: number
  readonly every: Duration.Duration
}

export interface Commit {
  readonly key: string
  readonly json: string
  readonly data: Uint8Array
  readonly rejected: Uint8Array
  /** Rotate before this commit, whatever the limits say. */
  readonly rotate: boolean
}

export interface Journal {
  /** Each subscription's checkpoint text. */
  readonly subscriptions: Effect.Effect<Readonly<Record<string, string>>>
  readonly commit: (commit: Commit) => Effect.Effect<void, SinkError>
  readonly close: Effect.Effect<void>
}

/** Adds what happened to the current batch to an error. */
const withOutcome = (outcome: string) =>
  Effect.mapError(
    ({ cause, description, reason }: SinkError) =>
      new SinkError({ sink, reason, description: `${description}. ${outcome}`, cause }),
  )

const after = (content: checkpointFile.CheckpointFile, commit: Commit, now: DateTime.Utc) => ({
  ...content,
  length: content.length + commit.data.length,
  ending: countedFile.endingAfter(commit.data, content.ending),
  rejectedLength: content.rejectedLength + commit.rejected.length,
  rejectedEnding: countedFile.endingAfter(commit.rejected, content.rejectedEnding),
  since: content.length === 0 ? now : content.since,
  subscriptions: { ...content.subscriptions, [commit.key]: commit.json },
})

export const open = ({ every, gzip, lock, maxBytes, place }: Options): Effect.Effect<Journal, SinkError> =>
  Effect.gen(function* () {
    const { mode, paths } = place
    yield* lock.verify
    let { data, rejected, stored } = yield* recover(place, gzip)

    const verify = ({ length, rejectedLength }: checkpointFile.CheckpointFile) =>
      Effect.gen(function* () {
        yield* lock.verify
        yield* countedFile.verifyInPlace(data, length)
        if (rejected !== undefined) yield* countedFile.verifyInPlace(rejected, rejectedLength)
        yield* checkpointFile.verifyUnchanged(paths, stored)
      })

    const isDue = ({ data, rotate }: Commit, now: DateTime.Utc) => {
      const { length, since } = stored.content
      const isFull = length + data.length > maxBytes
      const isOld = Duration.greaterThanOrEqualTo(DateTime.distanceDuration(since, now), every)
      return length > 0 && (rotate || isFull || isOld)
    }

    const rotate = Effect.gen(function* () {
      stored = yield* rotation.rotate(place, stored.content)
      const next = yield* countedFile.create(paths.file, mode)
      yield* countedFile.close(data)
      data = next
    })

    const append = (commit: Commit, { length, rejectedLength }: checkpointFile.CheckpointFile) =>
      Effect.gen(function* () {
        if (commit.data.length > 0) yield* countedFile.append(data, commit.data, length)
        if (commit.rejected.length === 0) return
        rejected ??= yield* countedFile.create(paths.rejected, mode)
        yield* countedFile.append(rejected, commit.rejected, rejectedLength)
      })

    const cutBack = Effect.gen(function* () {
      yield* countedFile.cutBack(data, stored.content.length)
      if (rejected !== undefined) yield* countedFile.cutBack(rejected, stored.content.rejectedLength)
    })

    return {
      subscriptions: Effect.sync(() => stored.content.subscriptions),
      commit: (commit) =>
        Effect.gen(function* () {
          const next = yield* Effect.gen(function* () {
            const now = yield* DateTime.now
            yield* verify(stored.content)
            if (isDue(commit, now)) yield* rotate
            const content = after(stored.content, commit, now)
            return yield* append(commit, stored.content).pipe(
              Effect.zipRight(checkpointFile.prepare(place, content)),
              Effect.zipLeft(verify(content)),
              Effect.tapError(() => Effect.ignore(cutBack)),
            )
          }).pipe(withOutcome("Nothing of this batch is in the file"))
          yield* checkpointFile
            .publish(place)
            .pipe(withOutcome("The next start settles whether this batch counts, and writes it again if not"))
          stored = next
        }),
      close: Effect.suspend(() =>
        Effect.zipRight(countedFile.close(data), rejected === undefined ? Effect.void : countedFile.close(rejected)),
      ),
    }
  })
