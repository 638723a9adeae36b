/**
 * What cannot be meant is refused before anything connects.
 *
 * @since 0.1.0
 */
import { X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { KafkaError } from "../../KafkaError.js"
import type { Options, Tls } from "../../KafkajsOptions.js"

const isBlank = (text: string): boolean => text.trim() === ""

/** Not an IPv6 address, which kafkajs cannot take apart: brokers need a name then. */
const isAddress = (broker: string): boolean => {
  const [, port = ""] = /^[^\s:/@[\]]+:(\d+)$/.exec(broker) ?? []
  return Number(port) >= 1 && Number(port) <= 65_535
}

const limits = ["connectTimeout", "requestTimeout", "startTimeout", "deliveryTimeout"] as const

/** A buffer of Node and of WebAssembly can be as large. */
const MAX_UNPACKED = 2 ** 30

/** What is wrong, in words. No value of a secret. */
const mistake = (options: Options): string | undefined => {
  const { brokers, clientId, maxDecompressedBytes, sasl, tls } = options
  if (brokers.length === 0) return "brokers must name at least one broker, as host:port"
  const wrong = brokers.findIndex((broker) => !isAddress(broker))
  if (wrong >= 0) return `brokers[${wrong}] must be host:port, without a scheme or a user`
  if (clientId !== undefined && isBlank(clientId)) return "clientId must not be empty"
  if (sasl !== undefined && isBlank(sasl.username)) return "sasl.username must not be empty"
  if (sasl !== undefined && isBlank(Redacted.value(sasl.password))) return "sasl.password must not be empty"
  if (typeof tls === "object" && (tls.cert === undefined) !== (tls.key === undefined)) {
    return "tls.cert and tls.key belong together"
  }
  if (maxDecompressedBytes !== undefined && !(maxDecompressedBytes >= 1 && maxDecompressedBytes <= MAX_UNPACKED)) {
    return `maxDecompressedBytes must be between 1 and ${MAX_UNPACKED}`
  }
  const wrongTls = typeof tls === "object" ? tlsMistake(tls, Date.now()) : undefined
  if (wrongTls !== undefined) return wrongTls
  const limit = limits.find((name) => {
    const value = options[name]
    return value !== undefined && !(Duration.toMillis(value) > 0 && Duration.toMillis(value) <= 86_400_000)
  })
  return limit === undefined ? undefined : `${limit} must be more than nothing and at most a day`
}

const isPem = (text: string): boolean => {
  try {
    return new X509Certificate(text).subject !== ""
  } catch {
    return false
  }
}

/**
 * kafkajs takes what Node says of a broken key for a lost connection, and retries it. In our own words: OpenSSL's tell which
 * line is wrong to those who know it, and a key is a secret.
 */
const tlsMistake = ({ ca, cert, key, passphrase }: Tls, now: number): string | undefined => {
  if (ca !== undefined && !isPem(ca)) return "tls.ca is no certificate in PEM"
  if (cert === undefined || key === undefined) return undefined
  if (!isPem(cert)) return "tls.cert is no certificate in PEM"
  if (Date.parse(new X509Certificate(cert).validTo) < now) return "tls.cert has expired"
  try {
    const secret = passphrase === undefined ? {} : { passphrase: Redacted.value(passphrase) }
    createSecureContext({ cert, key: Redacted.value(key), ...secret })
    return undefined
  } catch {
    return "tls.key cannot be used: it is no key in PEM, is not the key of tls.cert, or tls.passphrase is missing or wrong"
  }
}

export const checkOptions = (options: Options): Effect.Effect<void, KafkaError> => {
  const wrong = mistake(options)
  if (wrong !== undefined) {
    return new KafkaError({ reason: "Misconfigured", description: `the options of KafkajsClient: ${wrong}` })
  }
  return options.sasl?.mechanism === "plain" && (options.tls ?? false) === false
    ? Effect.logWarning("the password goes to Kafka in plain text: set tls, or use scram-sha-512")
    : Effect.void
}
