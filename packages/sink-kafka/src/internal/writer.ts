/**
 * One writer of one subscription: opening, writing, and finding out what became of a write.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import type * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import * as ActivitySink from "@effect-marketo/core/ActivitySink"
import * as Checkpoint from "@effect-marketo/core/Checkpoint"
import type { SinkError } from "@effect-marketo/core/SinkError"
import * as Subscription from "@effect-marketo/core/Subscription"
import type * as KafkaClient from "@effect-marketo/kafka/KafkaClient"
import { KafkaError } from "@effect-marketo/kafka/KafkaError"
import type { Producer, TransactionalProducer } from "@effect-marketo/kafka/Producer"
import type * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ScopedRef from "effect/ScopedRef"
import { RecordTooLarge } from "../RecordTooLarge.js"
import * as checkpoints from "./checkpoints.js"
import { cannot, failure, sink, whileUnavailable } from "./failure.js"
import * as layouts from "./layout.js"

export interface Options {
  readonly producer: KafkaClient.TransactionalProducerOptions
  readonly checkpointTopic: string
  readonly startTimeout: Duration.DurationInput
  readonly unavailableFor: Duration.DurationInput
  readonly layout: layouts.Layout
  readonly tooLarge: "fail" | "reject"
  readonly encode: (
    records: Chunk.Chunk<ActivityRecord.ActivityRecord<unknown>>,
  ) => Effect.Effect<ReadonlyArray<string | Uint8Array>, SinkError>
}

/** Commits from one trim of the checkpoint topic to the next: all of the topic is read at each start. */
const TRIM_EVERY = 50

const notMade: TransactionalProducer = {
  transactionalId: "",
  transaction: () => new KafkaError({ reason: "ProducerSpent", description: "there is no producer yet" }),
}

const send = (transaction: Producer, { records, sources, to }: layouts.Send) =>
  Effect.mapError(transaction.send(to, records), (error) => {
    const index = error.reason === "RecordTooLarge" ? error.index : undefined
    const source = index === undefined ? undefined : sources[index]
    return index === undefined || source === undefined
      ? error
      : new RecordTooLarge({
          topic: to.topic,
          identity: source.identity,
          size: Buffer.byteLength(records[index]?.value ?? ""),
        })
  })

