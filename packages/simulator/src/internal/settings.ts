/** Options with their defaults, in the units the server counts in. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { CustomType } from "../Data.js"
import { type Codes, type Client as NewClient, Options, Permission } from "../Options.js"
import { makeLeadFields } from "./data/leadFields.js"
import { hash } from "./data/random.js"
import { decode } from "./decode.js"

export type Settings = ReturnType<typeof makeSettings>
export type Client = Settings["clients"][number]

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

const defaultCodes = {
  pagingToken: "1003",
  date: "1001",
  tooMany: "1003",
  notFound: "1013",
  field: "1006",
  notApproved: "1003",
  value: "1001",
  missing: "1002",
  invalid: "1003",
  exists: "1017",
  rule: "709",
} satisfies Record<keyof Codes, string>

/** An option that is `undefined` is one that is left out. */
const withDefaults = <A extends object>(
  defaults: A,
  given: { readonly [K in keyof A]?: A[K] | undefined } | undefined,
): A => ({ ...defaults, ...Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)) })

const makeClients = (seed: number, clients: readonly [NewClient, ...ReadonlyArray<NewClient>]) => {
  const complete = (client: NewClient, i: number) => ({
    clientId: client.clientId,
    clientSecret: client.clientSecret ?? hash(seed, -i).toString(36).padStart(7, "0").repeat(4),
    user: client.user ?? "simulator@example.com",
    permissions: client.permissions ?? Permission.literals,
  })
  const [first, ...others] = clients
  return [complete(first, 0), ...others.map((client, i) => complete(client, i + 1))] as const
}

const epochSeconds = (instant: string): number => Math.floor(Date.parse(instant) / 1_000)

const makeData = ({ activities = 1_000, customTypes = [rentKayak], ...data }: NonNullable<Options["data"]>) => {
  const from = epochSeconds(data.from ?? "2026-01-01T00:00:00Z")
  const to = epochSeconds(data.to ?? "2026-01-31T00:00:00Z")
  if (to <= from) throw new RangeError(`Simulator option "data.to" must be later than "data.from"`)
  return {
    activities,
    /** Epoch seconds. */
    from,
    to,
    leads: data.leads ?? Math.max(50, Math.ceil(activities / 20)),
    leadFields: makeLeadFields(data.leadFields),
    customTypes,
  }
}

const makeLimits = ({
  tokenLifetime = "3600 seconds",
  window = "20 seconds",
  ...limits
}: NonNullable<Options["limits"]>) => ({
  ...withDefaults({ calls: 100, concurrent: 10, dailyQuota: 50_000, customTypes: 10 }, limits),
  windowMillis: Duration.toMillis(window),
  tokenLifetimeMillis: Duration.toMillis(tokenLifetime),
})

const makeQuirks = ({ codes, visibilityDelay = 0, ...quirks }: NonNullable<Options["quirks"]>) => {
  const { listLimitFrom, queryTokenUntil, ...rest } = quirks
  return {
    ...withDefaults(
      {
        emptyResult: "absent" as "absent" | "null" | "array",
        blockSize: 3_000,
        lateArrivals: "seen" as "seen" | "missed",
        retention: false,
        missingIds: 0,
        integersAsStrings: false,
        lowerCaseNames: true,
        extraAttributes: false,
        customApiNames: false,
        recordErrors: "errors" as "errors" | "reasons",
        customTypeErrors: "response" as "response" | "record",
        countErrors: false,
        reformattedValues: false,
      },
      rest,
    ),
    visibilityDelayMillis: Duration.toMillis(visibilityDelay),
    queryTokenUntilMillis: Date.parse(queryTokenUntil ?? "2026-08-31T00:00:00Z"),
    listLimitFromMillis: Date.parse(listLimitFrom ?? "2026-09-30T00:00:00Z"),
    codes: withDefaults(defaultCodes, codes),
  }
}

export const makeSettings = (given: Options, defaults: { readonly gzip: boolean }) => {
  const options = Either.getOrThrowWith(
    decode(Options)(given),
    (problem) => new RangeError(`Simulator options: ${problem}`),
  )
  const seed = options.seed ?? 7
  return {
    seed,
    munchkinId: options.munchkinId ?? "123-ABC-456",
    clients: makeClients(seed, options.clients ?? [{ clientId: "simulated-client" }]),
    latencyMillis: Duration.toMillis(options.latency ?? 0),
    gzip: options.gzip ?? defaults.gzip,
    data: makeData(options.data ?? {}),
    limits: makeLimits(options.limits ?? {}),
    quirks: makeQuirks(options.quirks ?? {}),
    faults: options.faults ?? [],
  }
}
