/**
 * One record on its way from Marketo to a sink.
 *
 * A sink gets the characters that Marketo sent, not a re-encoding of them: members that are not modelled, values of any
 * JSON type and integers past 2^53 arrive as they were. The typed view stands beside the text and costs nothing until
 * it is read.
 *
 * A record holds a piece of its page: one that is kept keeps the whole page in memory. What outlives a batch, such as
 * identities for a later comparison, is to be copied.
 *
 * @example
 * import { ActivityRecord } from "@effect-marketo/core"
 *
 * declare const record: ActivityRecord.ActivityRecord
 * // adds members; every other character stays
 * const enriched = ActivityRecord.extend(record, { country: "SE" })
 * const out = enriched.text
 *
 * @since 0.1.0
 */

import { createHash } from "node:crypto"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import { dual } from "effect/Function"
import { type AnyActivity, exactId, type LeadId, type Received as Raw, toTyped } from "./Activity.js"
import * as instant from "./internal/instant.js"

/**
 * Made by `make`, `extend` and `withValue` only: most members are computed on demand, and a copy by spreading would lose
 * them, so it does not compile.
 *
 * @since 0.1.0
 * @category models
 */
export abstract class ActivityRecord<out A = AnyActivity> {
  /**
   * About how many bytes the text has: what batches are measured by.
   *
   * @since 0.1.0
   */
  abstract readonly size: number
  /**
   * What goes out: valid JSON, for an untouched record exactly the characters that Marketo sent.
   *
   * @since 0.1.0
   */
  abstract readonly text: string
  /**
   * `marketoGUID`, else `id`, else the SHA-256 of the text: what removes duplicates downstream.
   *
   * @since 0.1.0
   */
  abstract readonly identity: string
  /**
   * @since 0.1.0
   */
  abstract readonly leadId: LeadId
  /**
   * @since 0.1.0
   */
  abstract readonly activityTypeId: number
  /**
   * @since 0.1.0
   */
  abstract readonly activityDate: DateTime.Utc
  /**
   * A typed view, made at the first read. It cannot fail: the check ran when the page came.
   *
   * @since 0.1.0
   */
  abstract readonly value: A
  /**
   * Makes the type nominal.
   *
   * @since 0.1.0
   */
  protected abstract readonly place: Place
}

/**
 * An element of a page that is not an activity, or not valid JSON. Exists only in reads with `undecodable: "keep"`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rejected {
  /** What Marketo sent. Bytes that are not UTF-8 are shown as U+FFFD; the text may be invalid JSON then. */
  readonly text: string
  /** Zero-based position in its page. */
  readonly index: number
  /** Where inside the element the schema and the data disagree, or that it is not JSON in UTF-8, and at which byte. */
  readonly paths: ReadonlyArray<string>
}

/** Where a record belongs, whatever became of its payload. */
interface Place {
  readonly identity: string
  readonly leadId: LeadId
  readonly activityTypeId: number
  readonly activityDate: DateTime.Utc
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/**
 * Keeps the bytes that came and, of the parsed element, only what places it: parsed, a page is forty small objects a record,
 * and they would live until the page is written. Text and `value` are made when somebody asks.
 */
class FromPage<A extends AnyActivity> extends ActivityRecord<A> {
  #text: string | undefined
  #value: A | undefined
  readonly bytes: Uint8Array
  /** Whether the bytes are without line breaks, as Marketo sends them. */
  readonly isLine: boolean
  readonly activityTypeId: number
  readonly #marketoGUID: Raw["marketoGUID"]
  readonly #id: Raw["id"]
  readonly #leadId: Raw["leadId"]
  readonly #date: string
  readonly #decode: (raw: Raw, text: string, identity: string) => A

  constructor(bytes: Uint8Array, isLine: boolean, raw: Raw, decode: (raw: Raw, text: string, identity: string) => A) {
    super()
    this.bytes = bytes
    this.isLine = isLine
    this.activityTypeId = raw.activityTypeId
    this.#marketoGUID = raw.marketoGUID
    this.#id = raw.id
    this.#leadId = raw.leadId
    this.#date = raw.activityDate
    this.#decode = decode
  }
  protected get place(): Place {
    return this
  }
  get size(): number {
    return this.bytes.length
  }
  get text(): string {
    this.#text ??= decoder.decode(this.bytes)
    return this.#text
  }
  get identity(): string {
    const guid = this.#exact(this.#marketoGUID, "marketoGUID")
    if (guid !== undefined && guid !== "") return guid
    return this.#exact(this.#id, "id") ?? createHash("sha256").update(this.bytes).digest("hex")
  }
  get leadId(): LeadId {
    return this.#exact(this.#leadId, "leadId") ?? ""
  }
  get activityDate(): DateTime.Utc {
    return DateTime.unsafeMake(instant.parse(this.#date))
  }
  get value(): A {
    this.#value ??= this.#decode(JSON.parse(this.text), this.text, this.identity)
    return this.#value
  }
  #exact(value: Raw["id"], name: string): string | undefined {
    return exactId(value, name, () => this.text)
  }
}

class Derived<A> extends ActivityRecord<A> {
  #value: A | undefined
  readonly text: string
  protected readonly place: Place
  readonly #decode: () => A