export const open = (
  client: KafkaClient.Service,
  subscription: Subscription.Subscription,
  options: Options,
): Effect.Effect<ActivitySink.Writer, SinkError, Scope.Scope> =>
  Effect.gen(function* () {
    const { checkpointTopic, layout } = options
    const key = Subscription.key(subscription)
    const id = randomUUID()
    const place = { topic: checkpointTopic, partition: 0 }

    const newest = checkpoints.newest(client, checkpointTopic, key)
    const read = (json: Option.Option<string>) => ActivitySink.readCheckpoint(sink, subscription, json)
    const isOwn = ({ writer }: checkpoints.Stored) => Option.contains(writer, id)
    const fenced = failure(
      "Fenced",
      `another writer of ${key} took over, so this one stops. Nothing is lost and nothing is there twice; run one copy of a pipeline`,
    )

    const producer = yield* ScopedRef.make(() => notMade)

    /** Shuts out every other producer, and ends what one of them left open: what is read after it stays true. */
    const takeOver = cannot(`make a producer for ${key}`)(
      ScopedRef.set(producer, Effect.interruptible(client.transactionalProducer(options.producer))),
    )

    // from the first send to the commit there is no interruption; each step has a limit of its own
    const transaction = <A, E>(use: (transaction: Producer) => Effect.Effect<A, E>) =>
      Effect.flatMap(ScopedRef.get(producer), (current) => Effect.uninterruptible(current.transaction(use)))

    let isTrimRefused = false
    /** Every checkpoint before the one at `offset` goes. */
    const trim = (offset: bigint) =>
      client.deleteRecords(place, offset).pipe(
        Effect.timeout("5 seconds"),
        Effect.catchAll((error) => {
          if (isTrimRefused) return Effect.void
          isTrimRefused = true
          return Effect.logWarning(
            `the checkpoint topic ${checkpointTopic} cannot be trimmed, so starts become slower as it grows; it needs the ACL Delete: ${error.message}`,
          )
        }),
      )

    const claim = Effect.gen(function* () {
      yield* takeOver
      const json = Option.flatMap(yield* newest, (stored) => stored.json)
      const checkpoint = yield* read(json)
      const offset = yield* cannot(`write to the checkpoint topic ${checkpointTopic}`)(
        transaction((tx) => tx.send(place, [checkpoints.record(key, json, id)])),
      )
      return { checkpoint, offset }
    })
    const { checkpoint, offset } = yield* whileUnavailable(options.startTimeout)(claim)
    yield* trim(offset)

    /** One transaction, which gives the offset of its checkpoint. */
    const attempt = (
      batch: ActivitySink.Batch,
      values: ReadonlyArray<string | Uint8Array>,
      tooLarge: ReadonlySet<string> = new Set(),
    ): Effect.Effect<bigint, SinkError> => {
      const record = checkpoints.record(key, Option.some(Checkpoint.toJson(batch.checkpoint)), id)
      return layouts.sends(layout, batch, values, tooLarge).pipe(
        Effect.flatMap((sends) =>
          transaction((tx) =>
            Effect.zipRight(
              Effect.forEach(sends, (each) => send(tx, each), { concurrency: "unbounded", discard: true }),
              tx.send(place, [record]),
            ),
          ),
        ),
        Effect.catchTags({
          KafkaError: (error) => cannot(`write batch ${batch.checkpoint.sequence} of ${key}`)(error),
          RecordTooLarge: (error) =>
            options.tooLarge === "reject" && !tooLarge.has(error.identity)
              ? attempt(batch, values, new Set(tooLarge).add(error.identity))
              : failure(
                  "RecordRejected",
                  options.tooLarge === "reject"
                    ? `${error.message}, though it is for such records. Raise its max.message.bytes, and start again`
                    : `${error.message}. Raise max.message.bytes of the topic, or give such records a place by \`tooLarge: "reject"\``,
                  error,
                ),
        }),
      )
    }

    /** The offset of the batch's checkpoint, if a doubtful commit was made after all; none if it was not. */
    const settle = ({ checkpoint: { sequence } }: ActivitySink.Batch) =>
      Effect.gen(function* () {
        // before anybody is shut out: who took over meanwhile, keeps it
        if (Option.exists(yield* newest, (stored) => !isOwn(stored))) return yield* fenced
        yield* takeOver
        const stored = yield* newest
        if (Option.isNone(stored)) {
          return yield* failure(
            "CheckpointRefused",
            `the checkpoint topic ${checkpointTopic} is empty, and the checkpoint of ${key} was in it. Restore it, or start under another name with the \`since\` you want`,
          )
        }
        const found = Option.match(yield* read(stored.value.json), { onNone: () => 0, onSome: (c) => c.sequence })
        if (!isOwn(stored.value) || found < sequence - 1 || found > sequence) return yield* fenced
        return found === sequence ? Option.some(stored.value.offset) : Option.none()
      })

    let commits = 0
    let isSpent = false

    const write: ActivitySink.Writer["write"] = (batch) =>
      Effect.gen(function* () {
        if (isSpent) {
          return yield* failure(
            "Fenced",
            `this writer of ${key} is spent: an earlier write failed or was interrupted. It wrote nothing; open a new one`,
          )
        }
        isSpent = true // until the end is reached
        const values = yield* options.encode(batch.records)
        let isDoubtful = false
        const offset = yield* Effect.suspend(() =>
          isDoubtful
            ? Effect.flatMap(
                settle(batch),
                Option.match({ onSome: Effect.succeed, onNone: () => attempt(batch, values) }),
              )
            : attempt(batch, values),
        ).pipe(
          Effect.tapError(() => Effect.sync(() => (isDoubtful = true))),
          whileUnavailable(options.unavailableFor),
        )
        if (++commits % TRIM_EVERY === 0) yield* trim(offset)
        isSpent = false
      })

    return { subscription, checkpoint, write }
  })
