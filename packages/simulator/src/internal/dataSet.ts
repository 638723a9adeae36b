/**
 * The generated activities. What a page is chosen by (date, type, lead, asset) is kept in typed arrays; the JSON text of an
 * activity is made again from the seed and its number whenever it is asked for.
 */
import {
  activityTypeById,
  activityTypes,
  changeDataValue,
  changeScore,
  deleteLead,
  mergeLeads,
  newLead,
} from "./activityTypes.js"
import { leadFields, leadScore } from "./leadFields.js"
import { hash, Random } from "./random.js"
import type { Settings } from "./settings.js"
import { attributeValue, campaignNames, fieldValue, personName } from "./values.js"

export interface DataSet {
  readonly length: number
  /** When each activity was committed to the log, in epoch seconds; ascending. */
  readonly committed: Float64Array
  /** When it happened: up to half a minute before that. */
  readonly happened: Float64Array
  readonly typeIds: Uint16Array
  readonly leadIds: Uint32Array
  readonly assetIds: Uint32Array
}

export const firstLeadId = 100_000
const firstActivityId = 40_000_000
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

/** A table of 1,024 type ids in which each id stands as often as its weight says. */
const typeTable = (weightOf: (type: (typeof activityTypes)[number]) => number | undefined, random: Random) => {
  const total = activityTypes.reduce((sum, type) => sum + (weightOf(type) ?? 0), 0)
  const table = activityTypes.flatMap((type) =>
    Array.from({ length: Math.ceil(((weightOf(type) ?? 0) / total) * 1_024) }, () => type.id),
  )
  return { pick: () => random.pick(table) }
}

const assetId = (typeId: number, leadId: number, random: Random): number => {
  switch (typeId) {
    case newLead:
    case mergeLeads:
    case deleteLead:
      return leadId
    case changeScore:
      return leadScore.id
    case changeDataValue:
      return random.pick(leadFields).id
    default:
      return typeId * 100 + random.below(12)
  }
}

export const makeDataSet = (settings: Settings): DataSet => {
  const length = settings.activities
  const random = new Random(hash(settings.seed, 1))
  const slotSeconds = (settings.to - settings.from) / slots
  const { campaigns, weights } = slotWeights(settings.from, slotSeconds, random)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const everyday = typeTable((type) => type.weight, random)
  const campaign = typeTable((type) => type.campaignWeight, random)
  const committed = new Float64Array(length)
  const happened = new Float64Array(length)
  const typeIds = new Uint16Array(length)
  const leadIds = new Uint32Array(length)
  const assetIds = new Uint32Array(length)
  let index = 0
  let cumulated = 0
  let second = settings.from
  for (let slot = 0; slot < slots; slot++) {
    cumulated += weights[slot] as number
    const end = slot === slots - 1 ? length : Math.round((cumulated / total) * length)
    const start = index
    const types = campaigns.has(slot) ? campaign : everyday
    for (; index < end; index++) {
      // three in ten happen in the same second as the one before
      if (!random.chance(0.3)) {
        const due = settings.from + (slot + (index - start) / (end - start)) * slotSeconds
        second = Math.max(second, Math.floor(due))
      }
      const leadId = firstLeadId + Math.floor(settings.leads * random.next() ** 2)
      const typeId = types.pick()
      committed[index] = second
      happened[index] = random.chance(0.04) ? Math.max(settings.from, second - random.below(30)) : second
      typeIds[index] = typeId
      leadIds[index] = leadId
      assetIds[index] = assetId(typeId, leadId, random)
    }
  }
  return { length, committed, happened, typeIds, leadIds, assetIds }
}

/** What one activity is served as: its text in `activities.json`, and in `leadchanges.json` if it is a change. */
export interface Texts {
  readonly activity: string
  readonly change: string | undefined
  /** REST API names. */
  readonly changedFields: ReadonlyArray<string>
}

export const iso = (epochSeconds: number): string => `${new Date(epochSeconds * 1_000).toISOString().slice(0, 19)}Z`

/** The members of an activity that has a lead's name or a field's name for its asset, and of all others. */
const assetName = (typeId: number, assetId: number, leadId: number): string => {
  switch (typeId) {
    case newLead:
    case mergeLeads:
    case deleteLead:
      return personName(leadId)
    case changeScore:
    case changeDataValue:
      return leadFields.find((field) => field.id === assetId)?.displayName ?? ""
    default:
      return `${campaignNames[assetId % campaignNames.length]}.${activityTypeById.get(typeId)?.primaryAttribute?.name.replace(" ID", "")} ${assetId}`
  }
}

const unstableNames: ReadonlySet<string> = new Set(["API Method Name", "Modifying User", "Request Id"])

const attributesOf = (settings: Settings, typeId: number, leadId: number, random: Random) => {
  const attributes: Array<{ name: string; value: unknown }> = []
  for (const { dataType, name } of activityTypeById.get(typeId)?.attributes ?? []) {
    const value = attributeValue(name, dataType, leadId, random)
    if (random.chance(0.06)) continue // an attribute without a value is left out
    attributes.push({
      name: settings.lowerCaseNames && unstableNames.has(name) ? name.toLowerCase() : name,
      value: settings.integersAsStrings && dataType === "integer" ? String(value) : value,
    })
  }
  if (settings.extraAttributes) attributes.push({ name: "Campaign", value: `Run ${random.below(9_000)}` })
  return attributes
}

export const makeTexts = (settings: Settings, data: DataSet, index: number): Texts => {
  const random = new Random(hash(settings.seed, index + 2))
  const typeId = data.typeIds[index] as number
  const leadId = data.leadIds[index] as number
  const primaryId = data.assetIds[index] as number
  const id = activityId(index)
  const activityDate = iso(data.happened[index] as number)
  const identity = random.chance(settings.missingIds) ? {} : { id: Number(id) }
  const cause = random.chance(0.7) ? { campaignId: 1_000 + random.below(400) } : {}
  const guidFirst = random.chance(0.5)
  const attributes = attributesOf(settings, typeId, leadId, random)
  const common = { leadId, activityDate, activityTypeId: typeId, ...cause }
  const head = guidFirst ? { marketoGUID: id, ...identity, ...common } : { ...identity, marketoGUID: id, ...common }
  const activity = JSON.stringify({
    ...head,
    ...(typeId === newLead && random.chance(0.1)
      ? {}
      : { primaryAttributeValueId: primaryId, primaryAttributeValue: assetName(typeId, primaryId, leadId) }),
    attributes,
  })
  if (typeId !== newLead && typeId !== changeDataValue) return { activity, change: undefined, changedFields: [] }
  const fields = typeId === newLead ? [] : changedFields(primaryId, random)
  const change = JSON.stringify({
    ...head,
    fields,
    attributes: [
      { name: "Source", value: random.pick(["Web form fill", "Sales", "API", "Import"]) },
      ...(random.chance(0.5) ? [{ name: "Reason", value: 'Changed by "Sync {daily}" \\ EMEA' }] : []),
      { name: "Lead ID", value: leadId },
    ],
  })
  return { activity, change, changedFields: fields.map((field) => field.name) }
}

const changedFields = (primaryId: number, random: Random) => {
  const first = leadFields.findIndex((field) => field.id === primaryId)
  return Array.from({ length: 1 + random.below(3) }, (_, i) => {
    const field = leadFields[(first + i) % leadFields.length] as (typeof leadFields)[number]
    return {
      id: field.id,
      name: field.name,
      newValue: random.chance(0.05) ? null : fieldValue(field.name, random),
      oldValue: random.chance(0.3) ? null : fieldValue(field.name, random),
    }
  })
}
