/**
 * Custom activity types and their life cycle: draft, approved, approved with draft, deleted.
 *
 * Every change is made in a draft, and the live type stays as it is until `approve`; only an approved type takes records.
 * Arguments outside Marketo's documented limits are `MarketoInvalidRequest`, and nothing is sent.
 *
 * A write is repeated only where Marketo did not execute it. After an error with `execution: "Unknown"` it may have been:
 * `describe` the type, with `draft: true`, to see.
 *
 * @example
 * import { CustomActivityTypes } from "@effect-marketo/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const types = yield* CustomActivityTypes.CustomActivityTypes
 *   yield* types.create({
 *     apiName: "acmeRentKayak",
 *     name: "Rent Kayak",
 *     triggerName: "Rents Kayak",
 *     filterName: "Rented Kayak",
 *     primaryAttribute: { apiName: "kayakModel", name: "Kayak Model" }
 *   })
 *   yield* types.createAttributes("acmeRentKayak", [
 *     { apiName: "rentalHours", name: "Rental Hours", dataType: "float" }
 *   ])
 *   yield* types.approve("acmeRentKayak")
 * })
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import {
  ApiName,
  AttributeRequest,
  AttributeUpdate,
  CustomActivityType,
  CustomActivityTypeRequest,
  CustomActivityTypeUpdate,
} from "./CustomActivityType.js"
import { toText } from "./internal/scalar.js"
import * as MarketoClient from "./MarketoClient.js"
import { type CallError, MarketoInvalidRequest, MarketoRejected, MarketoUnavailable } from "./MarketoError.js"
import { type EndpointName, endpoints, type RequestPolicy } from "./RequestPolicy.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface DescribeOptions {
  /** The draft instead of the approved version. Default: false. */
  readonly draft?: boolean | undefined
}

/**
 * Methods that change a type answer with the type as it is after the change. Marketo's `success: true` means that the
 * change is made; what its answer lacks is asked for by `describe`. So an error whose `endpoint` is
 * `describeCustomActivityType` says that the change was made and could not be looked at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Every custom type, without attributes. */
  readonly list: Effect.Effect<ReadonlyArray<CustomActivityType>, CallError>
  /**
   * One type with its attributes. A type that does not exist, or has no approved version (no draft, when that was asked
   * for), is `MarketoRejected`. Which code Marketo sends is not documented; an answer without a type counts as 1013.
   */
  readonly describe: (apiName: string, options?: DescribeOptions) => Effect.Effect<CustomActivityType, CallError>
  /** A draft. Most instances hold 10 custom types; one more is `MarketoRejected` with code 1027. */
  readonly create: (type: CustomActivityTypeRequest) => Effect.Effect<CustomActivityType, CallError>
  readonly update: (apiName: string, changes: CustomActivityTypeUpdate) => Effect.Effect<CustomActivityType, CallError>
  /** The draft becomes the live type. Without a draft it is `MarketoRejected`, by Marketo's general rule with code 709. */
  readonly approve: (apiName: string) => Effect.Effect<CustomActivityType, CallError>
  /** The live type stays, its draft goes. */
  readonly discardDraft: (apiName: string) => Effect.Effect<CustomActivityType, CallError>
  /** Remove the type from all triggers and filters first. None if Marketo's answer does not have the deleted type. */
  readonly delete: (apiName: string) => Effect.Effect<Option.Option<CustomActivityType>, CallError>
  /**
   * Adds attributes to the draft. A type holds 20 secondary attributes, and one primary: demote the old one before
   * another is promoted. Given a name, what the call alone shows is checked; given a described type (its draft, if it has
   * one), its attributes count too. What is not seen here Marketo refuses itself: 1028 for too many.
   */
  readonly createAttributes: (
    type: string | CustomActivityType,
    attributes: ReadonlyArray<AttributeRequest>,
  ) => Effect.Effect<CustomActivityType, CallError>
  /** Changes attributes in the draft. To change the primary one, demote the old one first; checked as in `createAttributes`. */
  readonly updateAttributes: (
    type: string | CustomActivityType,
    attributes: ReadonlyArray<AttributeUpdate>,
  ) => Effect.Effect<CustomActivityType, CallError>
  /** Removes attributes, by their `apiName`, from the draft and with its approval from the type's filter. */
  readonly deleteAttributes: (
    apiName: string,
    attributes: ReadonlyArray<string>,
  ) => Effect.Effect<CustomActivityType, CallError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class CustomActivityTypes extends Context.Tag("@effect-marketo/core/CustomActivityTypes")<
  CustomActivityTypes,
  Service
>() {}

const MAX_SECONDARY = 20

