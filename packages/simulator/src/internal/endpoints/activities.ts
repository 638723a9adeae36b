/** The endpoints that read activities: their types, paging tokens, and the three kinds of pages. */
import * as Either from "effect/Either"
import { toDeclared } from "../customActivities/customTypeWire.js"
import {
  activityTypeById,
  activityTypes,
  changeDataValue,
  deleteLead,
  newLead,
  retentionSeconds,
  toWire,
} from "../data/activityTypes.js"
import { parseInstant } from "../data/instant.js"
import type { Settings } from "../settings.js"
import { fieldNotFound, wrongType } from "./json.js"
import { type Refusal, refusal, type Success, success } from "./outcome.js"
import { integer, integers, list, required } from "./parameters.js"
import { get, type Handler, type Request, type Routes } from "./route.js"

const atMost = (settings: Settings, name: string, count: number, limit: number): Either.Either<void, Refusal> =>
  count <= limit
    ? Either.void
    : Either.left(refusal(settings.quirks.codes.tooMany, `Invalid data: at most ${limit} values for '${name}'`))

const parseSince = (settings: Settings, text: string): Either.Either<number, Refusal> => {
  const since = parseInstant(text)
  return since === undefined || since < 0
    ? Either.left(refusal(settings.quirks.codes.date, wrongType(text, "DateTime")))
    : Either.right(since)
}

const types: Handler = ({ customTypes }) =>
  Either.right(success({ result: [...activityTypes.map(toWire), ...customTypes.all.flatMap(toDeclared)] }))

const pagingToken: Handler = ({ log, pagingTokens, params, settings }) =>
  Either.gen(function* () {
    const since = yield* parseSince(settings, yield* required(params, "sinceDatetime"))
    const entry = log.entryBefore(log.start(since))
    return success({ nextPageToken: pagingTokens.encode({ since, entry, turn: 0 }) })
  })

type Filter = (entry: number) => boolean

/** One page of what `filter` accepts, from where the paging token stands. */
const page = (
  { fault, log, now, pagingTokens, params, settings }: Request,
  filter: Filter,
  elements: (found: ReadonlyArray<number>) => ReadonlyArray<Uint8Array>,
): Either.Either<Success, Refusal> =>
  Either.gen(function* () {
    const token = yield* required(params, "nextPageToken")
    const position = fault?.fault === "refusedToken" ? undefined : pagingTokens.decode(token)
    if (position === undefined || position.entry >= log.length) {
      return yield* Either.left(refusal(settings.quirks.codes.pagingToken, "Invalid value for 'nextPageToken'"))
    }
    const asked = (yield* integer(params, "batchSize")) ?? 300
    const batchSize = asked > 0 ? Math.min(asked, 300) : 300
    if (fault?.fault === "emptyPage") {
      return success(
        { nextPageToken: pagingTokens.encode({ ...position, turn: position.turn + 1 }), moreResult: true },
        [],
      )
    }
    const nowSeconds = now / 1_000
    const kept: Filter = settings.quirks.retention
      ? (entry) => log.happened(entry) >= nowSeconds - retentionSeconds(log.typeId(entry))
      : () => true
    const scan = log.scan(
      log.placeAfter(position.entry),
      fault?.fault === "shortPage" ? Math.min(fault.records, batchSize) : batchSize,
      (entry) => filter(entry) && log.happened(entry) >= position.since && kept(entry),
    )
    const same = fault?.fault === "sameToken"
    const moreResult = same || fault?.fault === "shortPage" || scan.more
    const entry = log.entryBefore(scan.next)
    // a page that ends where it began has a token of its own, unless it is the idle poll: nothing more is to come
    const turn = entry === position.entry ? position.turn + (moreResult ? 1 : 0) : 0
    const nextPageToken = same ? token : pagingTokens.encode({ since: position.since, entry, turn })
    return success({ nextPageToken, moreResult }, elements(scan.found))
  })

