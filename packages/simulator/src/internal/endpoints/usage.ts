/** How many calls there were, and how many errors: today, or on the last seven days of US Central Time. */
import * as Either from "effect/Either"
import { success } from "./outcome.js"
import { get, type Handler, type Routes } from "./route.js"

const usage =
  (days: number): Handler =>
  (request) =>
    Either.right(
      success({
        result: request.usage.days(request.now, days).map(({ date, day }) => ({
          date,
          total: day.calls,
          users: Array.from(day.users, ([userId, count]) => ({ userId, count })),
        })),
      }),
    )

const errors =
  (days: number): Handler =>
  (request) =>
    Either.right(
      success({
        result: request.usage.days(request.now, days).map(({ date, day }) => {
          const counts = Array.from(day.errors, ([errorCode, count]) => ({ errorCode, count }))
          return { date, total: counts.reduce((sum, { count }) => sum + count, 0), errors: counts }
        }),
      }),
    )

export const usageRoutes: Routes = new Map([
  ["/rest/v1/stats/usage.json", get("usage", usage(1))],
  ["/rest/v1/stats/usage/last7days.json", get("usage", usage(7))],
  ["/rest/v1/stats/errors.json", get("errors", errors(1))],
  ["/rest/v1/stats/errors/last7days.json", get("errors", errors(7))],
])
