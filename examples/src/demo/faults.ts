/** What goes wrong while the demo reads. Calls are counted from the start of the simulator, tokens of identity aside. */
import type { Fault } from "@effect-marketo/simulator"

const page = { endpoint: "leadActivities" } as const

export const faults: ReadonlyArray<Fault.Fault> = [
  // one of each early, so that a short run meets them all …
  { fault: "expiredToken", call: 4 },
  { fault: "http", status: 502, call: 6 },
  { fault: "error", code: "606", call: 8 },
  { fault: "cut", call: 10 },
  { fault: "cutBody", call: 12 },
  // … and again and again on a long one
  { fault: "shortPage", records: 100, match: page, every: 7 },
  { fault: "emptyPage", match: page, every: 11 },
  { fault: "http", status: 502, match: page, every: 43 },
  { fault: "cutBody", match: page, every: 59 },
  { fault: "expiredToken", match: page, every: 73 },
]
