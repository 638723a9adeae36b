/**
 * What is in a node's server.properties.
 *
 * @since 0.1.0
 */
import type { Keystore } from "./keystore.js"

export interface Member {
  readonly id: number
  readonly ports: { readonly plain: number; readonly sasl: number; readonly tls: number; readonly controller: number }
}

export type Settings = Readonly<Record<string, string | number>>

export const address = (port: number): string => `127.0.0.1:${port}`

/** Users of the SASL listener. PLAIN ones are in the settings of a node, SCRAM ones in the cluster from its formatting on. */
export const users = {
  plain: { username: "app", password: "app-secret" },
  scram: { username: "scram", password: "scram-secret" },
}

export const scramMechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-512"]

const scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule required;"

const plainModule = ({ password, username }: { readonly username: string; readonly password: string }) =>
  `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`

/** Small and quick: few threads, few partitions, no waiting for members that may come, no topic that nobody has made. */
const quick = (replicas: number): Settings => ({
  "auto.create.topics.enable": "false",
  "offsets.topic.num.partitions": replicas,
  "transaction.state.log.num.partitions": replicas,
  // a transaction of a second that timed out is aborted within two
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
  "group.initial.rebalance.delay.ms": 0,
  // a silent member of a group can be expelled after a second
  "group.min.session.timeout.ms": 1000,
  "log.cleaner.dedupe.buffer.size": 2_097_152,
  "num.network.threads": 2,
  "num.io.threads": 4,
})

/** What a node needs to be one of these, and with `isQuick` what makes tests quick; all else is Kafka's default. */
export const ofMember = (member: Member, members: ReadonlyArray<Member>, data: string, isQuick: boolean): Settings => {
  const replicas = members.length
  const inSync = Math.min(replicas, 2)
  const plain = `PLAINTEXT://${address(member.ports.plain)}`
  return {
    "process.roles": "broker,controller",
    "node.id": member.id,
    "controller.quorum.voters": members.map(({ id, ports }) => `${id}@${address(ports.controller)}`).join(","),
    listeners: `${plain},CONTROLLER://${address(member.ports.controller)}`,
    "advertised.listeners": plain,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": data,
    "num.partitions": 1,
    "default.replication.factor": replicas,
    "min.insync.replicas": inSync,
    "offsets.topic.replication.factor": replicas,
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSync,
    ...(isQuick ? quick(replicas) : {}),
  }
}

/** Listeners for SASL and for TLS beside the plain one, and ACLs that bind whoever has a name: the users of SASL. */
export const security = ({ ports }: Member, keystore: Keystore): Settings => {
  const open = `PLAINTEXT://${address(ports.plain)},SASL://${address(ports.sasl)},TLS://${address(ports.tls)}`
  return {
    listeners: `${open},CONTROLLER://${address(ports.controller)}`,
    "advertised.listeners": open,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT",
    "listener.name.sasl.sasl.enabled.mechanisms": ["PLAIN", ...scramMechanisms].join(","),
    "listener.name.sasl.plain.sasl.jaas.config": plainModule(users.plain),
    ...Object.fromEntries(
      scramMechanisms.map((name) => [`listener.name.sasl.${name.toLowerCase()}.sasl.jaas.config`, scramModule]),
    ),
    "ssl.keystore.type": "PKCS12",
    "ssl.keystore.location": keystore.file,
    "ssl.keystore.password": keystore.password,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
  }
}

export const toText = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")
