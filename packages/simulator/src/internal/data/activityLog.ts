/**
 * Everything stored, in the order of commits: the generated data set, and after it what was added. What was written a
 * moment ago waits behind the log, and gets its place in it when it becomes visible.
 */
import type { LeadChangeField, NewActivity, StoredActivity } from "../../Data.js"
import type { Settings } from "../settings.js"
import { changeDataValue, newLead } from "./activityTypes.js"
import { activityId, type DataSet, makeDataSet } from "./dataSet.js"
import { iso } from "./instant.js"
import type { LeadField } from "./leadFields.js"
import type { Leads } from "./leads.js"
import { type Attribute, Texts, valueAttributes, withoutValues } from "./texts.js"

interface Added {
  readonly id: string
  readonly typeId: number
  readonly leadId: number
  readonly assetId: number
  readonly happened: number
  readonly activityDate: string
  readonly text: string
  /** Whether the text is served as it is, wherever. */
  readonly raw: boolean
  readonly change: Change | undefined
}

interface Change {
  readonly fields: ReadonlyArray<LeadChangeField>
  /** What `leadchanges.json` serves: this text, with the fields that are asked for between its parts. */
  readonly parts: readonly [string, string]
}

/** A custom activity to store. */
export interface Written {
  readonly typeId: number
  readonly leadId: number
  /** Epoch seconds. */
  readonly happened: number
  /** What its JSON object holds beside its identity. */
  readonly members: Members
}

interface Pending {
  readonly added: Added
  /** Epoch milliseconds. */
  readonly visibleAt: number
}

/**
 * Texts of consecutive activities as the bytes a page is put together from: entry i from `starts[i]` to `starts[i +
 * 1]`.
 */
interface Block {
  readonly bytes: Buffer
  readonly starts: Uint32Array
}

const blockLength = 256
/** About 400,000 activities of the usual length; more than that is made anew when it is read again. */
const cachedBlocks = 1_600

export interface Scan {
  /** Where in the log the next page starts. */
  readonly next: number
  readonly found: ReadonlyArray<number>
  readonly more: boolean
}

/** REST names; undefined stands for all. */
export type Fields = ReadonlySet<string> | undefined

export class ActivityLog {
  readonly #data: DataSet
  readonly #texts: Texts
  readonly #added: Array<Added> = []
  /** Stored, and not to be seen by readers yet; the oldest first. */
  readonly #pending: Array<Pending> = []
  readonly #blocks = new Map<number, Block>()
  /** Entries by the date they happened at; kept only where readers follow dates (`lateArrivals: "missed"`). */
  readonly #byDate: Array<number> | undefined

  constructor(
    private readonly settings: Settings,
    private readonly leads: Leads,
  ) {
    this.#data = makeDataSet(settings, leads)
    this.#texts = new Texts(settings, this.#data, leads)
    this.#byDate =
      settings.quirks.lateArrivals === "missed"
        ? Array.from({ length: this.#data.length }, (_, i) => i).sort(
            (a, b) => this.happened(a) - this.happened(b) || a - b,
          )
        : undefined
  }

  /** What readers can see. */
  get length(): number {
    return this.#data.length + this.#added.length
  }

  /** With what they will see. */
  get storedLength(): number {
    return this.length + this.#pending.length
  }

  typeId(entry: number): number {
    return this.#data.typeIds[entry] ?? this.#addedAt(entry).typeId
  }

  leadId(entry: number): number {
    return this.#data.leadIds[entry] ?? this.#addedAt(entry).leadId
  }

  assetId(entry: number): number {
    return this.#data.assetIds[entry] ?? this.#addedAt(entry).assetId
  }

  /** Epoch seconds. */
  happened(entry: number): number {
    return this.#data.happened[entry] ?? this.#addedAt(entry).happened
  }

  #addedAt(entry: number): Added {
    const i = entry - this.#data.length
    return this.#added[i] ?? (this.#pending[i - this.#added.length] as Pending).added
  }

  /** What `activities.json` and `deletedleads.json` serve. */
  text(entry: number): string {
    return entry < this.#data.length ? this.#texts.activity(entry) : this.#addedAt(entry).text
  }

