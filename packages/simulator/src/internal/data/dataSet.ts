/**
 * The generated activities, as far as pages are chosen by it: date, type, lead and asset, in typed arrays. Their texts
 * are made when they are asked for.
 */

import type { Settings } from "../settings.js"
import {
  type ActivityType,
  activityTypes,
  changeDataValue,
  changeScore,
  deleteLead,
  mergeLeads,
  newLead,
} from "./activityTypes.js"
import type { LeadField } from "./leadFields.js"
import type { Leads } from "./leads.js"
import { hash, Random } from "./random.js"

export interface DataSet {
  readonly length: number
  /** When each activity was committed to the log, in epoch seconds; ascending. */
  readonly committed: Float64Array
  /** When it happened: up to half a minute before that. */
  readonly happened: Float64Array
  readonly typeIds: Uint16Array
  readonly leadIds: Float64Array
  readonly assetIds: Uint32Array
}

/** Past 2^31, as the ids of a real instance are. */
const firstActivityId = 11_000_000_000
const slots = 2_880 // a quarter of an hour each, when the data set covers a month

export const activityId = (index: number): string => String(firstActivityId + index)

/** Day and night, with one large campaign and a few small ones that take over the log while they run. */
const slotWeights = (from: number, slotSeconds: number, random: Random) => {
  const weights = new Float64Array(slots)
  let everyday = 0
  for (let i = 0; i < slots; i++) {
    const hour = ((from + i * slotSeconds) / 3_600) % 24
    weights[i] = (1.1 - Math.cos(((hour - 3) / 12) * Math.PI)) * (0.5 + random.next())
    everyday += weights[i] as number
  }
  const campaigns = new Set<number>()
  for (const share of [0.2, 0.04, 0.04, 0.04, 0.04]) {
    const slot = random.below(slots)
    campaigns.add(slot)
    weights[slot] = everyday * share
  }
  return { weights, campaigns }
}

/** Type ids, about a thousand, each as often as its weight says. */
const typeTable = (weightOf: (type: ActivityType) => number | undefined): ReadonlyArray<number> => {
  const total = activityTypes.reduce((sum, type) => sum + (weightOf(type) ?? 0), 0)
  return activityTypes.flatMap((type) =>
    Array.from({ length: Math.ceil(((weightOf(type) ?? 0) / total) * 1_000) }, () => type.id),
  )
}

/** What activities say of fields by their ids. */
interface Fields {
  readonly score: number
  /** Those that change; the well-known ones are at the front, and change more often. */
  readonly changing: ReadonlyArray<number>
}

const fieldsOf = (all: ReadonlyArray<LeadField>): Fields => {
  const writable = all.filter(({ readOnly }) => !readOnly)
  const changing = (writable.length === 0 ? all : writable).map(({ id }) => id)
  return { score: all.find(({ name }) => name === "leadScore")?.id ?? (changing[0] as number), changing }
}

const assetId = (typeId: number, leadId: number, { changing, score }: Fields, random: Random): number => {
  switch (typeId) {
    case newLead:
    case mergeLeads:
    case deleteLead:
      return leadId
    case changeScore:
      return score
    case changeDataValue:
      return changing[Math.floor(changing.length * random.next() ** 2)] as number
    default:
      return typeId * 100 + random.below(12)
  }
}

export const makeDataSet = (settings: Settings, leads: Leads): DataSet => {
  const length = settings.data.activities
  const random = new Random(hash(settings.seed, 1))
  const slotSeconds = (settings.data.to - settings.data.from) / slots
  const { campaigns, weights } = slotWeights(settings.data.from, slotSeconds, random)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const everyday = typeTable((type) => type.weight)
  const campaign = typeTable((type) => type.campaignWeight)
  const fields = fieldsOf(leads.fields)
  const committed = new Float64Array(length)
  const happened = new Float64Array(length)
  const typeIds = new Uint16Array(length)
  const leadIds = new Float64Array(length)
  const assetIds = new Uint32Array(length)
  let index = 0
  let cumulated = 0
  let second = settings.data.from
  for (let slot = 0; slot < slots; slot++) {
    cumulated += weights[slot] as number
    const end = slot === slots - 1 ? length : Math.round((cumulated / total) * length)
    const start = index
    const types = campaigns.has(slot) ? campaign : everyday
    for (; index < end; index++) {
      // three in ten happen in the same second as the one before
      if (!random.chance(0.3)) {
        const due = settings.data.from + (slot + (index - start) / (end - start)) * slotSeconds
        second = Math.max(second, Math.floor(due))
      }
      const leadId = leads.idAt(Math.floor(leads.count * random.next() ** 2))
      const typeId = random.pick(types)
      committed[index] = second
      happened[index] = random.chance(0.04) ? Math.max(settings.data.from, second - random.below(30)) : second
      typeIds[index] = typeId
      leadIds[index] = leadId
      assetIds[index] = assetId(typeId, leadId, fields, random)
    }
  }
  return { length, committed, happened, typeIds, leadIds, assetIds }
}
