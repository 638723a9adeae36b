/**
 * What the suite writes: the same records for the same numbers, in every run.
 *
 * @since 0.1.0
 */
import * as ActivityRecord from "@effect-marketo/core/ActivityRecord"
import type { Batch } from "@effect-marketo/core/ActivitySink"
import * as Checkpoint from "@effect-marketo/core/Checkpoint"
import type { Subscription } from "@effect-marketo/core/Subscription"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"

export const subscription: Subscription = { name: "sink-suite", instance: "123-ABC-456" }

const start = Date.UTC(2026, 0, 5)

/** In every record, so that an error that quotes records is seen. */
export const personal = "anna.åberg@example.com"

// Written by hand and not by JSON.stringify: it has an escape that no encoder makes, and an integer past 2^53.
const text = (n: number): string => {
  const date = new Date(start + n * 1000).toISOString().replace(".000Z", "Z")
  const guid = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`
  return `{"id":9007199254740993,"marketoGUID":"${guid}","leadId":${1000 + (n % 97)},"activityDate":"${date}","activityTypeId":1,"primaryAttributeValue":"${personal}","attributes":[{"name":"Webpage URL","value":"\\/${n}"}]}`
}

export const texts = (count: number, from: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => text(from + i))

export const rejectedTexts = (count: number, from: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `{"marketoGUID":${from + i},"leadId":"${personal}"}`)

interface Members {
  readonly marketoGUID: string
  readonly leadId: number
  readonly activityDate: string
  readonly activityTypeId: number
}

const record = (text: string): ActivityRecord.ActivityRecord<unknown> => {
  const raw = JSON.parse(text) as Members
  return ActivityRecord.make<unknown>({
    text,
    identity: raw.marketoGUID,
    leadId: String(raw.leadId),
    activityTypeId: raw.activityTypeId,
    activityDate: DateTime.unsafeMake(raw.activityDate),
    decode: () => raw,
  })
}

const checkpoint = (subscription: Subscription, sequence: number): Checkpoint.Checkpoint =>
  new Checkpoint.Checkpoint({
    v: 1,
    instance: subscription.instance,
    subscription: subscription.name,
    sequence,
    // tokens are opaque: quotes, backslashes, line breaks and more than ASCII must come back
    positions: ["activityTypeIds=1,6", "activityTypeIds=13"].map(
      (query) =>
        new Checkpoint.Position({
          query,
          token: `"${sequence}"\\\n\tÅÄÖ 🙂==`,
          through: DateTime.unsafeMake(start + sequence * 1001),
        }),
    ),
  })

export const batch = (
  subscription: Subscription,
  sequence: number,
  texts: ReadonlyArray<string>,
  rejected: ReadonlyArray<string>,
): Batch => ({
  records: Chunk.fromIterable(texts.map(record)),
  rejected: Chunk.fromIterable(rejected.map((text, index) => ({ text, index, paths: ["leadId"] }))),
  checkpoint: checkpoint(subscription, sequence),
})
