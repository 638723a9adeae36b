/**
 * How to reach a cluster with kafkajs.
 *
 * @since 0.1.0
 */
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"

/**
 * @since 0.1.0
 * @category models
 */
export interface Sasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * Certificates and keys are PEM texts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tls {
  /** The authority of the brokers' certificates. Default: those that Node trusts. */
  readonly ca?: string | undefined
  /** This client's own certificate, where brokers ask for one, with its `key`. */
  readonly cert?: string | undefined
  readonly key?: Redacted.Redacted | undefined
  readonly passphrase?: Redacted.Redacted | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `host:port` of some brokers of the cluster; the others are learnt from them. */
  readonly brokers: ReadonlyArray<string>
  /** Names this program in the brokers' logs and quotas. Default: `"effect-marketo"`. */
  readonly clientId?: string | undefined
  readonly sasl?: Sasl | undefined
  /** Default: false. */
  readonly tls?: boolean | Tls | undefined
  /** Limit on one connection and on signing in, after which another one of the brokers is asked. Default: 10 seconds. */
  readonly connectTimeout?: Duration.Duration | undefined
  /** Limit on one answer, of a commit too. Default: 30 seconds. */
  readonly requestTimeout?: Duration.Duration | undefined
  /**
   * Limit on what happens before records flow: on building the layer, on making a producer, on looking at and making topics.
   * Default: 30 seconds.
   */
  readonly startTimeout?: Duration.Duration | undefined
  /**
   * How long a send is retried while no broker acknowledges it. The time that it waits behind earlier sends to its partition
   * counts. In a transaction not longer than that may take. Default: 2 minutes.
   */
  readonly deliveryTimeout?: Duration.Duration | undefined
  /**
   * What a batch of records may take unpacked, in bytes, whatever its compression; each record and each header counts as at
   * least 128. A kilobyte of a batch can stand for a megabyte: whoever may write to a topic decides what its readers
   * have to unpack. Records of a batch that takes more are `unreadable`. Default: 64 MiB.
   */
  readonly maxDecompressedBytes?: number | undefined
}

/**
 * Opens a connection, as `net.connect` and `tls.connect` do, and calls `onConnect` when it is open (and secure).
 *
 * @since 0.1.0
 * @category models
 */
export type SocketFactory = (to: {
  readonly host: string
  readonly port: number
  /** Undefined without TLS. */
  readonly tls: ConnectionOptions | undefined
  readonly onConnect: () => void
}) => Socket

/**
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** The way to the brokers, such as through a proxy. Default: directly. */
  readonly socketFactory?: SocketFactory | undefined
}
