/** An outcome as the bytes of an answer. */
import { gzipSync } from "node:zlib"
import type { Fault } from "../../Fault.js"
import { jsonHeaders, type Outcome, type Success } from "../endpoints/outcome.js"
import type { Settings } from "../settings.js"
import type { Answer } from "./http.js"

interface Context {
  readonly requestId: string
  readonly emptyResult: Settings["quirks"]["emptyResult"]
  /** Whether the caller takes gzip and gets it; small bodies are sent as they are. */
  readonly zip: boolean
  readonly fault: Fault | undefined
}

const smallestZipped = 1_024

export const render = (outcome: Outcome, context: Context): Pick<Answer, "status" | "headers" | "body" | "cut"> => {
  const { fault } = context
  const rendered = outcome._tag === "Plain" ? Buffer.from(outcome.body) : envelope(outcome, context)
  const whole = fault?.fault === "malformed" ? Buffer.from(fault.body ?? rendered.subarray(0, -2)) : rendered
  const zip = context.zip && whole.length >= smallestZipped
  const body = zip ? gzipSync(whole, { level: 1 }) : whole
  return {
    status: outcome._tag === "Plain" ? outcome.status : 200,
    headers: {
      server: "nginx",
      ...(outcome._tag === "Plain" ? outcome.headers : jsonHeaders),
      "content-length": String(body.length),
      vary: "Accept-Encoding",
      ...(zip ? { "content-encoding": "gzip" } : {}),
    },
    body,
    cut: fault === undefined ? undefined : cutOf(fault, body),
  }
}

const cutOf = (fault: Fault, body: Uint8Array): Answer["cut"] => {
  switch (fault.fault) {
    case "cut":
      return "before"
    case "cutBody":
      return Math.min(fault.bytes ?? Math.floor(body.length / 2), body.length - 1)
    default:
      return undefined
  }
}

const envelope = (
  outcome: Exclude<Outcome, { readonly _tag: "Plain" }>,
  { emptyResult, fault, requestId }: Context,
): Buffer => {
  if (outcome._tag === "Refusal") {
    return Buffer.from(JSON.stringify({ requestId, success: false, errors: outcome.errors }))
  }
  const members = fault?.fault === "shortResult" ? shortened(outcome.members, fault.records) : outcome.members
  const warnings = fault?.fault === "warnings" ? { warnings: fault.warnings } : {}
  const text = JSON.stringify({ requestId, success: true, ...members, ...warnings })
  if (outcome.elements === undefined) return Buffer.from(text)
  // the order of members is not fixed: the result goes first on every other page or so
  const resultFirst = requestId.charCodeAt(0) % 2 === 0
  return outcome.elements.length === 0
    ? Buffer.from(withEmptyResult(text, emptyResult))
    : withResult(text, outcome.elements, resultFirst)
}

const shortened = ({ result, ...members }: Success["members"], records: number | undefined): Success["members"] =>
  records !== undefined && Array.isArray(result) ? { result: result.slice(0, records), ...members } : members

const withEmptyResult = (text: string, emptyResult: Settings["quirks"]["emptyResult"]): string => {
  switch (emptyResult) {
    case "absent":
      return text
    case "null":
      return `${text.slice(0, -1)},"result":null}`
    case "array":
      return `${text.slice(0, -1)},"result":[]}`
  }
}

const comma = Buffer.from(",")

const withResult = (text: string, elements: NonNullable<Success["elements"]>, resultFirst: boolean): Buffer => {
  const parts: Array<Uint8Array> = [Buffer.from(resultFirst ? `{"result":[` : `${text.slice(0, -1)},"result":[`)]
  for (const [i, element] of elements.entries()) {
    if (i > 0) parts.push(comma)
    parts.push(element)
  }
  parts.push(Buffer.from(resultFirst ? `],${text.slice(1)}` : "]}"))
  return Buffer.concat(parts)
}
