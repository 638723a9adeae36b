/**
 * Where the examples read from: the instance that `MARKETO_BASE_URL`, `MARKETO_CLIENT_ID` and `MARKETO_CLIENT_SECRET`
 * name, or, when none of them is set, a simulated one that is started for the occasion.
 */
import type { HttpClient } from "@effect/platform"
import { Marketo, type MarketoError } from "@effect-marketo/core"
import * as NodeHttp from "@effect-marketo/core/NodeHttp"
import { Simulator } from "@effect-marketo/simulator"
import { Config, type ConfigError, Effect, Layer, Redacted } from "effect"

const isReal = ["MARKETO_BASE_URL", "MARKETO_CLIENT_ID", "MARKETO_CLIENT_SECRET"].some((name) => name in process.env)

const real = Marketo.layerConfig({
  baseUrl: Config.string("MARKETO_BASE_URL"),
  clientId: Config.redacted("MARKETO_CLIENT_ID"),
  clientSecret: Config.redacted("MARKETO_CLIENT_SECRET"),
})

const simulated = Layer.unwrapEffect(
  Effect.map(Simulator.Simulator, ({ clientId, clientSecret, url }) =>
    Marketo.layer({
      baseUrl: url,
      clientId: Redacted.make(clientId),
      clientSecret: Redacted.make(clientSecret),
      instance: "simulator", // the address has another port at each start
    }),
  ),
).pipe(Layer.provide(Simulator.layerServer({ data: { activities: 5_000 } })))

const instance: Layer.Layer<
  Marketo.Services,
  ConfigError.ConfigError | MarketoError.MarketoInvalidRequest | Simulator.ServeError,
  HttpClient.HttpClient
> = isReal ? real : simulated

export const layer = Layer.provide(instance, NodeHttp.layer)

/** Where the simulated activities begin. With an account of yours, choose an instant: Marketo keeps 90 days of most types. */
export const since = "2026-01-01T00:00:00Z"
