/**
 * The control addresses under `/_simulator/`: what is stored and what was called, and ways to store and to break more
 * while it runs. They are not Marketo's, and nothing counts them.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { CustomType, Lead, NewActivity } from "../../Data.js"
import { Fault } from "../../Fault.js"
import { decode } from "../decode.js"
import type { Answer, Incoming } from "./http.js"
import type { Instance } from "./instance.js"

export const controlPath = "/_simulator/"

const answer = (status: number, type: string, body: Answer["body"]): Answer => ({
  status,
  headers: { "content-type": type },
  body,
  delayMillis: 0,
  done: () => {},
})

const json = (status: number, value: unknown): Answer =>
  answer(status, "application/json", Buffer.from(`${JSON.stringify(value)}\n`))

const problem = (status: number, error: string): Answer => json(status, { error })

function* activityLines({ log }: Instance): Iterable<Uint8Array> {
  const step = 256
  for (let first = 0; first < log.storedLength; first += step) {
    const entries = Array.from({ length: Math.min(step, log.storedLength - first) }, (_, i) => first + i)
    // only added text can hold line ends, and only between its members, where a space is as good
    yield Buffer.from(entries.map((entry) => `${log.text(entry).replace(/[\r\n]+/g, " ")}\n`).join(""))
  }
}

function* callLines({ calls }: Instance): Iterable<Uint8Array> {
  for (const call of calls) yield Buffer.from(`${JSON.stringify(call)}\n`)
}

/** Answered as one JSON value a line. */
const shown: Readonly<Record<string, (instance: Instance) => Iterable<Uint8Array>>> = {
  activities: activityLines,
  calls: callLines,
}

/** One element, or an array of them. What breaks a rule is a `RangeError` that says so. */
const each =
  <A, I>(schema: Schema.Schema<A, I>, add: (all: ReadonlyArray<A>, instance: Instance, now: number) => unknown) =>
  (body: unknown, instance: Instance, now: number): Either.Either<unknown, string> =>
    Either.flatMap(decode(Schema.Array(schema))(Array.isArray(body) ? body : [body]), (all) =>
      Either.try({ try: () => add(all, instance, now), catch: (error) => (error as RangeError).message }),
    )

const added: Readonly<Record<string, ReturnType<typeof each>>> = {
  activities: each(NewActivity, (all, instance, now) => instance.add(all, now)),
  leads: each(Lead, (all, instance) => {
    instance.addLeads(all)
    return all
  }),
  types: each(CustomType, (all, instance, now) => instance.addCustomTypes(all, now)),
  faults: each(Fault, (all, instance) => {
    for (const fault of all) instance.fault(fault)
    return all
  }),
}

const known = [
  ...Object.keys(shown).map((name) => `GET ${controlPath}${name}`),
  ...Object.keys(added).map((name) => `POST ${controlPath}${name}`),
].join(", ")

export const control = (instance: Instance, { body, method, target }: Incoming, now: number): Answer => {
  const name = target.slice(controlPath.length).split("?", 1)[0] as string
  const show = method === "GET" && Object.hasOwn(shown, name) ? shown[name] : undefined
  if (show !== undefined) return answer(200, "application/x-ndjson", show(instance))
  const add = method === "POST" && Object.hasOwn(added, name) ? added[name] : undefined
  if (add === undefined) return problem(404, `There is no ${method} ${controlPath}${name}; there are: ${known}`)
  return Either.match(
    Either.flatMap(parse(body), (value) => add(value, instance, now)),
    { onLeft: (error) => problem(400, error), onRight: (value) => json(200, value) },
  )
}

const parse = (body: Uint8Array): Either.Either<unknown, string> =>
  Either.try({
    try: () => JSON.parse(Buffer.from(body).toString()) as unknown,
    catch: (error) => `The body is not JSON: ${String(error)}`,
  })