  /** The fields that changed, by their REST names; none for what is no change of a lead. */
  changedFields(entry: number): ReadonlyArray<string> {
    if (entry >= this.#data.length) return this.#addedAt(entry).change?.fields.map(({ name }) => name) ?? []
    return this.#data.typeIds[entry] === changeDataValue ? [this.#texts.changedField(entry)] : []
  }

  /** What `leadchanges.json` serves to a reader of these fields, if it serves this one. */
  change(entry: number, asked: Fields): string | undefined {
    if (!isLeadChange(this.typeId(entry))) return undefined
    if (entry < this.#data.length) return this.#texts.change(entry)
    const { change, raw, text } = this.#addedAt(entry)
    if (raw) return text
    const shown = change?.fields.filter(({ name }) => asked?.has(name) ?? true)
    return change?.parts.join(JSON.stringify(shown))
  }

  stored(entry: number): StoredActivity {
    const added = entry < this.#data.length ? undefined : this.#addedAt(entry)
    return {
      id: added?.id ?? activityId(entry),
      activityTypeId: this.typeId(entry),
      leadId: String(this.leadId(entry)),
      activityDate: added?.activityDate ?? iso(this.happened(entry)),
      text: this.text(entry),
      leadChange: this.change(entry, undefined),
    }
  }

  add(activity: NewActivity, nowMillis: number): StoredActivity {
    const {
      activityDate = iso(nowMillis / 1_000),
      activityTypeId: typeId = 1,
      id = activityId(this.storedLength),
      leadId = this.leads.idAt(0),
    } = activity
    const happened = Math.floor(Date.parse(activityDate) / 1_000)
    if (Number.isNaN(happened))
      throw new RangeError(`The activityDate of an added activity is not a date: ${activityDate}`)
    const head = `{"id":${id},"marketoGUID":${JSON.stringify(String(id))},"leadId":${leadId},"activityDate":${JSON.stringify(activityDate)},"activityTypeId":${typeId}`
    const fields = typeId === changeDataValue ? (activity.fields ?? [this.#firstNameChange()]) : []
    const members = { ...this.#aboutField(fields[0]), ...activity.members }
    return this.#append({
      id: String(id),
      typeId,
      leadId: Number(leadId),
      assetId: Number(members.primaryAttributeValueId ?? 0),
      happened,
      activityDate,
      text: activity.text ?? `${head},${withAttributes(members)}}`,
      raw: activity.text !== undefined,
      change: isLeadChange(typeId) ? changeOf(activity, head, fields) : undefined,
    })
  }

  #firstNameChange(): LeadChangeField {
    const { id, name } =
      this.leads.fields.find((field) => field.name === "firstName") ?? (this.leads.fields[0] as LeadField)
    return { id, name, newValue: "Zoë", oldValue: null }
  }

  /** A change of data as `activities.json` tells it. */
  #aboutField(field: LeadChangeField | undefined): Members {
    if (field === undefined) return {}
    const displayName = this.leads.fields.find(({ name }) => name === field.name)?.displayName ?? field.name
    return {
      primaryAttributeValueId: field.id,
      primaryAttributeValue: displayName,
      attributes: valueAttributes(field),
    }
  }

  /** Stores a custom activity, for readers to see after the visibility delay; gives its id. */
  write({ happened, leadId, members, typeId }: Written, nowMillis: number): string {
    const id = activityId(this.storedLength)
    const activityDate = iso(happened)
    const head = { id: Number(id), marketoGUID: id, leadId, activityDate, activityTypeId: typeId }
    const text = JSON.stringify({ ...head, ...members })
    const added: Added = { id, typeId, leadId, assetId: 0, happened, activityDate, text, raw: false, change: undefined }
    this.#pending.push({ added, visibleAt: nowMillis + this.settings.quirks.visibilityDelayMillis })
    return id
  }

  /** Gives a place in the log to everything that is visible by now. */
  reveal(nowMillis: number): void {
    const waiting = this.#pending.findIndex(({ visibleAt }) => visibleAt > nowMillis)
    for (const { added } of this.#pending.splice(0, waiting < 0 ? this.#pending.length : waiting)) this.#append(added)
  }

  #append(added: Added): StoredActivity {
    const entry = this.length
    this.#added.push(added)
    this.#byDate?.splice(this.#firstByDate(added.happened + 1), 0, entry)
    return this.stored(entry)
  }

  /** The place in the log from which everything that happened at `since` (epoch seconds) or later is still to come. */
  start(since: number): number {
    if (this.#byDate !== undefined) return this.#firstByDate(since)
    const { committed } = this.#data
    return lowerBound(this.#data.length, (i) => (committed[i] as number) >= since)
  }

  #firstByDate(since: number): number {
    const order = this.#byDate as Array<number>
    return lowerBound(order.length, (i) => this.happened(order[i] as number) >= since)
  }

  /**
   * The entry that stands just before a place: what a paging token remembers, because entries never change their
   * number.
   */
  entryBefore(place: number): number {
    return this.#byDate === undefined ? place - 1 : (this.#byDate[place - 1] ?? -1)
  }

  placeAfter(entry: number): number {
    if (this.#byDate === undefined || entry < 0) return entry + 1
    const happened = this.happened(entry)
    return this.#byDate.indexOf(entry, this.#firstByDate(happened)) + 1
  }

  /** Looks at one block of the log, at most, and stops when `limit` entries are found. */
  scan(place: number, limit: number, accepts: (entry: number) => boolean): Scan {
    const found: Array<number> = []
    const end = Math.min(this.length, place + this.settings.quirks.blockSize)
    let next = place
    while (next < end && found.length < limit) {
      const entry = this.#byDate === undefined ? next : (this.#byDate[next] as number)
      if (accepts(entry)) found.push(entry)
      next++
    }
    return { found, next, more: next < this.length }
  }

  /** The texts of these entries, as the elements of a page. */
  elements(entries: ReadonlyArray<number>): ReadonlyArray<Uint8Array> {
    return entries.map((entry) => {
      if (entry >= this.#data.length) return Buffer.from(this.#addedAt(entry).text)
      const { bytes, starts } = this.#block(Math.floor(entry / blockLength))
      const i = entry % blockLength
      return bytes.subarray(starts[i], starts[i + 1])
    })
  }

  #block(number: number): Block {
    const cached = this.#blocks.get(number)
    if (cached !== undefined) return cached
    const first = number * blockLength
    const texts = Array.from({ length: Math.min(blockLength, this.#data.length - first) }, (_, i) =>
      this.#texts.activity(first + i),
    )
    const starts = new Uint32Array(texts.length + 1)
    for (const [i, text] of texts.entries()) starts[i + 1] = (starts[i] as number) + Buffer.byteLength(text)
    const block = { bytes: Buffer.from(texts.join("")), starts }
    if (this.#blocks.size >= cachedBlocks) this.#blocks.delete(this.#blocks.keys().next().value as number)
    this.#blocks.set(number, block)
    return block
  }
}

const isLeadChange = (typeId: number): boolean => typeId === newLead || typeId === changeDataValue

type Members = Readonly<Record<string, unknown>>

/** The members as JSON, without the braces; every activity has attributes. */
const withAttributes = (members: Members): string =>
  JSON.stringify("attributes" in members ? members : { attributes: [], ...members }).slice(1, -1)

const changeOf = ({ members = {} }: NewActivity, head: string, fields: ReadonlyArray<LeadChangeField>): Change => {
  const { attributes = [], primaryAttributeValue: _, primaryAttributeValueId: __, ...others } = members
  const shown = Array.isArray(attributes) ? withoutValues(attributes as ReadonlyArray<Attribute>) : attributes
  const tail = withAttributes({ attributes: shown, ...others })
  return { fields, parts: [`${head},"fields":`, `,${tail}}`] }
}

/** The first number below `length` for which `holds` is true, if it stays true from there on; else `length`. */
const lowerBound = (length: number, holds: (i: number) => boolean): number => {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