const decodeType = Schema.decodeUnknownOption(CustomActivityType)
const decodeTypes = Schema.decodeUnknownOption(Schema.Array(CustomActivityType))

/** The body as JSON, members in the order of Marketo's documentation; or the first member at fault and its limit. */
const encode = <A, I>(schema: Schema.Schema<A, I>) => {
  const toJson = Schema.encode(Schema.parseJson(schema))
  return (value: A): Effect.Effect<string, MarketoInvalidRequest> => Effect.mapError(toJson(value), invalidAt)
}

const invalidAt = (error: ParseResult.ParseError): MarketoInvalidRequest => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return new MarketoInvalidRequest({
    field: issue?.path.join(".") ?? "",
    limit: issue?._tag === "Missing" ? "is missing, and Marketo requires it" : (issue?.message ?? ""),
  })
}

const invalid = (field: string, limit: string) => new MarketoInvalidRequest({ field, limit })

const attributesOf = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.Struct({
    attributes: Schema.Array(schema).pipe(
      Schema.minItems(1, { message: () => "must name at least one attribute: nothing else would change" }),
    ),
  })

const encodeCreate = encode(CustomActivityTypeRequest)
const encodeUpdate = encode(CustomActivityTypeUpdate)
const encodeCreateAttributes = encode(attributesOf(AttributeRequest))
const encodeUpdateAttributes = encode(attributesOf(AttributeUpdate))
const encodeDeleteAttributes = encode(attributesOf(AttributeUpdate.pick("apiName")))

/** The type's name in the path. Letters and digits only, so that nothing needs encoding there. */
const checkApiName = (apiName: string): Effect.Effect<string, MarketoInvalidRequest> =>
  Effect.mapError(Schema.decode(ApiName)(apiName), (error) => invalid("apiName", invalidAt(error).limit))

const checkSecondary = (
  type: string | CustomActivityType,
  attributes: ReadonlyArray<AttributeRequest>,
): Effect.Effect<void, MarketoInvalidRequest> => {
  const present = typeof type === "string" ? 0 : type.attributes.length
  const count = present + attributes.filter(({ isPrimary }) => isPrimary !== true).length
  return count > MAX_SECONDARY
    ? invalid("attributes", `Marketo takes ${MAX_SECONDARY} secondary attributes a type, and these would make ${count}`)
    : Effect.void
}

