/** Access tokens: one at a time for each client, handed out again until it runs out. */
import { createHash } from "node:crypto"
import type { Client, Settings } from "../settings.js"

interface AccessToken {
  readonly value: string
  readonly client: Client
  expiresAt: number
  /** An expired token is called expired once and unknown ever after. */
  refused: boolean
}

export class AccessTokens {
  readonly #issued = new Map<string, AccessToken>()
  /** By client id. */
  readonly #current = new Map<string, AccessToken>()

  constructor(private readonly settings: Settings) {}

  /** The token that identity hands out now, with the whole seconds it has left. */
  issue(client: Client, now: number): { readonly value: string; readonly expiresIn: number } {
    const current = this.#current.get(client.clientId)
    const token = current === undefined || current.expiresAt <= now ? this.#make(client, now) : current
    return { value: token.value, expiresIn: Math.floor((token.expiresAt - now) / 1_000) }
  }

  #make(client: Client, now: number): AccessToken {
    // the instant is part of it, so that a restarted simulator does not hand out a token it has just refused
    const digest = createHash("sha256").update(`${this.settings.seed}/${this.#issued.size}/${now}`).digest("hex")
    const value = `${[8, 12, 16, 20, 32].map((end, i) => digest.slice([0, 8, 12, 16, 20][i], end)).join("-")}:sj`
    const expiresAt = now + this.settings.limits.tokenLifetimeMillis
    const token: AccessToken = { value, client, expiresAt, refused: false }
    this.#current.set(client.clientId, token)
    this.#issued.set(value, token)
    return token
  }

  /** Whose token it is, or the vendor's code for why it is refused. */
  check(value: string | undefined, now: number): Client | "601" | "602" {
    const token = this.#issued.get(value ?? "")
    if (token === undefined || token.refused) return "601"
    if (now < token.expiresAt) return token.client
    token.refused = true
    return "602"
  }

  /** From now on the tokens in use have this long to live: all of them, or that of one client. */
  expireIn(millis: number, now: number, client?: Client): void {
    for (const token of this.#current.values()) {
      if (client === undefined || token.client === client) token.expiresAt = now + millis
    }
  }
}
