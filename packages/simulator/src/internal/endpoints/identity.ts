/** `/identity/oauth/token`: OAuth bodies, not Marketo's envelope. */
import type { Fault } from "../../Fault.js"
import type { AccessTokens } from "../server/accessTokens.js"
import type { Client, Settings } from "../settings.js"
import { jsonHeaders, type Plain, type Refusal, refusal } from "./outcome.js"

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

/** As Spring's OAuth says it: an unknown client, and a wrong secret. */
const refusals = {
  unauthorized: (clientId: string) => ({
    error: "unauthorized",
    error_description: `No client with requested id: ${clientId}`,
  }),
  invalid_client: () => ({ error: "invalid_client", error_description: "Bad client credentials" }),
}

const refusalOf = (
  client: Client | undefined,
  secret: string | null,
  fault: Fault | undefined,
): keyof typeof refusals | undefined => {
  if (fault?.fault === "unauthorized") return fault.error ?? "invalid_client"
  if (client === undefined) return "unauthorized"
  return client.clientSecret === secret ? undefined : "invalid_client"
}

/** Credentials are parameters of the query, in both methods, or of a form. */
export const identity = (
  settings: Settings,
  tokens: AccessTokens,
  method: string,
  params: URLSearchParams,
  fault: Fault | undefined,
  now: number,
): Plain | Refusal => {
  if (method !== "GET" && method !== "POST") return refusal("605", `Request method '${method}' not supported`)
  if (params.get("grant_type") !== "client_credentials") {
    return answer(400, { error: "unsupported_grant_type", error_description: "Unsupported grant type" })
  }
  const clientId = params.get("client_id") ?? ""
  const client = settings.clients.find((one) => one.clientId === clientId)
  const refused = refusalOf(client, params.get("client_secret"), fault)
  if (client === undefined || refused !== undefined) return answer(401, refusals[refused ?? "unauthorized"](clientId))
  const issued = tokens.issue(client, now)
  if (fault?.fault === "expiresIn") tokens.expireIn(fault.seconds * 1_000, now, client)
  return answer(200, {
    access_token: issued.value,
    token_type: "bearer",
    expires_in: fault?.fault === "expiresIn" ? fault.seconds : issued.expiresIn,
    scope: client.user,
  })
}