/** The static lists there are: all leads, every second one, every tenth one. */
const lists: ReadonlyMap<number, number> = new Map([
  [1001, 1],
  [1002, 2],
  [1003, 10],
])

const leadFilter = ({ leads, log, now, params, settings }: Request): Either.Either<Filter, Refusal> =>
  Either.gen(function* () {
    const leadIds = new Set(yield* integers(params, "leadIds"))
    yield* atMost(settings, "leadIds", leadIds.size, 30)
    const ofLeads: Filter = leadIds.size === 0 ? () => true : (entry) => leadIds.has(log.leadId(entry))
    const listId = yield* integer(params, "listId")
    if (listId === undefined) return ofLeads
    const step = lists.get(listId)
    if (step === undefined)
      return yield* Either.left(refusal(settings.quirks.codes.notFound, `List '${listId}' not found`))
    if (now >= settings.quirks.listLimitFromMillis && Math.ceil(leads.count / step) >= 10_000) {
      return yield* Either.left(refusal("1003", `List '${listId}' has 10,000 or more members`))
    }
    const isMember = (id: number): boolean => {
      const index = leads.indexOf(id)
      return index !== undefined && index % step === 0
    }
    return (entry) => ofLeads(entry) && isMember(log.leadId(entry))
  })

const activities: Handler = (request) =>
  Either.gen(function* () {
    const { customTypes, log, params, settings } = request
    yield* required(params, "activityTypeIds")
    const typeIds = new Set(yield* integers(params, "activityTypeIds"))
    yield* atMost(settings, "activityTypeIds", typeIds.size, 10)
    for (const id of typeIds) {
      if (!activityTypeById.has(id) && customTypes.byId(id) === undefined && id < 100_000) {
        return yield* Either.left(refusal(settings.quirks.codes.notFound, `Activity type '${id}' not found`))
      }
    }
    const assetIds = new Set(yield* integers(params, "assetIds"))
    if (assetIds.size > 0 && typeIds.size !== 1) {
      return yield* Either.left(refusal("1003", "Invalid data: 'assetIds' needs exactly one activity type"))
    }
    const ofLeads = yield* leadFilter(request)
    const filter: Filter = (entry) =>
      typeIds.has(log.typeId(entry)) && (assetIds.size === 0 || assetIds.has(log.assetId(entry))) && ofLeads(entry)
    return yield* page(request, filter, (found) => log.elements(found))
  })

const leadChanges: Handler = (request) =>
  Either.gen(function* () {
    const { leads, log, params, settings } = request
    yield* required(params, "fields")
    const fields = new Set(list(params, "fields"))
    const known = new Set(leads.fields.map(({ name }) => name))
    for (const name of fields) {
      if (!known.has(name)) return yield* Either.left(refusal(settings.quirks.codes.field, fieldNotFound(name)))
    }
    const ofLeads = yield* leadFilter(request)
    const isAbout: Filter = (entry) => log.changedFields(entry).some((name) => fields.has(name))
    const filter: Filter = (entry) => {
      const typeId = log.typeId(entry)
      return (typeId === newLead || (typeId === changeDataValue && isAbout(entry))) && ofLeads(entry)
    }
    return yield* page(request, filter, (found) => found.map((entry) => Buffer.from(log.change(entry, fields) ?? "")))
  })

const deletedLeads: Handler = (request) =>
  page(
    request,
    (entry) => request.log.typeId(entry) === deleteLead,
    (found) => request.log.elements(found),
  )

export const activityRoutes: Routes = new Map([
  ["/rest/v1/activities/types.json", get("activityTypes", types)],
  ["/rest/v1/activities/pagingtoken.json", get("pagingToken", pagingToken)],
  ["/rest/v1/activities.json", get("leadActivities", activities)],
  ["/rest/v1/activities/leadchanges.json", get("leadChanges", leadChanges)],
  ["/rest/v1/activities/deletedleads.json", get("deletedLeads", deletedLeads)],
])
