/** What the tests of this package share: names of their own on a shared broker, and readers that see what was committed. */
import { randomUUID } from "node:crypto"
import type { KafkaClient, KafkaRecord, Producer } from "@effect-marketo/kafka"
import { Chunk, Effect, Option, Stream } from "effect"

/** For topics and transactional ids. */
export const unique = (): string => `test-${randomUUID().slice(0, 8)}`

export const textOf = (bytes: Option.Option<Uint8Array>): string =>
  Option.match(bytes, { onNone: () => "", onSome: (some) => Buffer.from(some).toString() })

export const headerOf = ({ headers }: KafkaRecord.ConsumerRecord, name: string): string | undefined =>
  headers[name]?.map((bytes) => Buffer.from(bytes ?? "").toString()).join()

const placeOf = ({ partition, topic }: KafkaRecord.TopicPartition) => `${topic}/${partition}`

/**
 * A broker answers a commit a moment before readers may see its records. A read through this client waits for what was
 * committed through it.
 */
export const following = (client: KafkaClient.Service): KafkaClient.Service => {
  const committed = new Map<string, bigint>()
  return {
    ...client,
    transactionalProducer: (options) =>
      Effect.map(client.transactionalProducer(options), (producer) => ({
        ...producer,
        transaction: (use) =>
          Effect.suspend(() => {
            const sent = new Map<string, bigint>()
            const watched = (producer: Producer.Producer): Producer.Producer => ({
              ...producer,
              send: (to, records) =>
                Effect.tap(producer.send(to, records), (offset) => void sent.set(placeOf(to), offset)),
            })
            return Effect.tap(
              producer.transaction((transaction) => use(watched(transaction))),
              () => {
                for (const [place, offset] of sent) committed.set(place, offset)
              },
            )
          }),
      })),
    read: (topic, partition) =>
      Stream.unwrap(
        Stream.runCollect(client.read(topic, partition)).pipe(
          Effect.repeat({
            until: (records) => {
              const ends = new Map<string, bigint>()
              for (const record of records) ends.set(placeOf(record), record.offset)
              return [...committed].every(
                ([place, offset]) =>
                  !place.startsWith(`${topic}/`) ||
                  (partition !== undefined && place !== `${topic}/${partition}`) ||
                  (ends.get(place) ?? -1n) >= offset,
              )
            },
          }),
          Effect.map(Stream.fromChunk),
        ),
      ),
  }
}

/**
 * Every committed record of a topic. A commit is answered a moment before readers see it, so this reads until there are `count`, for ten
 * seconds or so; where nobody knows how many there are, until two reads are alike.
 */
export const readAll = (client: KafkaClient.Service, topic: string, count?: number) =>
  Effect.gen(function* () {
    let before = -1
    for (let tries = 0; ; tries++) {
      const found = Chunk.toReadonlyArray(yield* Stream.runCollect(client.read(topic)))
      if (count === undefined ? found.length === before : found.length >= count || tries === 100) return found
      before = found.length
      if (count !== undefined) yield* Effect.sleep("100 millis")
    }
  })
