/**
 * A certificate for `localhost` and 127.0.0.1 that nobody else has signed, by the keytool that comes with Java.
 *
 * @since 0.1.0
 */
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { BrokerError } from "../BrokerError.js"
import { type CommandError, run } from "./command.js"

export interface Keystore {
  readonly file: string
  readonly password: string
  /** The certificate as PEM: what a client must trust. */
  readonly certificate: string
}

export const make = (folder: string): Effect.Effect<Keystore, BrokerError> =>
  Effect.gen(function* () {
    const file = path.join(folder, "keystore.p12")
    const password = "keystore-secret"
    const store = ["-keystore", file, "-storepass", password, "-storetype", "PKCS12", "-alias", "broker"]
    const key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "365"]
    const names = ["-dname", "CN=localhost", "-ext", "SAN=DNS:localhost,IP:127.0.0.1"]
    yield* run("keytool", ["-genkeypair", ...store, ...key, ...names], "30 seconds")
    const { stdout: certificate } = yield* run("keytool", ["-exportcert", "-rfc", ...store], "30 seconds")
    return { file, password, certificate }
  }).pipe(
    Effect.mapError(({ description, notFound }: CommandError) => {
      const why = notFound ? "there is no keytool on the PATH; it comes with Java" : description
      return new BrokerError({ reason: "Failed", description: `cannot make a certificate: ${why}` })
    }),
  )
