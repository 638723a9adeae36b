/** `/identity/oauth/token`: OAuth bodies, not Marketo's envelope. */
import type { Fault } from "../Fault.js"
import type { AccessTokens } from "./accessTokens.js"
import { jsonHeaders, type Plain, type Refusal, refusal } from "./outcome.js"
import type { Settings } from "./settings.js"

const answer = (status: number, body: unknown): Plain => ({
  _tag: "Plain",
  status,
  headers: {
    ...jsonHeaders,
    "cache-control": "no-store",
    pragma: "no-cache",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  },
  body: JSON.stringify(body),
})

/** Credentials are query parameters in both methods. */
export const identity = (
  settings: Settings,
  tokens: AccessTokens,
  method: string,
  query: URLSearchParams,
  fault: Fault | undefined,
  now: number,
): Plain | Refusal => {
  if (method !== "GET" && method !== "POST") return refusal("605", `Request method '${method}' not supported`)
  if (query.get("grant_type") !== "client_credentials") {
    return answer(400, { error: "unsupported_grant_type", error_description: "Unsupported grant type" })
  }
  const known = query.get("client_id") === settings.clientId && query.get("client_secret") === settings.clientSecret
  if (!known || fault?.fault === "unauthorized") {
    return answer(401, { error: "invalid_client", error_description: "Bad client credentials" })
  }
  const issued = tokens.issue(now)
  if (fault?.fault === "expiresIn") tokens.expireIn(fault.seconds * 1_000, now)
  return answer(200, {
    access_token: issued.value,
    token_type: "bearer",
    expires_in: fault?.fault === "expiresIn" ? fault.seconds : issued.expiresIn,
    scope: "simulator@example.com",
  })
}