const checkPrimary = (
  type: string | CustomActivityType,
  attributes: ReadonlyArray<AttributeUpdate>,
): Effect.Effect<void, MarketoInvalidRequest> => {
  const [promoted, ...others] = attributes.filter(({ isPrimary }) => isPrimary === true)
  if (promoted === undefined) return Effect.void
  if (others.length > 0) return invalid("attributes", "a type has one primary attribute: set isPrimary on one of these")
  const primary = typeof type === "string" ? undefined : Option.getOrUndefined(type.primaryAttribute)?.apiName
  const isDemoted = attributes
    .slice(0, attributes.indexOf(promoted))
    .some(({ apiName, isPrimary }) => apiName === primary && isPrimary === false)
  return primary === undefined || primary === promoted.apiName || isDemoted
    ? Effect.void
    : invalid(
        "attributes",
        `a type has one primary attribute: set isPrimary: false on ${primary} before ${promoted.apiName} becomes it`,
      )
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** The codes of a record that Marketo skipped; it names the member `reasons` on one page and `errors` on another. */
const skippedCodes = (record: unknown): ReadonlyArray<string> =>
  isObject(record) && record.status === "skipped"
    ? [record.reasons, record.errors]
        .flatMap((reasons) => (Array.isArray(reasons) ? reasons : []))
        .flatMap((reason: unknown) => (isObject(reason) && reason.code !== undefined ? [toText(reason.code)] : []))
    : []

const refused = (
  endpoint: EndpointName,
  requestId: MarketoClient.Answer["requestId"],
  codes: readonly [string, ...Array<string>],
) =>
  new MarketoRejected({
    endpoint,
    requestId,
    attempts: 1,
    codes,
    execution: "NotExecuted",
    isRetryable: false,
  })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly policies: Readonly<Record<EndpointName, RequestPolicy>>
}): Effect.Effect<Service, never, MarketoClient.MarketoClient> =>
  Effect.gen(function* () {
    const client = yield* MarketoClient.MarketoClient

    const malformed = (endpoint: EndpointName, requestId: MarketoClient.Answer["requestId"]) =>
      new MarketoUnavailable({
        endpoint,
        requestId,
        attempts: 1,
        reason: "Malformed",
        execution: "Unknown",
      })

    const get = (
      endpoint: EndpointName,
      path: string,
      query: Readonly<Record<string, string>>,
      isComplete?: (json: MarketoClient.Answer["json"]) => boolean,
    ) => client.get(path, query, { endpoint, policy: options.policies[endpoint], isComplete })

    /** The type of an answer, if it is there whole. */
    const typeIn = (
      endpoint: EndpointName,
      { json, requestId }: MarketoClient.Answer,
    ): Effect.Effect<Option.Option<CustomActivityType>, MarketoRejected> => {
      const records: ReadonlyArray<unknown> = Array.isArray(json.result) ? json.result : []
      const [code, ...codes] = records.flatMap(skippedCodes)
      if (code !== undefined) return refused(endpoint, requestId, [code, ...codes])
      return Effect.succeed(records.length === 1 ? decodeType(records[0]) : Option.none())
    }

    const send = (endpoint: EndpointName, apiName: string, body: string) =>
      Effect.flatMap(
        client.post(endpoints[endpoint].path.replace("{apiName}", apiName), body, {
          endpoint,
          policy: options.policies[endpoint],
        }),
        (answer) => typeIn(endpoint, answer),
      )

    const list = Effect.flatMap(get("customActivityTypes", endpoints.customActivityTypes.path, {}), (answer) =>
      // an instance without custom types may answer without a result
      Effect.mapError(decodeTypes(answer.json.result ?? []), () => malformed("customActivityTypes", answer.requestId)),
    )

    const describe: Service["describe"] = (apiName, { draft = false } = {}) =>
      Effect.gen(function* () {
        const endpoint = "describeCustomActivityType"
        const path = endpoints[endpoint].path.replace("{apiName}", yield* checkApiName(apiName))
        const answer = yield* get(endpoint, path, draft ? { draft: "true" } : {}, (json) => Array.isArray(json.result))
        // what Marketo says of a version that does not exist is documented nowhere: a code, or no result
        if ((answer.json.result as ReadonlyArray<unknown>).length === 0) {
          return yield* refused(endpoint, answer.requestId, ["1013"])
        }
        const type = yield* typeIn(endpoint, answer)
        return yield* Effect.mapError(type, () => malformed(endpoint, answer.requestId))
      })

    /** A change to a draft, or one that makes a version the live one. */
    const post = (endpoint: EndpointName, apiName: string, body: string, version: DescribeOptions) =>
      Effect.flatMap(
        send(endpoint, apiName, body),
        Option.match({ onNone: () => describe(apiName, version), onSome: Effect.succeed }),
      )

    const draft = { draft: true }
    const live = { draft: false }

    /** A write whose only input is the name of a type. */
    const change = (endpoint: EndpointName) => (apiName: string) =>
      Effect.flatMap(checkApiName(apiName), (name) => post(endpoint, name, "", live))

    return CustomActivityTypes.of({
      list,
      describe,
      create: (type) =>
        Effect.flatMap(encodeCreate(type), (body) => post("createCustomActivityType", type.apiName, body, draft)),
      update: (apiName, changes) =>
        Effect.flatMap(Effect.all([checkApiName(apiName), encodeUpdate(changes)]), ([name, body]) =>
          post("updateCustomActivityType", name, body, draft),
        ),
      approve: change("approveCustomActivityType"),
      discardDraft: change("discardCustomActivityTypeDraft"),
      delete: (apiName) => Effect.flatMap(checkApiName(apiName), (name) => send("deleteCustomActivityType", name, "")),
      createAttributes: (type, attributes) =>
        Effect.gen(function* () {
          const apiName = yield* checkApiName(typeof type === "string" ? type : type.apiName)
          const body = yield* encodeCreateAttributes({ attributes })
          yield* checkSecondary(type, attributes)
          yield* checkPrimary(type, attributes)
          return yield* post("createCustomActivityTypeAttributes", apiName, body, draft)
        }),
      updateAttributes: (type, attributes) =>
        Effect.gen(function* () {
          const apiName = yield* checkApiName(typeof type === "string" ? type : type.apiName)
          const body = yield* encodeUpdateAttributes({ attributes })
          yield* checkPrimary(type, attributes)
          return yield* post("updateCustomActivityTypeAttributes", apiName, body, draft)
        }),
      deleteAttributes: (apiName, attributes) =>
        Effect.gen(function* () {
          const name = yield* checkApiName(apiName)
          const body = yield* encodeDeleteAttributes({ attributes: attributes.map((a) => ({ apiName: a })) })
          return yield* post("deleteCustomActivityTypeAttributes", name, body, draft)
        }),
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Parameters<typeof make>[0],
): Layer.Layer<CustomActivityTypes, never, MarketoClient.MarketoClient> =>
  Layer.effect(CustomActivityTypes, make(options))
