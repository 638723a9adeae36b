/**
 * A consumer group's partitions as a stream: member after member, for as long as the stream runs.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Service } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { PartitionBatch } from "../../PartitionBatch.js"
import { checkOptions } from "../consumerOptions.js"
import * as Inbox from "../inbox.js"
import type { Connection } from "./connection.js"
import * as Member from "./consumerMember.js"
import { refusal } from "./unreadable.js"

const defaultRestart = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("10 seconds")),
  Schedule.jittered,
  Schedule.resetAfter("1 minute"),
)

export const make =
  (connection: Connection, { topic }: Pick<Service, "topic">): Service["consume"] =>
  (options) =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const settings = yield* checkOptions(options)
        const found = yield* topic(options.topic)
        if (Option.isNone(found)) {
          return yield* new KafkaError({ reason: "UnknownTopic", description: `there is no topic ${options.topic}` })
        }
        const startUntil = (yield* Clock.currentTimeMillis) + connection.limits.start
        let hasJoined = false
        const inbox = yield* Inbox.make
        const member = Member.run(connection, { ...settings, partitions: found.value.partitions }, inbox, () => {
          hasJoined = true
        })
        yield* member.pipe(
          Effect.tapError((error) =>
            Effect.annotateLogs(Effect.logWarning("a member of a consumer group was lost"), {
              topic: options.topic,
              groupId: options.groupId,
              error: error.message,
            }),
          ),
          Effect.retry({
            schedule: options.restart ?? defaultRestart,
            while: (error) =>
              Effect.map(Clock.currentTimeMillis, (now) => error.isRetryable && (hasJoined || now < startUntil)),
          }),
          Effect.catchAllCause((cause) => inbox.fail(cause)),
          Effect.interruptible,
          Effect.forkScoped,
        )
        return options.unreadable === "deliver" ? inbox.stream : Stream.mapEffect(inbox.stream, refuseUnreadable)
      }),
    )

const refuseUnreadable = (batch: PartitionBatch): Effect.Effect<PartitionBatch, KafkaError> => {
  for (let index = 0; index < batch.length; index++) {
    const unreadable = batch.unreadableAt(index)
    if (unreadable !== undefined) return refusal(`cannot consume topic ${batch.topic}`, batch, unreadable)
  }
  return Effect.succeed(batch)
}
