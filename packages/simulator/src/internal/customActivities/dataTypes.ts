/** The data types of custom attributes, and which JSON values pass as one. */
import { isDate, iso, parseInstant } from "../data/instant.js"

const isText = (value: unknown): value is string => typeof value === "string"

/**
 * A number or a boolean may come as text too: the primary attribute, of whatever type, is always sent as text. E-mail
 * addresses, links and phone numbers are text of any form.
 */
const accepts = {
  string: isText,
  text: isText,
  link: isText,
  email: isText,
  phone: isText,
  boolean: (value: unknown) => typeof value === "boolean" || value === "true" || value === "false",
  integer: (value: unknown) => Number.isInteger(value) || (isText(value) && /^[+-]?\d+$/.test(value)),
  float: (value: unknown) => isNumber(value),
  currency: (value: unknown) => isNumber(value),
  date: (value: unknown) => isText(value) && isDate(value),
  datetime: (value: unknown) => isText(value) && parseInstant(value) !== undefined,
}

const isNumber = (value: unknown): boolean =>
  typeof value === "number" || (isText(value) && /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value))

export type DataType = keyof typeof accepts

export const isDataType = (name: string): name is DataType => Object.hasOwn(accepts, name)

export const isOfType = (dataType: DataType, value: unknown): boolean => accepts[dataType](value)

/** The same value in another spelling; all of them are text then. */
export const reformatted = (dataType: DataType, value: unknown): unknown => {
  switch (dataType) {
    case "float":
    case "currency":
      return Number.isInteger(Number(value)) ? Number(value).toFixed(1) : String(Number(value))
    case "integer":
      return String(Number(value))
    case "boolean":
      return String(value)
    case "datetime":
      return iso(parseInstant(String(value)) ?? 0)
    default:
      return value
  }
}
