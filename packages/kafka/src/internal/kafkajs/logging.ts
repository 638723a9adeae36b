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

/** An outage says the same many times a second: each line once in this time, in milliseconds. */
const quiet = 10_000

/** Remembered lines, at most. */
const maxRemembered = 100

/** Said twice of each batch of a consumer. */
export const isNoise = ({ log }: LogEntry): boolean => /^(?:Pausing|Resuming) fetching/.test(log.message)

export const make = (): ((entry: LogEntry) => Effect.Effect<void>) => {
  const loggedAt = new Map<string, number>()

  const isRepeated = (text: string): boolean => {
    const now = performance.now()
    if (now - (loggedAt.get(text) ?? Number.NEGATIVE_INFINITY) < quiet) return true
    if (loggedAt.size >= maxRemembered) loggedAt.clear()
    loggedAt.set(text, now)
    return false
  }

  return ({ label, log: line, namespace }) => {
    const text = `kafkajs ${namespace}: ${line.message}`
    const level = levels[label] ?? Level.Debug
    const isQuiet = level === Level.Debug || normal.some((each) => each.test(line.message)) || isRepeated(text)
    const annotations = Object.fromEntries(kept.flatMap((key) => (line[key] === undefined ? [] : [[key, line[key]]])))
    return Effect.annotateLogs(Effect.logWithLevel(isQuiet ? Level.Debug : level, text), annotations)
  }
}
