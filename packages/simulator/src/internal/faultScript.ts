import type { Endpoint, Fault } from "../Fault.js"

const pages: ReadonlySet<Endpoint> = new Set(["activities", "leadchanges", "deletedleads"])

/** Where a fault can do what it says; anywhere else it is not due. */
const applies = (fault: Fault, endpoint: Endpoint): boolean => {
  switch (fault.fault) {
    case "shortPage":
    case "emptyPage":
    case "sameToken":
    case "refusedToken":
      return pages.has(endpoint)
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