  constructor(text: string, place: Place, decode: () => A) {
    super()
    this.text = text
    this.place = place
    this.#decode = decode
  }
  get size(): number {
    return this.text.length
  }
  get identity(): string {
    return this.place.identity
  }
  get leadId(): LeadId {
    return this.place.leadId
  }
  get activityTypeId(): number {
    return this.place.activityTypeId
  }
  get activityDate(): DateTime.Utc {
    return this.place.activityDate
  }
  get value(): A {
    this.#value ??= this.#decode()
    return this.#value
  }
}

/**
 * A record of your own: `decode` runs at the first read of `value`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(
  options: Pick<ActivityRecord, "text" | keyof Place> & { readonly decode: () => A },
): ActivityRecord<A> => new Derived(options.text, options, options.decode)

/** @internal A record whose raw element has passed the check of its schema. */
export const fromPage = <T extends AnyActivity["_tag"]>(
  tag: T,
  json: Uint8Array,
  isLine: boolean,
  raw: Raw,
): ActivityRecord<Extract<AnyActivity, { _tag: T }>> => new FromPage(json, isLine, raw, toTyped[tag])

/**
 * Adds members and leaves every other character alone. A member that the record already has is written a second time;
 * readers of JSON take the last one. The text must be a JSON object.
 *
 * @since 0.1.0
 * @category combinators
 */
export const extend: {
  <const M extends Readonly<Record<string, unknown>>>(members: M): <A>(self: ActivityRecord<A>) => ActivityRecord<A & M>
  <A, const M extends Readonly<Record<string, unknown>>>(self: ActivityRecord<A>, members: M): ActivityRecord<A & M>
} = dual(
  2,
  <A, const M extends Readonly<Record<string, unknown>>>(
    self: ActivityRecord<A>,
    members: M,
  ): ActivityRecord<A & M> => {
    const added = JSON.stringify(members).slice(1, -1)
    const before = self.text.slice(0, self.text.lastIndexOf("}"))
    const comma = before.trimEnd().endsWith("{") ? "" : ","
    const text = added === "" ? self.text : `${before}${comma}${added}}`
    return new Derived(text, self, () => ({ ...self.value, ...members }))
  },
)

/**
 * Another payload in the same place: identity, lead, type and date stay. Without `text` the value is encoded by
 * `JSON.stringify`, which rounds integers past 2^53.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withValue = <A, B>(
  self: ActivityRecord<A>,
  value: B,
  text: string = JSON.stringify(value),
): ActivityRecord<B> => new Derived(text, self, () => value)

/** A text with line breaks between its tokens is joined to one line; inside strings JSON has none. */
const lineOf = (text: string): string =>
  text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]+/g, " ") : text

/**
 * NDJSON: each text on a line of its own, the last one ended too; `""` for no records.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toNdjson = (records: Chunk.Chunk<{ readonly text: string }>): string => {
  let lines = ""
  for (const { text } of Chunk.toReadonlyArray(records)) lines += `${lineOf(text)}\n`
  return lines
}

/**
 * The text in UTF-8, for destinations that take bytes: of an untouched record the very bytes that came, not a copy of them,
 * so they must not be written to.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toBytes = (record: { readonly text: string }): Uint8Array =>
  record instanceof FromPage ? record.bytes : encoder.encode(record.text)

const LINE_FEED = 0x0a

const lineBytesOf = (record: { readonly text: string }): Uint8Array =>
  record instanceof FromPage && record.isLine ? record.bytes : encoder.encode(lineOf(record.text))

/**
 * `toNdjson` in UTF-8, for files and sockets: an untouched record goes through as the bytes that came.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toNdjsonBytes = (records: Chunk.Chunk<{ readonly text: string }>): Uint8Array => {
  const lines = Chunk.toReadonlyArray(records).map(lineBytesOf)
  const bytes = new Uint8Array(lines.reduce((sum, line) => sum + line.length + 1, 0))
  let end = 0
  for (const line of lines) {
    bytes.set(line, end)
    end += line.length
    bytes[end++] = LINE_FEED
  }
  return bytes
}
