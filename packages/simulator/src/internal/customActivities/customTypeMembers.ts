/** What requests about custom activity types hold, by the vendor's rules for names and data types. */
import * as Either from "effect/Either"
import { type Json, members, missing, optionalText, requiredText, wrongType } from "../endpoints/json.js"
import { type Refusal, refusal } from "../endpoints/outcome.js"
import type { Settings } from "../settings.js"
import { type DataType, isDataType } from "./dataTypes.js"

export interface Attribute {
  readonly apiName: string
  readonly name: string
  readonly dataType: DataType
  readonly description: string | undefined
  readonly isPrimary: boolean
}

type Codes = Settings["quirks"]["codes"]
type Result<A> = Either.Either<A, Refusal>

export const apiName = (codes: Codes, given: Json): Result<string> =>
  Either.filterOrLeft(
    requiredText(codes, given, "apiName"),
    (name) => /^[A-Za-z0-9]{1,255}$/.test(name) && /[A-Za-z]/.test(name),
    (name) => refusal(codes.invalid, `Invalid value '${name}' for 'apiName'`),
  )

export const displayName = (codes: Codes, given: Json): Result<string> =>
  Either.filterOrLeft(
    requiredText(codes, given, "name"),
    (name) => /^[\p{L}\p{N}_ ]+$/u.test(name) && /\p{L}/u.test(name),
    (name) => refusal(codes.invalid, `Invalid value '${name}' for 'name'`),
  )

export const dataType = (codes: Codes, given: Json, otherwise: DataType | undefined): Result<DataType> =>
  otherwise !== undefined && given.dataType === undefined
    ? Either.right(otherwise)
    : Either.filterOrLeft(requiredText(codes, given, "dataType"), isDataType, (name) =>
        refusal(codes.invalid, `Invalid value '${name}' for 'dataType'`),
      )

export const isPrimary = (codes: Codes, given: Json, otherwise: boolean): Result<boolean> => {
  const { isPrimary = otherwise } = given
  return typeof isPrimary === "boolean"
    ? Either.right(isPrimary)
    : Either.left(refusal(codes.value, wrongType(isPrimary, "Boolean")))
}

export const newAttribute = (codes: Codes, given: Json, defaultType: DataType | undefined): Result<Attribute> =>
  Either.all({
    apiName: apiName(codes, given),
    name: displayName(codes, given),
    dataType: dataType(codes, given, defaultType),
    description: optionalText(codes, given, "description"),
    isPrimary: isPrimary(codes, given, false),
  })

/** That of a type; its data type may be left out, and is `string` then. */
export const primaryAttribute = (codes: Codes, type: Json): Result<Attribute> =>
  "primaryAttribute" in type
    ? Either.map(newAttribute(codes, members(type.primaryAttribute), "string"), (attribute) => ({
        ...attribute,
        isPrimary: true,
      }))
    : Either.left(refusal(codes.missing, missing("primaryAttribute")))
