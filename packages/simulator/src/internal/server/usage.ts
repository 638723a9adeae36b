/**
 * What calls count against: the moving window, the number in flight, the day's quota; and the usage that endpoints
 * report.
 */
import type { Settings } from "../settings.js"

interface Day {
  calls: number
  /** Calls by the user of the client that made them. */
  readonly users: Map<string, number>
  readonly errors: Map<string, number>
}

const newDay = (): Day => ({ calls: 0, users: new Map(), errors: new Map() })

const centralTime = new Intl.DateTimeFormat("en-CA", { timeZone: "America/Chicago" })

export class Usage {
  readonly #arrivals: Array<number> = []
  readonly #days = new Map<string, Day>()
  #inFlight = 0
  #peak = 0

  constructor(private readonly settings: Settings) {}

  get peakConcurrency(): number {
    return this.#peak
  }

  #today(now: number): Day {
    const date = centralTime.format(now)
    const known = this.#days.get(date)
    if (known !== undefined) return known
    const day: Day = newDay()
    this.#days.set(date, day)
    return day
  }

  arrive(): void {
    this.#inFlight++
    this.#peak = Math.max(this.#peak, this.#inFlight)
  }

  leave(): void {
    this.#inFlight--
  }

  /** The code of the limit that a call arriving now goes over. */
  refusal(now: number): "606" | "607" | "615" | undefined {
    const { calls, concurrent, dailyQuota, windowMillis } = this.settings.limits
    while (this.#arrivals.length > 0 && (this.#arrivals[0] as number) <= now - windowMillis) this.#arrivals.shift()
    if (this.#today(now).calls >= dailyQuota) return "607"
    if (this.#arrivals.length >= calls) return "606"
    return this.#inFlight > concurrent ? "615" : undefined
  }

  /** A call that ended in an error is free, unless `quirks.countErrors` says otherwise. */
  count(now: number, error: string | undefined, user: string | undefined): void {
    const day = this.#today(now)
    if (error !== undefined) day.errors.set(error, (day.errors.get(error) ?? 0) + 1)
    if (error !== undefined && !this.settings.quirks.countErrors) return
    day.calls++
    if (user !== undefined) day.users.set(user, (day.users.get(user) ?? 0) + 1)
    this.#arrivals.push(now)
  }

  /** Dates of Central Time, newest first. */
  days(now: number, count: number): ReadonlyArray<{ readonly date: string; readonly day: Day }> {
    return Array.from({ length: count }, (_, i) => centralTime.format(now - i * 86_400_000)).map((date) => ({
      date,
      day: this.#days.get(date) ?? newDay(),
    }))
  }
}
