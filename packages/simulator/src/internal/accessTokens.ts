/** Access tokens: one at a time for the one client, handed out again until it runs out. */
import { createHash } from "node:crypto"
import type { Settings } from "./settings.js"

interface AccessToken {
  readonly value: string
  expiresAt: number
  /** An expired token is called expired once and unknown ever after. */
  refused: boolean
}

export class AccessTokens {
  readonly #issued = new Map<string, AccessToken>()
  #current: AccessToken | undefined

  constructor(private readonly settings: Settings) {}

  /** The token that identity hands out now, with the whole seconds it has left. */
  issue(now: number): { readonly value: string; readonly expiresIn: number } {
    if (this.#current === undefined || this.#current.expiresAt <= now) {
      // the instant is part of it, so that a restarted simulator does not hand out a token it has just refused
      const digest = createHash("sha256").update(`${this.settings.seed}/${this.#issued.size}/${now}`).digest("hex")
      const value = `${[8, 12, 16, 20, 32].map((end, i) => digest.slice([0, 8, 12, 16, 20][i], end)).join("-")}:sj`
      this.#current = { value, expiresAt: now + this.settings.limits.tokenLifetimeMillis, refused: false }
      this.#issued.set(value, this.#current)
    }
    return { value: this.#current.value, expiresIn: Math.floor((this.#current.expiresAt - now) / 1_000) }
  }

  /** The vendor's code for why this token is refused. */
  refusal(value: string | undefined, now: number): "601" | "602" | undefined {
    const token = this.#issued.get(value ?? "")
    if (token === undefined || token.refused) return "601"
    if (now < token.expiresAt) return undefined
    token.refused = true
    return "602"
  }

  /** From now on the token in use has this long to live. */
  expireIn(millis: number, now: number): void {
    if (this.#current !== undefined) this.#current.expiresAt = now + millis
  }
}
