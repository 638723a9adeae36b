/** What each endpoint asks of a client, and how long Marketo works on it, by Adobe's documentation. */
import type { Endpoint } from "../../Fault.js"
import type { Permission } from "../../Options.js"

const readActivities: ReadonlyArray<Permission> = ["Read-Only Activity", "Read-Write Activity"]
const writeActivities: ReadonlyArray<Permission> = ["Read-Write Activity"]
const readTypes: ReadonlyArray<Permission> = ["Read-Only Activity Metadata", "Read-Write Activity Metadata"]
const writeTypes: ReadonlyArray<Permission> = ["Read-Write Activity Metadata"]

/** Any one of them is enough. Endpoints that are not here need none. */
const permissions: Partial<Record<Endpoint, ReadonlyArray<Permission>>> = {
  activityTypes: readActivities,
  pagingToken: readActivities,
  leadActivities: readActivities,
  leadChanges: readActivities,
  deletedLeads: readActivities,
  addCustomActivities: writeActivities,
  customActivityTypes: readTypes,
  describeCustomActivityType: readTypes,
  createCustomActivityType: writeTypes,
  updateCustomActivityType: writeTypes,
  approveCustomActivityType: writeTypes,
  discardCustomActivityTypeDraft: writeTypes,
  deleteCustomActivityType: writeTypes,
  createCustomActivityTypeAttributes: writeTypes,
  updateCustomActivityTypeAttributes: writeTypes,
  deleteCustomActivityTypeAttributes: writeTypes,
  describeLead: ["Read-Only Lead"],
  leads: ["Read-Only Lead"],
}

export const isPermitted = (endpoint: Endpoint, granted: ReadonlyArray<Permission>): boolean =>
  permissions[endpoint]?.some((one) => granted.includes(one)) ?? true

const timeLimits: Partial<Record<Endpoint, number>> = {
  identity: Number.POSITIVE_INFINITY,
  pagingToken: 300_000,
  addCustomActivities: 90_000,
}

/** Milliseconds; a call that takes longer is answered with 604. */
export const timeLimit = (endpoint: Endpoint): number => timeLimits[endpoint] ?? 30_000
