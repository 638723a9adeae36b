/**
 * kafkajs's log lines, in Effect's log.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { LogLevel } from "effect/LogLevel"
import * as Level from "effect/LogLevel"
import type { LogEntry } from "kafkajs"

/** Lines of a healthy client, and of failures that the caller is told of anyway. */
const normal = [
  /concurrent operation on the same transaction/, // each transaction may begin with it
  /Limiting retries for the idempotent producer/, // we do, on purpose
  /larger than the max message size/, // then smaller requests follow
  /^Response \w+\(/, // any answer with an error
]

/** What a line may say beside its text: nothing of records, nothing of a stack. */
const kept = ["broker", "groupId", "topic", "partition", "error", "retryCount"] as const

/** kafkajs calls ERROR what it is going to try again; what it gives up comes as a failure of ours. */
const levels: Readonly<Record<string, LogLevel>> = { ERROR: Level.Warning, WARN: Level.Warning }

export const log = ({ label, log: line, namespace }: LogEntry): Effect.Effect<void> => {
  const { message } = line
  const annotations = Object.fromEntries(kept.flatMap((key) => (line[key] === undefined ? [] : [[key, line[key]]])))
  return Effect.logWithLevel(
    normal.some((each) => each.test(message)) ? Level.Debug : (levels[label] ?? Level.Debug),
    `kafkajs ${namespace}: ${message}`,
  ).pipe(Effect.annotateLogs(annotations))
}
