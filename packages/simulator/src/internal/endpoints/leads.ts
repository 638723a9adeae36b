/** Leads to look at: their fields, and who they are. What is done to a lead elsewhere does not change it here. */
import * as Either from "effect/Either"
import { toWire } from "../data/leadFields.js"
import { fieldNotFound } from "./json.js"
import { type Refusal, refusal, success } from "./outcome.js"
import { list, required } from "./parameters.js"
import { get, type Handler, type Request, type Routes } from "./route.js"

const defaultFields = ["id", "firstName", "lastName", "email", "updatedAt", "createdAt"]
const maxValues = 300

const describe: Handler = ({ leads }) => Either.right(success({ result: leads.fields.map(toWire) }))

/** By id or e-mail; Marketo takes more, and none by a name. */
const found = ({ leads, params }: Request, filterType: string): Either.Either<ReadonlyArray<number>, Refusal> => {
  const values = list(params, "filterValues")
  switch (filterType.toLowerCase()) {
    case "id":
      return Either.right(values.map(Number).filter((id) => leads.indexOf(id) !== undefined))
    case "email":
      return Either.right(values.flatMap((email) => leads.withEmail(email)))
    default:
      return Either.left(refusal("1011", `Field '${filterType}' not supported`))
  }
}

/** Undefined fields are an error; what a lead has no value for is null. */
const leadsByFilter: Handler = (request) =>
  Either.gen(function* () {
    const { leads, params, settings } = request
    const filterType = yield* required(params, "filterType")
    yield* required(params, "filterValues")
    if (list(params, "filterValues").length > maxValues) {
      return yield* Either.left(
        refusal(settings.quirks.codes.tooMany, `Invalid data: at most ${maxValues} values for 'filterValues'`),
      )
    }
    const asked = list(params, "fields")
    const known = new Set(leads.fields.map(({ name }) => name))
    const unknown = asked.find((name) => !known.has(name))
    if (unknown !== undefined) return yield* Either.left(refusal(settings.quirks.codes.field, fieldNotFound(unknown)))
    const names = new Set(asked.length === 0 ? defaultFields : ["id", ...asked])
    const ids = new Set(yield* found(request, filterType))
    const result = Array.from(ids, (id) => {
      const values = leads.valuesOf(id)
      return Object.fromEntries(Array.from(names, (name) => [name, values[name] ?? null]))
    })
    return success({ result })
  })

export const leadRoutes: Routes = new Map([
  ["/rest/v1/leads/describe.json", get("describeLead", describe)],
  ["/rest/v1/leads.json", get("leads", leadsByFilter)],
])
