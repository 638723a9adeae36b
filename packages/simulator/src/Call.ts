/**
 * What a simulator was asked.
 *
 * @since 0.1.0
 */
import type { Endpoint, Fault } from "./Fault.js"

/**
 * One call, as it was decided when it arrived.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  /** Counted from 1; identity has none. */
  readonly number: number | undefined
  /** Instant of arrival, epoch milliseconds. */
  readonly at: number
  readonly endpoint: Endpoint
  readonly method: string
  readonly path: string
  /** Parameters of the query and of a form, without secrets. Repeated ones are joined with commas. */
  readonly query: Readonly<Record<string, string>>
  /** Undefined if the connection was cut. */
  readonly status: number | undefined
  /** The first vendor code of the answer. */
  readonly code: string | undefined
  /** The fault that the call took. */
  readonly fault: Fault["fault"] | undefined
  /**
   * How many activities the answer held; of `addCustomActivities`: how many the request held, whatever became of them.
   */
  readonly records: number
  /** Whether Marketo carried it out, even if the caller was told something else. */
  readonly executed: boolean
}
