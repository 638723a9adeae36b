import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as ErrorCode from "../ErrorCode.js"
import type { CallError, Execution } from "../MarketoError.js"
import * as Metrics from "../Metrics.js"
import * as RequestPolicy from "../RequestPolicy.js"
import { count } from "./count.js"

/** One failed attempt: what to do about it, and the error it becomes when that is given up. */
export interface Failure {
  readonly action: ErrorCode.Action
  readonly execution: Execution
  /** Marketo's code, the HTTP status or the reason: tags metrics and log lines. */
  readonly cause: string
  /** Every caller pauses for that long, the repeat of this call too, in place of its backoff. */
  readonly pause?: Duration.Duration | undefined
  readonly toError: (attempts: number) => CallError
}

/**
 * Repeats `attempt` as the table and the endpoint's policy say; one that writes only where the table says that it was not
 * executed.
 */
export const retry = <A, R>(
  endpoint: string,
  policy: RequestPolicy.RequestPolicy,
  attempt: Effect.Effect<A, Failure, R>,
  kind: "read" | "write" = "read",
): Effect.Effect<A, CallError, R> => {
  const isRepeated = ({ action, execution }: Failure, number: number) =>
    number <= ErrorCode.repeats(action, policy.retries) && (kind === "read" || execution === "NotExecuted")
  const go = (number: number): Effect.Effect<A, CallError, R> =>
    Effect.catchAll(attempt, (failure) =>
      !isRepeated(failure, number)
        ? Effect.fail(failure.toError(number))
        : Effect.gen(function* () {
            const wait = yield* waitFor(failure, policy, number)
            yield* count(Metrics.retries, { endpoint, cause: failure.cause })
            yield* Effect.logWarning("Marketo call failed, repeating it").pipe(
              Effect.annotateLogs({ endpoint, cause: failure.cause, attempt: number, wait: Duration.format(wait) }),
            )
            yield* Effect.sleep(wait)
            return yield* go(number + 1)
          }),
    )
  return go(1)
}

const waitFor = (failure: Failure, policy: RequestPolicy.RequestPolicy, repeat: number) =>
  Effect.gen(function* () {
    if (failure.pause !== undefined) return failure.pause
    const jitter = yield* Random.nextRange(0.8, 1.2)
    return Duration.millis(Math.round(Duration.toMillis(RequestPolicy.delay(policy, repeat)) * jitter))
  })
