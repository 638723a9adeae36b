/**
 * A group's member that a test leads: the partitions of a topic in memory, one batch each, handed out, taken away and watched.
 * The real one is tested in the package `kafka`; this one has no heartbeats, so that hours pass in no time.
 */
import { KafkaClient, MemoryClient, PartitionBatch } from "@effect-marketo/kafka"
import { Chunk, Clock, Context, Effect, Layer, Mailbox, Option, Stream } from "effect"

export interface Event {
  readonly at: number
  readonly partition: number
  readonly what: "claim" | "refused" | "commit" | "release"
  readonly until: number
}

export interface Service {
  readonly events: ReadonlyArray<Event>
  /** Records that are claimed and neither committed nor released. */
  readonly claimed: () => number
  readonly committed: (partition: number) => number
  /** A rebalance begins: nothing more can be claimed, and what is claimed may still be committed. */
  readonly revoke: Effect.Effect<void>
  /** Takes all partitions away, and gives them to the same member again, from where it has committed. */
  readonly rebalance: Effect.Effect<void>
}

export class Feed extends Context.Tag("test/Feed")<Feed, Service>() {}

interface Part {
  committed: number
  claimed: number
}

export const layer: Layer.Layer<Feed | KafkaClient.KafkaClient> = Layer.effectContext(
  Effect.gen(function* () {
    const memory = yield* KafkaClient.KafkaClient
    const clock = yield* Effect.clock
    const events: Array<Event> = []
    const parts = new Map<number, Part>()
    let generation = 0
    let isRevoked = false
    let give: Effect.Effect<void> = Effect.void
    const consume: KafkaClient.Service["consume"] = ({ topic }) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const mailbox = yield* Mailbox.make<PartitionBatch.PartitionBatch>()
          const batchOf = (
            records: PartitionBatch.PartitionBatch["records"],
            partition: number,
          ): PartitionBatch.PartitionBatch => {
            const mine = generation
            const part = parts.get(partition) ?? { committed: 0, claimed: 0 }
            parts.set(partition, part)
            const start = part.committed
            part.claimed = start
            const log = (what: Event["what"], until: number) =>
              events.push({ at: clock.unsafeCurrentTimeMillis(), partition, what, until: start + until })
            const rest = Chunk.drop(records, start)
            return PartitionBatch.make({
              topic,
              partition,
              length: rest.length,
              at: (index) => Chunk.unsafeGet(rest, index),
              valueAt: (index) => Option.getOrNull(Chunk.unsafeGet(rest, index).value),
              unreadableAt: () => undefined,
              records: rest as PartitionBatch.PartitionBatch["records"],
              first: true,
              hasMore: false,
              claim: (until) => {
                if (mine !== generation || isRevoked || part.committed - start === rest.length) {
                  log("refused", until)
                  return false
                }
                if (start + until > part.claimed) log("claim", until)
                part.claimed = Math.max(part.claimed, start + until)
                return true
              },
              commit: (until) =>
                Effect.sync(() => {
                  log("commit", until)
                  if (mine !== generation) return false
                  part.committed = Math.max(part.committed, start + until)
                  return true
                }),
              release: Effect.sync(() => {
                if (mine !== generation) return
                if (part.claimed > part.committed) log("release", part.committed - start)
                part.claimed = part.committed
              }),
            })
          }
          give = Effect.gen(function* () {
            const records = yield* Effect.orDie(Stream.runCollect(memory.read(topic)))
            const partitions = new Set(Chunk.map(records, (record) => record.partition))
            for (const partition of partitions) {
              const own = Chunk.filter(records, (record) => record.partition === partition)
              if (own.length > (parts.get(partition)?.committed ?? 0)) {
                mailbox.unsafeOffer(batchOf(own as PartitionBatch.PartitionBatch["records"], partition))
              }
            }
          })
          yield* give
          return Mailbox.toStream(mailbox)
        }),
      )
    const feed: Service = {
      events,
      claimed: () => [...parts.values()].reduce((sum, { claimed, committed }) => sum + claimed - committed, 0),
      committed: (partition) => parts.get(partition)?.committed ?? 0,
      revoke: Effect.sync(() => {
        isRevoked = true
      }),
      rebalance: Effect.suspend(() => {
        generation++
        isRevoked = false
        return give
      }),
    }
    yield* Clock.currentTimeMillis
    return Context.make(Feed, feed).pipe(Context.add(KafkaClient.KafkaClient, { ...memory, consume }))
  }),
).pipe(Layer.provide(MemoryClient.layer))
