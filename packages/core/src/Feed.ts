/**
 * *What* to read, as plain data.
 *
 * The phantom type says what a feed's records are, so that a transform written for lead changes does not compile on a
 * feed of activities. Limits are checked when a read starts, before any call.
 *
 * @example
 * import { Feed } from "@effect-marketo/core"
 *
 * // any number of types; Marketo takes ten a call, so this is read as two chains of pages
 * const feed = Feed.leadActivities({ activityTypeIds: [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13] })
 *
 * @since 0.1.0
 */
import type { Activity, DeletedLead, LeadChange, LeadId } from "./Activity.js"

declare const TypeId: unique symbol

interface Proto<out A> {
  readonly [TypeId]?: (_: never) => A
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Feed<out A> extends Proto<A> {
  readonly _tag: "LeadActivities" | "LeadChanges" | "DeletedLeads"
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LeadActivities extends Proto<Activity> {
  readonly _tag: "LeadActivities"
  /** At least one. Ids: `Activities.types`. */
  readonly activityTypeIds: ReadonlyArray<number>
  /** Ids of primary assets; Marketo takes them with exactly one activity type. */
  readonly assetIds?: ReadonlyArray<number> | undefined
  /** A static list; not together with `leadIds`. Marketo has announced that lists of 10,000 members or more will be refused. */
  readonly listId?: number | undefined
  /** 1 to 30 leads; not together with `listId`. */
  readonly leadIds?: ReadonlyArray<LeadId | number> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LeadChanges extends Proto<LeadChange> {
  readonly _tag: "LeadChanges"
  /** REST names of lead fields; at least one. */
  readonly fields: ReadonlyArray<string>
  /** A static list; not together with `leadIds`. */
  readonly listId?: number | undefined
  /** 1 to 30 leads; not together with `listId`. */
  readonly leadIds?: ReadonlyArray<LeadId | number> | undefined
}

/**
 * Marketo keeps deletions for 14 days.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeletedLeads extends Proto<DeletedLead> {
  readonly _tag: "DeletedLeads"
}

/** @internal */
export type AnyFeed = LeadActivities | LeadChanges | DeletedLeads

type Options<F> = Omit<F, "_tag" | typeof TypeId>

/**
 * Activities of the given types (`activities.json`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const leadActivities = (options: Options<LeadActivities>): Feed<Activity> =>
  ({ _tag: "LeadActivities", ...options }) satisfies LeadActivities

/**
 * New leads and changes of the given fields (`leadchanges.json`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const leadChanges = (options: Options<LeadChanges>): Feed<LeadChange> =>
  ({ _tag: "LeadChanges", ...options }) satisfies LeadChanges

/**
 * Deleted leads (`deletedleads.json`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const deletedLeads: Feed<DeletedLead> = { _tag: "DeletedLeads" } satisfies DeletedLeads
