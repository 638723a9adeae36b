/** The endpoints of custom activities: the ten of their types, and the one that adds records. */
import * as Either from "effect/Either"
import type { Endpoint } from "../../Fault.js"
import { checkRecord, toWritten } from "../customActivities/customRecords.js"
import type { CustomType } from "../customActivities/customTypes.js"
import { toAccepted, toDescribed, toListed } from "../customActivities/customTypeWire.js"
import type { Settings } from "../settings.js"
import { members, missing } from "./json.js"
import { type Refusal, refusal, success, type VendorError } from "./outcome.js"
import { boolean } from "./parameters.js"
import { get, type Handler, type Request, type Route, type Routes } from "./route.js"

const maxRecords = 300

const skipped = (settings: Settings, errors: ReadonlyArray<VendorError>) => ({
  status: "skipped",
  [settings.quirks.recordErrors]: errors,
})

/** The records of a call that adds; undefined if there is no list of them. */
export const inputOf = (body: unknown): ReadonlyArray<unknown> | undefined => {
  const { input } = members(body)
  return Array.isArray(input) ? input : undefined
}

const addActivities: Handler = ({ body, customTypes, leads, log, now, settings }) => {
  const { codes } = settings.quirks
  const input = inputOf(body) ?? []
  if (input.length === 0) return Either.left(refusal(codes.missing, missing("input")))
  if (input.length > maxRecords) {
    return Either.left(refusal(codes.tooMany, `Invalid data: at most ${maxRecords} records in 'input'`))
  }
  const result = input.map((record) =>
    Either.match(checkRecord(settings, customTypes, leads, record), {
      onLeft: (errors) => skipped(settings, errors),
      onRight: (accepted) => {
        accepted.type.used = true
        const id = log.write(toWritten(settings.quirks, accepted), now)
        return { id: Number(id), marketoGUID: id, status: "added" }
      },
    }),
  )
  return Either.right(success({ result }))
}

const listTypes: Handler = ({ customTypes }) => Either.right(success({ result: customTypes.all.map(toListed) }))

const describeType: Handler = ({ apiName, customTypes, params, settings }) =>
  Either.gen(function* () {
    const wanted = (yield* boolean(params, "draft")) ? "draft" : "live"
    const type = yield* customTypes.find(apiName)
    const version = type[wanted]
    return version === undefined
      ? yield* Either.left(
          refusal(
            settings.quirks.codes.notFound,
            `Custom activity type '${apiName}' has no ${wanted === "draft" ? "draft" : "approved version"}`,
          ),
        )
      : success({ result: [toDescribed(type, version)] })
  })

const post = (endpoint: Endpoint, takesJson: boolean, handle: Handler): Route => ({
  endpoint,
  method: "POST",
  takesJson,
  handle,
})

/** Changes a type, and answers with it. */
const change = (
  endpoint: Endpoint,
  takesJson: boolean,
  toWire: (type: CustomType) => unknown,
  operation: (request: Request) => Either.Either<CustomType, Refusal>,
): Route =>
  post(endpoint, takesJson, (request) =>
    Either.match(operation(request), {
      onRight: (type) => Either.right(success({ result: [toWire(type)] })),
      onLeft: (refused) =>
        request.settings.quirks.customTypeErrors === "record"
          ? Either.right(success({ result: [skipped(request.settings, refused.errors)] }))
          : Either.left(refused),
    }),
  )

const external = "/rest/v1/activities/external"
const type = `${external}/type/{apiName}`

export const customRoutes: Routes = new Map([
  [`${external}.json`, post("addCustomActivities", true, addActivities)],
  [`${external}/types.json`, get("customActivityTypes", listTypes)],
  [`${type}/describe.json`, get("describeCustomActivityType", describeType)],
  [
    `${external}/type.json`,
    change("createCustomActivityType", true, toAccepted, ({ body, customTypes, now }) => customTypes.create(body, now)),
  ],
  [
    `${type}.json`,
    change("updateCustomActivityType", true, toAccepted, ({ apiName, body, customTypes, now }) =>
      customTypes.update(apiName, body, now),
    ),
  ],
  [
    `${type}/approve.json`,
    change("approveCustomActivityType", false, toDescribed, ({ apiName, customTypes, now }) =>
      customTypes.approve(apiName, now),
    ),
  ],
  [
    `${type}/discardDraft.json`,
    change("discardCustomActivityTypeDraft", false, toDescribed, ({ apiName, customTypes, now }) =>
      customTypes.discardDraft(apiName, now),
    ),
  ],
  [
    `${type}/delete.json`,
    change("deleteCustomActivityType", false, toDescribed, ({ apiName, customTypes, now }) =>
      customTypes.delete(apiName, now),
    ),
  ],
  [
    `${type}/attributes/create.json`,
    change("createCustomActivityTypeAttributes", true, toDescribed, ({ apiName, body, customTypes, now }) =>
      customTypes.createAttributes(apiName, body, now),
    ),
  ],
  [
    `${type}/attributes/update.json`,
    change("updateCustomActivityTypeAttributes", true, toDescribed, ({ apiName, body, customTypes, now }) =>
      customTypes.updateAttributes(apiName, body, now),
    ),
  ],
  [
    `${type}/attributes/delete.json`,
    change("deleteCustomActivityTypeAttributes", true, toDescribed, ({ apiName, body, customTypes, now }) =>
      customTypes.deleteAttributes(apiName, body, now),
    ),
  ],
])
