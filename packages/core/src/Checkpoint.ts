/**
 * How far a subscription has come. The sink keeps it and makes it durable together with the records, which is what
 * gives resume for free, and exactly-once where the destination allows it.
 *
 * A checkpoint is refused, never repaired, overwritten or ignored, when it is not readable, of a newer version, or of
 * another subscription: each of those would lose or repeat activities without a word.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as jsonText from "./internal/jsonText.js"
import { CheckpointRefused } from "./MarketoError.js"
import type { Subscription } from "./Subscription.js"

/**
 * Where one chain of pages stands.
 *
 * @since 0.1.0
 * @category schemas
 */
export class Position extends Schema.Class<Position>("@effect-marketo/core/Position")({
  /** Canonical query without token and batchSize, e.g. `activityTypeIds=1,2`. Empty for deleted leads. */
  query: Schema.String,
  /** Marketo's paging token: opaque, never parsed or compared, never sent with another query. */
  token: Schema.String,
  /** Newest activityDate seen on the chain, or the time of reading once `moreResult` was false. */
  through: Schema.DateTimeUtc,
  /**
   * Whether Marketo has answered a call with this token, or gave it with a page. If it refuses a token of which this is
   * false, it is the filter that it refuses. True where a checkpoint of an earlier release does not say.
   */
  answered: Schema.Boolean.pipe(
    Schema.optional,
    Schema.withDefaults({ constructor: () => true, decoding: () => true }),
  ),
}) {}

/**
 * The whole state of one subscription, written whole with every batch.
 *
 * @since 0.1.0
 * @category schemas
 */
export class Checkpoint extends Schema.Class<Checkpoint>("@effect-marketo/core/Checkpoint")({
  v: Schema.Literal(1),
  instance: Schema.String,
  subscription: Schema.String,
  /** Batches made durable; compared to settle a doubtful commit. */
  sequence: Schema.NonNegativeInt,
  positions: Schema.Array(Position),
}) {}

/**
 * The text that sinks store, verbatim.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toJson: (checkpoint: Checkpoint) => string = Schema.encodeSync(Schema.parseJson(Checkpoint))

/** A checkpoint has three: itself, `positions`, and a position. */
const MAX_LEVELS = 10

const Version = Schema.parseJson(Schema.Struct({ v: Schema.Number }))
const decodeVersion = Schema.decodeUnknownEither(Version)
const decode = Schema.decodeUnknownEither(Schema.parseJson(Checkpoint))

const refuse = (reason: CheckpointRefused["reason"], advice: string) =>
  Effect.fail(new CheckpointRefused({ reason, advice }))

/**
 * Reads a stored text back, for the subscription that asks for it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromJson = (json: string, subscription: Subscription): Effect.Effect<Checkpoint, CheckpointRefused> => {
  const who = `subscription "${subscription.name}" of ${subscription.instance}`
  const unreadable = refuse(
    "Unreadable",
    `the checkpoint of ${who} is damaged or cut off. Restore it from a backup, or start under another name with the \`since\` you want`,
  )
  if (jsonText.isDeeper(json, MAX_LEVELS)) return unreadable
  const version = decodeVersion(json)
  if (Either.isRight(version) && version.right.v > 1) {
    return refuse(
      "NewerVersion",
      `the checkpoint of ${who} was written by a newer release (format ${version.right.v}, this one reads 1). Upgrade, or start under another name`,
    )
  }
  const decoded = decode(json)
  if (Either.isLeft(decoded)) return unreadable
  const checkpoint = decoded.right
  if (checkpoint.instance !== subscription.instance || checkpoint.subscription !== subscription.name) {
    return refuse(
      "OtherInstance",
      `the checkpoint found for ${who} belongs to subscription "${checkpoint.subscription}" of ${checkpoint.instance}. Connect to that instance, or give this pipeline another name or destination`,
    )
  }
  return Effect.succeed(checkpoint)
}
