/** When faults are due, and what they put in the place of an answer. */
import type { Endpoint, Fault } from "../../Fault.js"
import { customRoutes } from "../endpoints/customActivities.js"
import { gatewayPage, jsonHeaders, messageOf, type Outcome } from "../endpoints/outcome.js"

const pages: ReadonlySet<Endpoint> = new Set(["leadActivities", "leadChanges", "deletedLeads"])
const writes: ReadonlySet<Endpoint> = new Set(
  Array.from(customRoutes.values(), ({ endpoint, method }) => (method === "POST" ? [endpoint] : [])).flat(),
)

/** Where a fault can do what it says; anywhere else it is not due. */
const applies = (fault: Fault, endpoint: Endpoint): boolean => {
  switch (fault.fault) {
    case "shortPage":
    case "emptyPage":
    case "sameToken":
    case "refusedToken":
      return pages.has(endpoint)
    case "shortResult":
      return writes.has(endpoint)
    case "expiresIn":
    case "unauthorized":
      return endpoint === "identity"
    default:
      return endpoint !== "identity" || fault.match?.endpoint === "identity"
  }
}

interface Entry {
  readonly fault: Fault
  matched: number
  used: number
}

export class FaultScript {
  readonly #entries: Array<Entry> = []

  constructor(faults: ReadonlyArray<Fault>) {
    for (const fault of faults) this.append(fault)
  }

  append(fault: Fault): void {
    this.#entries.push({ fault, matched: 0, used: 0 })
  }

  /** The fault that this call takes. Call once for each call: it counts. */
  take(call: {
    readonly number: number | undefined
    readonly endpoint: Endpoint
    readonly method: string
  }): Fault | undefined {
    let taken: Fault | undefined
    for (const entry of this.#entries) {
      const { fault } = entry
      if (!applies(fault, call.endpoint)) continue
      if (fault.call !== undefined && fault.call !== call.number) continue
      if (fault.match?.endpoint !== undefined && fault.match.endpoint !== call.endpoint) continue
      if (fault.match?.method !== undefined && fault.match.method !== call.method) continue
      entry.matched++
      const due =
        entry.used < (fault.times ?? (fault.every === undefined ? 1 : Infinity)) &&
        entry.matched % (fault.every ?? 1) === 0
      if (due && taken === undefined) {
        entry.used++
        taken = fault
      }
    }
    return taken
  }
}

export interface Replacement {
  /** Whether the call is carried out all the same. */
  readonly executed: boolean
  readonly outcome: Outcome
}

/** The outcome that a fault puts in the place of the real one; undefined for faults that only change it. */
export const replacementOf = (fault: Fault): Replacement | undefined => {
  switch (fault.fault) {
    case "error": {
      const errors = [fault.code].flat().map((code) => ({
        code: fault.numeric === true ? Number(code) : String(code),
        ...(fault.message === null ? {} : { message: fault.message ?? messageOf(code) }),
      }))
      return { executed: fault.executed ?? false, outcome: { _tag: "Refusal", errors } }
    }
    case "http": {
      const page = gatewayPage(fault.status)
      return { executed: fault.executed ?? false, outcome: { ...page, body: fault.body ?? page.body } }
    }
    case "empty":
    case "cut": // of which nothing is sent
      return {
        executed: fault.executed ?? false,
        outcome: { _tag: "Plain", status: 200, headers: jsonHeaders, body: "" },
      }
    default:
      return undefined
  }
}
