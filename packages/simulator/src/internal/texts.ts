/**
 * The JSON texts of generated activities, each made anew from the seed and its number. The attributes are drawn from a store of
 * ready-made texts for each type, which halves the time.
 */
import { activityTypeById, changeDataValue, changeScore, deleteLead, mergeLeads, newLead } from "./activityTypes.js"
import { activityId, type DataSet, firstLeadId, iso } from "./dataSet.js"
import { type LeadField, leadFields } from "./leadFields.js"
import { hash, Random } from "./random.js"
import type { Settings } from "./settings.js"
import { attributeValue, campaignNames, fieldValue, personName } from "./values.js"

/** What `leadchanges.json` serves for an activity. */
export interface Change {
  readonly text: string
  /** REST API names of the fields it is about. */
  readonly fields: ReadonlyArray<string>
}

/** So many different attribute lists for each type. */
const variants = 256

const unstableNames: ReadonlySet<string> = new Set(["API Method Name", "Modifying User", "Request Id"])

export class Texts {
  readonly #attributes = new Map<number, ReadonlyArray<string>>()

  constructor(
    private readonly settings: Settings,
    private readonly data: DataSet,
  ) {}

  /** What `activities.json` and `deletedleads.json` serve. */
  activity(index: number): string {
    const random = this.#random(index)
    const head = this.#head(index, random)
    const typeId = this.data.typeIds[index] as number
    const asset = typeId === newLead && random.chance(0.1) ? "" : this.#asset(index, typeId)
    return `{${head}${asset},"attributes":${random.pick(this.#attributesOf(typeId))}}`
  }

  change(index: number): Change | undefined {
    const typeId = this.data.typeIds[index] as number
    if (typeId !== newLead && typeId !== changeDataValue) return undefined
    const random = this.#random(index)
    const head = this.#head(index, random)
    const fields = typeId === newLead ? [] : changedFields(this.data.assetIds[index] as number, random)
    const attributes = [
      { name: "Source", value: random.pick(["Web form fill", "Sales", "API", "Import"]) },
      ...(random.chance(0.5) ? [{ name: "Reason", value: 'Changed by "Sync {daily}" \\ EMEA' }] : []),
      { name: "Lead ID", value: this.data.leadIds[index] },
    ]
    return {
      text: `{${head},"fields":${JSON.stringify(fields)},"attributes":${JSON.stringify(attributes)}}`,
      fields: fields.map(({ name }) => name),
    }
  }

  #random(index: number): Random {
    return new Random(hash(this.settings.seed, index + 2))
  }

  /** The members that both texts of an activity have. */
  #head(index: number, random: Random): string {
    const id = activityId(index)
    const guid = `"marketoGUID":"${id}"`
    const ids = random.chance(this.settings.quirks.missingIds)
      ? guid
      : random.chance(0.5)
        ? `${guid},"id":${id}`
        : `"id":${id},${guid}`
    const campaign = random.chance(0.7) ? `,"campaignId":${1_000 + random.below(400)}` : ""
    const { happened, leadIds, typeIds } = this.data
    return `${ids},"leadId":${leadIds[index]},"activityDate":"${iso(happened[index] as number)}","activityTypeId":${typeIds[index]}${campaign}`
  }

  #asset(index: number, typeId: number): string {
    const id = this.data.assetIds[index] as number
    const name = assetName(typeId, id, this.data.leadIds[index] as number)
    return `,"primaryAttributeValueId":${id},"primaryAttributeValue":${JSON.stringify(name)}`
  }

  #attributesOf(typeId: number): ReadonlyArray<string> {
    const known = this.#attributes.get(typeId)
    if (known !== undefined) return known
    const random = new Random(hash(this.settings.seed, -typeId))
    const made = Array.from({ length: variants }, () => JSON.stringify(this.#makeAttributes(typeId, random)))
    this.#attributes.set(typeId, made)
    return made
  }

  #makeAttributes(typeId: number, random: Random): ReadonlyArray<{ readonly name: string; readonly value: unknown }> {
    const { extraAttributes, integersAsStrings, lowerCaseNames } = this.settings.quirks
    const leadId = firstLeadId + random.below(this.settings.data.leads)
    const attributes = (activityTypeById.get(typeId)?.attributes ?? [])
      .filter(() => random.chance(0.94)) // one without a value is left out
      .map(({ dataType, name }) => {
        const value = attributeValue(name, dataType, leadId, random)
        return {
          name: lowerCaseNames && unstableNames.has(name) ? name.toLowerCase() : name,
          value: integersAsStrings && dataType === "integer" ? String(value) : value,
        }
      })
    return extraAttributes ? [...attributes, { name: "Campaign", value: `Run ${random.below(9_000)}` }] : attributes
  }
}

/** `Program.Asset`, unless the activity is about a lead or a field. */
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

const changedFields = (firstId: number, random: Random) => {
  const first = leadFields.findIndex((field) => field.id === firstId)
  return Array.from({ length: 1 + random.below(3) }, (_, i) => {
    const { id, name } = leadFields[(first + i) % leadFields.length] as LeadField
    return {
      id,
      name,
      newValue: random.chance(0.05) ? null : fieldValue(name, random),
      oldValue: random.chance(0.3) ? null : fieldValue(name, random),
    }
  })
}
