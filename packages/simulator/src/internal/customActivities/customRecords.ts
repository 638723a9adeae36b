/** Whether Marketo stores a custom activity that it is sent, and as what. */
import * as Either from "effect/Either"
import type { Written } from "../data/activityLog.js"
import { parseInstant } from "../data/instant.js"
import type { Leads } from "../data/leads.js"
import { fieldNotFound, members, missing, wrongType } from "../endpoints/json.js"
import { messageOf, type VendorError } from "../endpoints/outcome.js"
import type { Settings } from "../settings.js"
import type { Attribute } from "./customTypeMembers.js"
import { approvedVersion, type CustomType, type CustomTypes } from "./customTypes.js"
import { isOfType, reformatted } from "./dataTypes.js"

export interface CustomRecord {
  readonly type: CustomType
  readonly leadId: number
  /** Epoch seconds. */
  readonly happened: number
  readonly primaryAttributeValue: string
  readonly attributes: ReadonlyArray<{ readonly attribute: Attribute; readonly value: unknown }>
}

const maxAttributeBytes = 65_536

export const checkRecord = (
  { quirks: { codes } }: Settings,
  customTypes: CustomTypes,
  leads: Leads,
  record: unknown,
): Either.Either<CustomRecord, ReadonlyArray<VendorError>> => {
  const { activityDate, activityTypeId, attributes, leadId, primaryAttributeValue } = members(record)
  const errors: Array<VendorError> = []
  const refuse = (code: string, message: string = messageOf(code)): undefined => {
    errors.push({ code, message })
  }
  /** Undefined, with an error, unless there is a value that `holds`. */
  const required = <A>(
    name: string,
    type: string,
    value: unknown,
    holds: (value: unknown) => value is A,
  ): A | undefined => {
    if (value === undefined) return refuse(codes.missing, missing(name))
    return holds(value) ? value : refuse(codes.value, wrongType(value, type))
  }

  const lead = required("leadId", "Long", leadId, isInteger)
  if (lead !== undefined && leads.indexOf(lead) === undefined) refuse("1004")

  const date = required("activityDate", "String", activityDate, isText)
  const happened = date === undefined ? undefined : parseInstant(date)
  if (date !== undefined && happened === undefined) refuse(codes.date, wrongType(date, "DateTime"))

  const typeId = required("activityTypeId", "Integer", activityTypeId, isInteger)
  const type = typeId === undefined ? undefined : customTypes.byId(typeId)
  const version = type === undefined ? undefined : approvedVersion(type)
  if (typeId !== undefined && type === undefined) refuse(codes.notFound, `Custom activity type '${typeId}' not found`)
  if (type !== undefined && version === undefined) {
    refuse(codes.notApproved, `Custom activity type '${type.apiName}' is not approved`)
  }

  const primary = required("primaryAttributeValue", "String", primaryAttributeValue, isText)
  if (primary !== undefined && version !== undefined && !isOfType(version.primary.dataType, primary)) {
    refuse(codes.value, wrongType(primary, version.primary.dataType))
  }

  const given = required("attributes", "Array", attributes, isArray) ?? []
  if (Buffer.byteLength(JSON.stringify(given)) > maxAttributeBytes) {
    refuse("1049")
  }
  const accepted = version === undefined ? [] : checkAttributes(codes, version.secondary, given, refuse)

  return type === undefined ||
    lead === undefined ||
    happened === undefined ||
    primary === undefined ||
    errors.length > 0
    ? Either.left(errors)
    : Either.right({ type, leadId: lead, happened, primaryAttributeValue: primary, attributes: accepted })
}

/** As it is stored, and served from then on. */
export const toWritten = (
  { customApiNames, integersAsStrings, reformattedValues }: Settings["quirks"],
  { attributes, happened, leadId, primaryAttributeValue, type }: CustomRecord,
): Written => {
  const value = ({ dataType }: Attribute, given: unknown): unknown => {
    if (reformattedValues) return reformatted(dataType, given)
    return integersAsStrings && dataType === "integer" ? String(given) : given
  }
  const primary = approvedVersion(type)?.primary
  return {
    typeId: type.id,
    leadId,
    happened,
    members: {
      primaryAttributeValue:
        primary === undefined || !reformattedValues ? primaryAttributeValue : value(primary, primaryAttributeValue),
      attributes: attributes.map(({ attribute, value: given }) => ({
        name: attribute.name,
        ...(customApiNames ? { apiName: attribute.apiName } : {}),
        value: value(attribute, given),
      })),
    },
  }
}

const checkAttributes = (
  codes: Settings["quirks"]["codes"],
  defined: ReadonlyArray<Attribute>,
  given: ReadonlyArray<unknown>,
  refuse: (code: string, message: string) => void,
): CustomRecord["attributes"] =>
  given.flatMap((element) => {
    const { apiName, name, value } = members(element)
    const attribute = defined.find((one) => (apiName === undefined ? one.name === name : one.apiName === apiName))
    if (apiName === undefined && name === undefined) refuse(codes.missing, missing("apiName"))
    else if (attribute === undefined) refuse(codes.field, fieldNotFound(String(apiName ?? name)))
    else if (value === undefined) refuse(codes.missing, missing(attribute.apiName))
    else if (!isOfType(attribute.dataType, value)) {
      refuse(codes.value, wrongType(value, attribute.dataType))
    } else return [{ attribute, value }]
    return []
  })

const isText = (value: unknown): value is string => typeof value === "string"
const isInteger = (value: unknown): value is number => Number.isInteger(value)
const isArray = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)
