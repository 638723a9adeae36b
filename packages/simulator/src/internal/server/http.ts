/** What the transports, in process and over a socket, exchange with the simulated Marketo. */

export interface Incoming {
  readonly method: string
  /** Path and query, as in the first line of a request. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Of a body that is longer than Marketo takes: enough to know that. */
  readonly body: Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | Iterable<Uint8Array>
  /** Close the connection after that many bytes of the body; `"before"` = before any byte of the answer. */
  readonly cut?: number | "before" | undefined
  /** How long the call takes. */
  readonly delayMillis: number
  /** To be called when the answer is sent, or nobody waits for it any more. */
  readonly done: () => void
}

export const maxBodyBytes = 1_048_576
export const maxTargetBytes = 8_192

export const collect = (chunks: Iterable<Uint8Array>): Uint8Array => Buffer.concat(Array.from(chunks))
