/** Custom activity types as answers show them. */
import type { CustomType as NewCustomType } from "../../Data.js"
import { iso } from "../data/instant.js"
import type { Attribute } from "./customTypeMembers.js"
import { type CustomType, newest, primaryOf, secondaryOf, type Version } from "./customTypes.js"

const attributeToWire = ({ apiName, dataType, description, name }: Attribute) => ({
  apiName,
  name,
  description,
  dataType,
})

/** Without secondary attributes there is no list of them: no documented answer has an empty one. */
const attributesToWire = (version: Version) => {
  const primary = primaryOf(version)
  const secondary = secondaryOf(version)
  return {
    primaryAttribute: primary === undefined ? undefined : attributeToWire(primary),
    attributes: secondary.length === 0 ? undefined : secondary.map(attributeToWire),
  }
}

const statusOf = ({ deleted, draft, live }: CustomType): NonNullable<NewCustomType["status"]> => {
  if (deleted) return "deleted"
  if (live === undefined) return "draft"
  return draft === undefined ? "approved" : "approved with draft"
}

const namesToWire = ({ description, filterName, name, triggerName }: Version) => ({
  name,
  description,
  triggerName,
  filterName,
})

/** As `external/types.json` lists it. */
export const toListed = (type: CustomType) => ({
  id: type.id,
  apiName: type.apiName,
  ...namesToWire(type.live ?? newest(type)),
  createdAt: iso(type.createdAt / 1_000),
  updatedAt: iso(type.updatedAt / 1_000),
  status: statusOf(type),
})

export const toDescribed = (type: CustomType, version: Version = newest(type)) => ({
  ...toListed(type),
  ...namesToWire(version),
  ...attributesToWire(version),
})

/** As creating and updating answer: without what the server adds. */
export const toAccepted = (type: CustomType) => ({
  apiName: type.apiName,
  ...namesToWire(newest(type)),
  status: statusOf(type),
  ...attributesToWire(newest(type)),
})

/** As `types.json` declares it among the standard types, once it is approved. */
export const toDeclared = (type: CustomType): ReadonlyArray<unknown> => {
  if (type.live === undefined) return []
  const { description, name } = type.live
  return [{ id: type.id, apiName: type.apiName, name, description, ...attributesToWire(type.live) }]
}
