/**
 * A feed as chains of pages. Marketo takes ten activity types a call, and what a paging token means under another filter
 * is documented nowhere: so each chain has one query for life, and its token goes only with that.
 */
import * as Effect from "effect/Effect"
import type { AnyActivity } from "../Activity.js"
import type { Position } from "../Checkpoint.js"
import type { AnyFeed } from "../Feed.js"
import { CheckpointRefused, MarketoInvalidRequest } from "../MarketoError.js"
import type { EndpointName } from "../RequestPolicy.js"

const MAX_TYPES = 10
const MAX_LEADS = 30

/** How a kind of feed is asked for, and what its records are. */
export const kinds = {
  LeadActivities: { endpoint: "leadActivities", tag: "Activity" },
  LeadChanges: { endpoint: "leadChanges", tag: "LeadChange" },
  DeletedLeads: { endpoint: "deletedLeads", tag: "DeletedLead" },
} as const satisfies Record<AnyFeed["_tag"], { readonly endpoint: EndpointName; readonly tag: AnyActivity["_tag"] }>

/** The query of one chain, by parameter; `undefined` is left out. */
type Query = Readonly<Record<string, string>>

export interface Chain {
  readonly query: string
  readonly parameters: Query
  /** Where it stands; none for a chain that starts at `since`. */
  readonly position: Position | undefined
  /** Whether the feed still wants anything of it. */
  readonly isRead: boolean
}

export interface Plan {
  readonly chains: ReadonlyArray<Chain>
  /** Of the types in the chains' queries, those that the feed wants; `undefined` where all are. */
  readonly wanted: ReadonlySet<number> | undefined
}

const invalid = (field: string, limit: string) => Effect.fail(new MarketoInvalidRequest({ field, limit }))

const isId = (value: unknown) =>
  typeof value === "number" ? Number.isSafeInteger(value) && value > 0 : /^[1-9]\d{0,18}$/.test(String(value))

const byNumber = (a: string, b: string) => a.length - b.length || (a < b ? -1 : 1)

const ids = (values: ReadonlyArray<string | number>): string =>
  [...new Set(values.map(String))].sort(byNumber).join(",")

/** Refuses what Marketo's limits do not allow, before any call. */
export const validate = (feed: AnyFeed): Effect.Effect<void, MarketoInvalidRequest> => {
  if (feed._tag === "DeletedLeads") return Effect.void
  if (feed._tag === "LeadActivities") {
    const { activityTypeIds, assetIds } = feed
    if (activityTypeIds.length === 0) return invalid("activityTypeIds", "at least one activity type is needed")
    if (!activityTypeIds.every(isId)) return invalid("activityTypeIds", "ids are positive whole numbers")
    if (assetIds !== undefined) {
      if (new Set(activityTypeIds).size !== 1) {
        return invalid(
          "assetIds",
          `Marketo takes asset ids with exactly 1 activity type, not ${activityTypeIds.length}`,
        )
      }
      if (assetIds.length === 0 || !assetIds.every(isId))
        return invalid("assetIds", "at least one; ids are positive whole numbers")
    }
  } else {
    if (feed.fields.length === 0) return invalid("fields", "at least one lead field is needed")
    if (!feed.fields.every((field) => /^[^\s,&=]+$/.test(field))) {
      return invalid("fields", "REST names of lead fields, without commas or blanks")
    }
  }
  const { leadIds, listId } = feed
  if (leadIds !== undefined) {
    if (listId !== undefined) return invalid("listId", "Marketo takes either listId or leadIds, not both")
    if (leadIds.length === 0 || leadIds.length > MAX_LEADS) {
      return invalid("leadIds", `Marketo takes 1 to ${MAX_LEADS} lead ids, not ${leadIds.length}`)
    }
    if (!leadIds.every(isId)) {
      return invalid("leadIds", "ids are positive whole numbers; past 2^53 they must be given as text")
    }
  }
  if (listId !== undefined && !isId(listId)) return invalid("listId", "an id is a positive whole number")
  return Effect.void
}

const filterOf = (feed: AnyFeed): Query =>
  feed._tag === "DeletedLeads"
    ? {}
    : {
        ...(feed._tag === "LeadChanges" ? { fields: [...new Set(feed.fields)].sort().join(",") } : {}),
        ...(feed._tag === "LeadActivities" && feed.assetIds !== undefined ? { assetIds: ids(feed.assetIds) } : {}),
        ...(feed.listId === undefined ? {} : { listId: String(feed.listId) }),
        ...(feed.leadIds === undefined ? {} : { leadIds: ids(feed.leadIds) }),
      }

const toText = (query: Query): string =>
  Object.entries(query)
    .map(([name, value]) => `${name}=${value}`)
    .join("&")

const fromText = (text: string): Query =>
  Object.fromEntries(
    text === ""
      ? []
      : text.split("&").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  )

const withTypes = (types: ReadonlyArray<number>, filter: Query): Query => ({ activityTypeIds: ids(types), ...filter })

/** A chain's query for a person to read; whose leads they are is nobody's business. */
export const describe = (query: string): string =>
  query === "" ? "deleted leads" : query.replace(/leadIds=[^&]*/, "leadIds=…")

const otherFeed = (position: Position) =>
  new CheckpointRefused({
    reason: "OtherFeed",
    advice: `this subscription was reading another feed (${describe(position.query)}). Types may be added and removed under a name; for any other change start under another name, or go back to that filter`,
  })

/** The chains of `feed`: those that `positions` know, and new ones for what they do not cover. */
export const plan = (feed: AnyFeed, positions: ReadonlyArray<Position>): Effect.Effect<Plan, CheckpointRefused> =>
  Effect.gen(function* () {
    const filter = filterOf(feed)
    if (feed._tag !== "LeadActivities") {
      const query = toText(filter)
      const other = positions.find((position) => position.query !== query)
      if (other !== undefined) return yield* otherFeed(other)
      return { chains: [{ query, parameters: filter, position: positions[0], isRead: true }], wanted: undefined }
    }
    const wanted = new Set(feed.activityTypeIds)
    const chains: Array<Chain> = []
    const covered = new Set<number>()
    for (const position of positions) {
      const { activityTypeIds, ...rest } = fromText(position.query)
      if (activityTypeIds === undefined || toText(rest) !== toText(filter)) return yield* otherFeed(position)
      const types = activityTypeIds.split(",").map(Number)
      for (const type of types) covered.add(type)
      // the position of a chain without a wanted type is kept: the type may come back
      const isRead = types.some((type) => wanted.has(type))
      chains.push({ query: position.query, parameters: fromText(position.query), position, isRead })
    }
    const fresh = [...wanted].filter((type) => !covered.has(type)).sort((a, b) => a - b)
    for (let i = 0; i < fresh.length; i += MAX_TYPES) {
      const parameters = withTypes(fresh.slice(i, i + MAX_TYPES), filter)
      chains.push({ query: toText(parameters), parameters, position: undefined, isRead: true })
    }
    return { chains, wanted: [...covered].every((type) => wanted.has(type)) ? undefined : wanted }
  })
