/**
 * Topics, transactions and consumer groups in memory.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Service, TransactionalProducerOptions } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import type { ProducerRecord, TopicPartition } from "../../KafkaRecord.js"
import type { Producer } from "../../Producer.js"
import { defaultMaxMessageBytes, type TopicConfig } from "../../Topic.js"
import * as byKey from "../byKey.js"
import { sizeOf } from "../recordSize.js"
import * as transactions from "../transactions.js"
import * as Consumer from "./consumer.js"
import * as Group from "./group.js"
import { consumed, end, endOf, isOver, type Partition, read, stableEnd, type Transaction } from "./log.js"

interface Topic {
  readonly partitions: ReadonlyArray<Partition>
  readonly config: TopicConfig
}

/** The newest producer of a transactional id. */
interface Owner {
  readonly epoch: number
  readonly transaction: Transaction | undefined
}

export const make = (): Service => {
  const topics = new Map<string, Topic>()
  const owners = new Map<string, Owner>()
  const groups = new Map<string, Group.Group>()

  /** There may be more to read. */
  const wakeReaders = () => {
    for (const group of groups.values()) Group.wake(group)
  }

  const endTransaction = (transaction: Transaction, state: "committed" | "aborted"): void => {
    end(transaction, state)
    wakeReaders()
  }

  /** As the broker does from time to time. */
  const abortExpired = (now: number): void => {
    for (const { transaction } of owners.values())
      if (transaction?.state === "open" && isOver(transaction, now)) endTransaction(transaction, "aborted")
  }

  /** One request: what it looks at does not change before it has done its work, as nothing comes between. */
  const request = <A>(handle: (now: number) => A | KafkaError): Effect.Effect<A, KafkaError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      abortExpired(now)
      const answer = handle(now)
      return answer instanceof KafkaError ? Effect.fail(answer) : Effect.succeed(answer)
    })

  const topicOf = (name: string): Topic | KafkaError =>
    topics.get(name) ?? new KafkaError({ reason: "UnknownTopic", description: `there is no topic ${name}` })

  const partitionOf = (at: TopicPartition): Partition | KafkaError => {
    const topic = topicOf(at.topic)
    if (topic instanceof KafkaError) return topic
    return (
      topic.partitions[at.partition] ??
      new KafkaError({ reason: "UnknownTopic", description: `topic ${at.topic} has no partition ${at.partition}` })
    )
  }

  const append = (
    to: TopicPartition,
    records: ReadonlyArray<ProducerRecord>,
    transaction: Transaction | undefined,
    now: number,
  ): bigint | KafkaError => {
    const partition = partitionOf(to)
    if (partition instanceof KafkaError) return partition
    const limit = Number(topics.get(to.topic)?.config["max.message.bytes"] ?? defaultMaxMessageBytes)
    const index = records.findIndex((record) => sizeOf(record) > limit)
    if (index >= 0) {
      return new KafkaError({
        reason: "RecordTooLarge",
        description: `record ${index} for topic ${to.topic} has more than the ${limit} bytes that the topic allows`,
        index,
      })
    }
    transaction?.partitions.add(partition)
    const written = DateTime.unsafeMake(now)
    for (const record of records) {
      partition.entries.push({ record: consumed(to, endOf(partition), written, record), transaction })
    }
    wakeReaders()
    return BigInt(endOf(partition) - 1)
  }

  const partitionsOf = (name: string) =>
    request(() => {
      const topic = topicOf(name)
      return topic instanceof KafkaError ? topic : topic.partitions.length
    })

  const groupOf = (groupId: string): Group.Group => {
    const group = groups.get(groupId) ?? Group.make()
    groups.set(groupId, group)
    return group
  }

  const producer: Producer = byKey.make(
    (to, records) => request((now) => append(to, records, undefined, now)),
    partitionsOf,
  )

  const transactionalProducer = ({
    transactionalId,
    transactionTimeout = "60 seconds",
  }: TransactionalProducerOptions) =>
    Effect.suspend(() => {
      const before = owners.get(transactionalId)
      if (before?.transaction?.state === "open") endTransaction(before.transaction, "aborted")
      const epoch = (before?.epoch ?? -1) + 1
      const timeout = Duration.toMillis(transactionTimeout)
      owners.set(transactionalId, { epoch, transaction: undefined })

      const refusal = (transaction: Transaction): KafkaError | undefined => {
        if (owners.get(transactionalId)?.epoch !== epoch) {
          return new KafkaError({
            reason: "Fenced",
            description: `another producer of transactional id ${transactionalId} took over`,
          })
        }
        if (transaction.state === "aborted") {
          return new KafkaError({
            reason: "TransactionExpired",
            description: `the transaction of ${transactionalId} was open for longer than ${Duration.format(transactionTimeout)}`,
          })
        }
        return undefined
      }

      return transactions.make(
        transactionalId,
        Effect.sync((): transactions.Transaction => {
          const transaction: Transaction = { state: "open", partitions: new Set(), expiresAt: 0 }
          const endAs = (state: "committed" | "aborted") =>
            request(() => refusal(transaction) ?? endTransaction(transaction, state))
          const send: Producer["send"] = (to, records) =>
            request((now) => {
              const refused = refusal(transaction)
              if (refused !== undefined) return refused
              if (transaction.partitions.size === 0) {
                transaction.expiresAt = now + timeout
                owners.set(transactionalId, { epoch, transaction })
              }
              return append(to, records, transaction, now)
            })
          return {
            ...byKey.make(send, partitionsOf),
            commit: endAs("committed"),
            abort: endAs("aborted"),
          }
        }),
      )
    })

  return {
    producer: () => Effect.succeed(producer),
    transactionalProducer,
    consume: Consumer.make({ request, partitionsOf, partitionOf, groupOf }),
    read: (topic, partition) =>
      Stream.unwrap(
        request(() => {
          const found = partition === undefined ? topicOf(topic) : partitionOf({ topic, partition })
          if (found instanceof KafkaError) return found
          const partitions = "partitions" in found ? found.partitions : [found]
          return Stream.fromChunk(Chunk.fromIterable(partitions.flatMap((each) => read(each, each.start).records)))
        }),
      ),
    topic: (name) =>
      Effect.sync(() =>
        Option.map(Option.fromNullable(topics.get(name)), ({ partitions }) => ({
          name,
          partitions: partitions.length,
          replicas: 1,
        })),
      ),
    topicConfig: (name) =>
      request(() => {
        const topic = topicOf(name)
        if (topic instanceof KafkaError) return topic
        return { "max.message.bytes": `${defaultMaxMessageBytes}`, ...topic.config }
      }),
    createTopic: ({ name, partitions = 1, config = {} }) =>
      Effect.sync(() => {
        if (topics.has(name)) return false
        topics.set(name, {
          partitions: Array.from({ length: partitions }, (_, index) => ({
            topic: name,
            partition: index,
            entries: [],
            start: 0,
          })),
          config,
        })
        return true
      }),
    endOffsets: (name) =>
      request(() => {
        const topic = topicOf(name)
        if (topic instanceof KafkaError) return topic
        return new Map(topic.partitions.map((each) => [each.partition, BigInt(stableEnd(each))]))
      }),
    committedOffsets: (groupId, name) =>
      Effect.map(partitionsOf(name), () => new Map(groups.get(groupId)?.committed.get(name))),
    deleteRecords: (of, offset) =>
      request(() => {
        const partition = partitionOf(of)
        if (partition instanceof KafkaError) return partition
        if (offset > endOf(partition)) {
          return new KafkaError({
            reason: "Misconfigured",
            description: `partition ${of.partition} of topic ${of.topic} ends before offset ${offset}`,
          })
        }
        partition.start += partition.entries.splice(0, Math.max(0, Number(offset) - partition.start)).length
        return undefined
      }),
  }
}
