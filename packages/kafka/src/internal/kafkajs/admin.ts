/**
 * What a cluster says about its topics, and making and trimming them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Service } from "../../KafkaClient.js"
import { KafkaError } from "../../KafkaError.js"
import { ConfigResourceTypes, type Connection } from "./connection.js"

type Admin = Pick<
  Service,
  "topic" | "topicConfig" | "createTopic" | "deleteRecords" | "endOffsets" | "committedOffsets"
>

export const make = (connection: Connection): Admin => ({
  topic: (name) =>
    connection
      .admin(`cannot look up topic ${name}`, (admin) => admin.fetchTopicMetadata({ topics: [name] }))
      .pipe(
        Effect.map(({ topics }) =>
          Option.map(Option.fromNullable(topics[0]), ({ partitions }) => ({
            name,
            partitions: partitions.length,
            replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
          })),
        ),
        Effect.catchIf(
          (error) => error.reason === "UnknownTopic",
          () => Effect.succeedNone,
        ),
      ),

  topicConfig: (name) =>
    connection
      .admin(`cannot read the settings of topic ${name}`, (admin) =>
        admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name }] }),
      )
      .pipe(
        Effect.map(({ resources }) =>
          Object.fromEntries(
            resources.flatMap(({ configEntries }) =>
              configEntries.map(({ configName, configValue }): [string, string] => [configName, configValue]),
            ),
          ),
        ),
      ),

  createTopic: ({ config = {}, name, partitions, replicationFactor }) =>
    connection
      .admin(`cannot create topic ${name}`, (admin) =>
        admin.createTopics({
          waitForLeaders: false, // kafkajs gives up when the broker that it asks does not know the topic yet
          timeout: connection.limits.start,
          topics: [
            {
              topic: name,
              ...(partitions === undefined ? {} : { numPartitions: partitions }),
              ...(replicationFactor === undefined ? {} : { replicationFactor }),
              configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
            },
          ],
        }),
      )
      .pipe(
        Effect.tap((isCreated) => {
          const doing = `cannot see topic ${name}, which was created`
          return connection.admin(doing, async (admin) => {
            const { topics } = await admin.fetchTopicMetadata({ topics: [name] })
            const waiting = topics[0]?.partitions.find(({ leader }) => leader < 0)
            if (isCreated && waiting !== undefined) {
              throw new KafkaError({
                reason: "Unavailable",
                description: `${doing}: partition ${waiting.partitionId} has no leader`,
              })
            }
          })
        }),
      ),

  deleteRecords: ({ partition, topic }, offset) =>
    connection.admin(`cannot delete records of partition ${partition} of topic ${topic}`, async (admin) => {
      await admin.fetchTopicOffsets(topic) // kafkajs deletes only where it has looked before
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
    }),

  endOffsets: (topic) =>
    connection
      .admin(`cannot read the end offsets of topic ${topic}`, (admin) => admin.fetchTopicOffsets(topic))
      .pipe(Effect.map((offsets) => new Map(offsets.map(({ offset, partition }) => [partition, BigInt(offset)])))),

  committedOffsets: (groupId, topic) =>
    connection
      .admin(`cannot read the offsets of group ${groupId} in topic ${topic}`, async (admin) => {
        await admin.fetchTopicMetadata({ topics: [topic] }) // kafkajs asks only brokers that it has seen before
        return admin.fetchOffsets({ groupId, topics: [topic] })
      })
      .pipe(
        Effect.map(
          (topics) =>
            new Map(
              topics
                .flatMap(({ partitions }) => partitions)
                .map(({ offset, partition }) => [partition, BigInt(offset)] as const)
                .filter(([, offset]) => offset >= 0n), // -1 says that nothing was committed
            ),
        ),
      ),
})
