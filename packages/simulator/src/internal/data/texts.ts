/**
 * The JSON texts of generated activities, each made anew from the seed and its number. The attributes are drawn from a
 * store of ready-made ones for each type, which halves the time.
 */
import type { LeadChangeField } from "../../Data.js"
import type { Settings } from "../settings.js"
import { activityTypeById, changeDataValue, changeScore, deleteLead, mergeLeads, newLead } from "./activityTypes.js"
import { activityId, type DataSet } from "./dataSet.js"
import { iso } from "./instant.js"
import type { LeadField } from "./leadFields.js"
import type { Leads } from "./leads.js"
import { hash, Random } from "./random.js"
import { attributeValue, campaignNames, fieldValue } from "./values.js"

export interface Attribute {
  readonly name: string
  readonly value: unknown
}

/** What activities say beside who, when and what; of a data value that changed, from what to what. */
interface Variant {
  /** JSON. */
  readonly attributes: string
  /** JSON, as lead changes show them: without the values, and before the lead's id. */
  readonly changeAttributes: string
  readonly values: Pick<LeadChangeField, "newValue" | "oldValue"> | undefined
}

/** So many different ones for each type, and for each field that changes. */
const variants = 256
const variantsOfField = 32

const unstableNames: ReadonlySet<string> = new Set(["API Method Name", "Modifying User", "Request Id"])

export class Texts {
  /** By type; those of changes by their field, as a negative number. */
  readonly #variants = new Map<number, ReadonlyArray<Variant>>()
  readonly #fields: ReadonlyMap<number, LeadField>

  constructor(
    private readonly settings: Settings,
    private readonly data: DataSet,
    private readonly leads: Leads,
  ) {
    this.#fields = new Map(leads.fields.map((field) => [field.id, field]))
  }

  /** What `activities.json` and `deletedleads.json` serve. */
  activity(index: number): string {
    const random = this.#random(index)
    const head = this.#head(index, random)
    const variant = this.#variant(index, random)
    const typeId = this.data.typeIds[index] as number
    const asset = typeId === newLead && random.chance(0.1) ? "" : this.#asset(index, typeId)
    return `{${head}${asset},"attributes":${variant.attributes}}`
  }

  /** The REST name of the field that an activity of type 13 is about. */
  changedField(index: number): string {
    return this.#field(this.data.assetIds[index] as number).name
  }

  /** What `leadchanges.json` serves for the same activity. */
  change(index: number): string {
    const random = this.#random(index)
    const head = this.#head(index, random)
    const { changeAttributes, values } = this.#variant(index, random)
    if (values === undefined) return `{${head},"fields":[],"attributes":${changeAttributes}}`
    const { id, name } = this.#field(this.data.assetIds[index] as number)
    const fields = JSON.stringify([{ id, name, ...values }])
    const separator = changeAttributes === "[]" ? "" : ","
    const leadId = `{"name":"Lead ID","value":${this.data.leadIds[index]}}`
    return `{${head},"fields":${fields},"attributes":${changeAttributes.slice(0, -1)}${separator}${leadId}]}`
  }

  #field(id: number): LeadField {
    return this.#fields.get(id) ?? (this.leads.fields[0] as LeadField)
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
    const name = this.#assetName(typeId, id, this.data.leadIds[index] as number)
    return `,"primaryAttributeValueId":${id},"primaryAttributeValue":${JSON.stringify(name)}`
  }

  /** `Program.Asset`, unless the activity is about a lead or a field. */
  #assetName(typeId: number, assetId: number, leadId: number): string {
    switch (typeId) {
      case newLead:
      case mergeLeads:
      case deleteLead:
        return this.leads.nameOf(leadId)
      case changeScore:
      case changeDataValue:
        return this.#field(assetId).displayName
      default:
        return `${campaignNames[assetId % campaignNames.length]}.${activityTypeById.get(typeId)?.primaryAttribute?.name.replace(" ID", "")} ${assetId}`
    }
  }

  #variant(index: number, random: Random): Variant {
    const typeId = this.data.typeIds[index] as number
    const field = typeId === changeDataValue ? this.#field(this.data.assetIds[index] as number) : undefined
    const key = field === undefined ? typeId : -field.id
    const known = this.#variants.get(key)
    if (known !== undefined) return random.pick(known)
    const made = this.#makeVariants(typeId, field)
    this.#variants.set(key, made)
    return random.pick(made)
  }

  #makeVariants(typeId: number, field: LeadField | undefined): ReadonlyArray<Variant> {
    const random = new Random(hash(this.settings.seed, -typeId - 1_000 * (field?.id ?? 0)))
    return Array.from({ length: field === undefined ? variants : variantsOfField }, () => {
      const attributes = this.#makeAttributes(typeId, random)
      return field === undefined
        ? { attributes: JSON.stringify(attributes), changeAttributes: JSON.stringify(attributes), values: undefined }
        : changeOf(field, attributes, random)
    })
  }

  #makeAttributes(typeId: number, random: Random): ReadonlyArray<Attribute> {
    const { extraAttributes, integersAsStrings, lowerCaseNames } = this.settings.quirks
    const leadId = this.leads.idAt(random.below(this.leads.count))
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

/** One change, as both endpoints tell of it; what has no value is left out by one and null with the other. */
const changeOf = (field: LeadField, attributes: ReadonlyArray<Attribute>, random: Random): Variant => {
  const newValue = random.chance(0.05) ? null : fieldValue(field.name, field.dataType, random)
  const oldValue = random.chance(0.3) ? null : fieldValue(field.name, field.dataType, random)
  const others = withoutValues(attributes)
  return {
    attributes: JSON.stringify([...valueAttributes({ newValue, oldValue }), ...others]),
    changeAttributes: JSON.stringify(others),
    values: { newValue, oldValue },
  }
}

/** The new and the old value as `activities.json` has them. */
export const valueAttributes = ({ newValue, oldValue }: Pick<LeadChangeField, "newValue" | "oldValue">) =>
  [
    { name: "New Value", value: newValue },
    { name: "Old Value", value: oldValue },
  ].filter(({ value }) => value !== null)

export const withoutValues = (attributes: ReadonlyArray<Attribute>): ReadonlyArray<Attribute> =>
  attributes.filter(({ name }) => name !== "New Value" && name !== "Old Value")
