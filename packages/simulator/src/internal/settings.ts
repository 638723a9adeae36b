/** Options with their defaults, in the units the server counts in. */
import * as Duration from "effect/Duration"
import type { CustomType, Options } from "../Simulator.js"
import { hash } from "./random.js"

export interface Settings {
  readonly seed: number
  readonly activities: number
  /** Epoch seconds. */
  readonly from: number
  readonly to: number
  readonly leads: number
  readonly munchkinId: string
  readonly clientId: string
  readonly clientSecret: string
  readonly latencyMillis: number
  readonly gzip: boolean
  readonly limits: {
    readonly calls: number
    readonly windowMillis: number
    readonly concurrent: number
    readonly dailyQuota: number
    readonly countErrors: boolean
    readonly customTypes: number
  }
  readonly tokenLifetimeMillis: number
  readonly queryTokenUntilMillis: number
  readonly listLimitFromMillis: number
  readonly blockSize: number
  readonly emptyResult: "absent" | "null" | "array"
  readonly lateArrivals: "seen" | "missed"
  readonly retention: boolean
  readonly missingIds: number
  readonly integersAsStrings: boolean
  readonly lowerCaseNames: boolean
  readonly extraAttributes: boolean
  readonly customTypes: ReadonlyArray<CustomType>
  readonly visibilityDelayMillis: number
  readonly customApiNames: boolean
  readonly recordErrors: "errors" | "reasons"
  readonly customTypeErrors: "response" | "record"
  readonly codes: {
    readonly pagingToken: string
    readonly date: string
    readonly tooMany: string
    readonly notFound: string
    readonly field: string
    readonly notApproved: string
    readonly value: string
    readonly missing: string
    readonly invalid: string
    readonly exists: string
    readonly rule: string
  }
}

const rentKayak: CustomType = {
  apiName: "acmeRentKayak",
  name: "Rent Kayak",
  triggerName: "Rents Kayak",
  filterName: "Rented Kayak",
  primaryAttribute: { apiName: "kayakModel", name: "Kayak Model", dataType: "string" },
  attributes: [
    { apiName: "bookingNumber", name: "Booking Number", dataType: "string" },
    { apiName: "rentalHours", name: "Rental Hours", dataType: "float" },
    { apiName: "pickedUpAt", name: "Picked Up At", dataType: "datetime" },
  ],
}

const instant = (name: string, text: string): number => {
  const millis = Date.parse(text)
  if (Number.isNaN(millis)) throw new RangeError(`Simulator option "${name}" is not an ISO 8601 instant: ${text}`)
  return millis
}

const count = (name: string, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Simulator option "${name}" must be a whole number, zero or more: ${value}`)
  }
  return value
}

export const makeSettings = (options: Options, defaults: { readonly gzip: boolean }): Settings => {
  const seed = count("seed", options.seed ?? 7)
  const activities = count("activities", options.activities ?? 1_000)
  const from = Math.floor(instant("from", options.from ?? "2026-01-01T00:00:00Z") / 1_000)
  const to = Math.floor(instant("to", options.to ?? "2026-01-31T00:00:00Z") / 1_000)
  if (to <= from) throw new RangeError(`Simulator option "to" must be later than "from"`)
  const {
    calls = 100,
    concurrent = 10,
    countErrors = false,
    customTypes = 10,
    dailyQuota = 50_000,
    window = "20 seconds",
  } = options.limits ?? {}
  return {
    seed,
    activities,
    from,
    to,
    leads: Math.max(1, count("leads", options.leads ?? Math.max(50, Math.ceil(activities / 20)))),
    munchkinId: options.munchkinId ?? "123-ABC-456",
    clientId: options.clientId ?? "simulated-client",
    clientSecret: options.clientSecret ?? hash(seed, 0).toString(36).padStart(7, "0").repeat(4),
    latencyMillis: Duration.toMillis(options.latency ?? 0),
    gzip: options.gzip ?? defaults.gzip,
    limits: { calls, windowMillis: Duration.toMillis(window), concurrent, dailyQuota, countErrors, customTypes },
    tokenLifetimeMillis: Duration.toMillis(options.tokenLifetime ?? "3600 seconds"),
    queryTokenUntilMillis: instant("queryTokenUntil", options.queryTokenUntil ?? "2026-08-31T00:00:00Z"),
    listLimitFromMillis: instant("listLimitFrom", options.listLimitFrom ?? "2026-12-30T00:00:00Z"),
    blockSize: Math.max(1, count("blockSize", options.blockSize ?? 3_000)),
    emptyResult: options.emptyResult ?? "absent",
    lateArrivals: options.lateArrivals ?? "seen",
    retention: options.retention ?? false,
    missingIds: options.missingIds ?? 0,
    integersAsStrings: options.integersAsStrings ?? false,
    lowerCaseNames: options.lowerCaseNames ?? true,
    extraAttributes: options.extraAttributes ?? false,
    customTypes: options.customTypes ?? [rentKayak],
    visibilityDelayMillis: Duration.toMillis(options.visibilityDelay ?? 0),
    customApiNames: options.customApiNames ?? false,
    recordErrors: options.recordErrors ?? "errors",
    customTypeErrors: options.customTypeErrors ?? "response",
    codes: {
      pagingToken: options.codes?.pagingToken ?? "1003",
      date: options.codes?.date ?? "1001",
      tooMany: options.codes?.tooMany ?? "1003",
      notFound: options.codes?.notFound ?? "1013",
      field: options.codes?.field ?? "1006",
      notApproved: options.codes?.notApproved ?? "1003",
      value: options.codes?.value ?? "1001",
      missing: options.codes?.missing ?? "1002",
      invalid: options.codes?.invalid ?? "1003",
      exists: options.codes?.exists ?? "1017",
      rule: options.codes?.rule ?? "709",
    },
  }
}
