/**
 * The options of `consume`, checked and with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ConsumerOptions } from "../KafkaClient.js"
import { KafkaError } from "../KafkaError.js"

export interface ConsumerSettings {
  readonly topic: string
  readonly groupId: string
  readonly from: "earliest" | "latest"
  readonly onGap: "continue" | "fail"
  readonly sessionTimeout: Duration.Duration
  readonly heartbeatInterval: Duration.Duration
  readonly rebalanceTimeout: Duration.Duration
}

const refuse = (options: ConsumerOptions, problem: string) =>
  new KafkaError({
    reason: "Misconfigured",
    description: `cannot consume topic "${options.topic}" as group "${options.groupId}": ${problem}`,
  })

export const checkOptions = (options: ConsumerOptions): Effect.Effect<ConsumerSettings, KafkaError> => {
  const { from = "earliest", groupId, onGap = "continue", topic } = options
  const sessionTimeout = Duration.decode(options.sessionTimeout ?? "30 seconds")
  const heartbeatInterval = Duration.decode(options.heartbeatInterval ?? "3 seconds")
  const rebalanceTimeout = Duration.decode(options.rebalanceTimeout ?? "150 seconds")
  const isWait = (duration: Duration.Duration) => Duration.isFinite(duration) && Duration.toMillis(duration) >= 1
  const problem =
    topic.trim() === ""
      ? "the topic has no name"
      : groupId.trim() === ""
        ? "the group has no name"
        : ![sessionTimeout, heartbeatInterval, rebalanceTimeout].every(isWait)
          ? "each of its times has to be a positive, finite duration"
          : Duration.greaterThan(Duration.times(heartbeatInterval, 3), sessionTimeout)
            ? `a session of ${Duration.format(sessionTimeout)} is too short for heartbeats every ${Duration.format(heartbeatInterval)}: it has to last for three of them`
            : Duration.lessThan(rebalanceTimeout, sessionTimeout)
              ? `rebalanceTimeout (${Duration.format(rebalanceTimeout)}) is shorter than sessionTimeout (${Duration.format(sessionTimeout)})`
              : undefined
  return problem === undefined
    ? Effect.succeed({ topic, groupId, from, onGap, sessionTimeout, heartbeatInterval, rebalanceTimeout })
    : refuse(options, problem)
}
