/**
 * How kafkajs fails, in our words.
 *
 * @since 0.1.0
 */
import { KafkaError, type Reason } from "../../KafkaError.js"

interface Meaning {
  readonly reason: Reason
  /** What a person should know about it, where Kafka's own words do not say it. */
  readonly hint?: string
}

const outage = { reason: "Unavailable" } as const
const spent = { reason: "ProducerSpent" } as const
const member = {
  reason: "Unavailable",
  hint: "this member is not in the group any more, or the group changes",
} as const
const refused = { reason: "RecordRejected" } as const
const fatal = { reason: "Misconfigured" } as const
const certificate = {
  reason: "Misconfigured",
  hint: "the broker's certificate is not trusted: give the certificate of its authority as tls.ca",
} as const
const closed = {
  reason: "Unavailable",
  hint: "the connection is cut; when that is so from the start, the listener may expect TLS or SASL, or not expect it",
} as const

/**
 * What the broker's error codes, Node's connection codes and the names of kafkajs's errors mean. The first entry that is met
 * on the way from an error to its cause counts, Kafka's codes before names.
 */
export const meanings: Readonly<Record<string, Meaning>> = {
  // the broker, or the way to it
  UNKNOWN: { ...outage, hint: "seen while a coordinator moves" },
  LEADER_NOT_AVAILABLE: outage,
  NOT_LEADER_FOR_PARTITION: outage,
  REQUEST_TIMED_OUT: outage,
  BROKER_NOT_AVAILABLE: outage,
  REPLICA_NOT_AVAILABLE: outage,
  NETWORK_EXCEPTION: outage,
  GROUP_LOAD_IN_PROGRESS: outage,
  GROUP_COORDINATOR_NOT_AVAILABLE: outage,
  NOT_COORDINATOR_FOR_GROUP: outage,
  NOT_ENOUGH_REPLICAS: outage,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: outage,
  NOT_CONTROLLER: outage,
  CONCURRENT_TRANSACTIONS: outage,
  KAFKA_STORAGE_ERROR: outage,
  FENCED_LEADER_EPOCH: outage,
  UNKNOWN_LEADER_EPOCH: outage,
  OFFSET_NOT_AVAILABLE: outage,
  THROTTLING_QUOTA_EXCEEDED: outage,
  STALE_BROKER_EPOCH: outage,
  STALE_CONTROLLER_EPOCH: outage,
  CORRUPT_MESSAGE: outage,
  ECONNREFUSED: outage,
  ECONNRESET: closed,
  EPIPE: closed,
  ETIMEDOUT: outage,
  EHOSTUNREACH: outage,
  ENETUNREACH: outage,
  ENOTFOUND: { ...outage, hint: "this host name is not known" },
  EAI_AGAIN: { ...outage, hint: "host names cannot be looked up now" },
  KafkaJSConnectionClosedError: closed,
  KafkaJSConnectionError: outage,
  KafkaJSRequestTimeoutError: outage,
  KafkaJSBrokerNotFound: outage,
  KafkaJSNoBrokerAvailableError: outage,
  KafkaJSMetadataNotLoaded: outage,
  KafkaJSTopicMetadataNotLoaded: outage,
  KafkaJSStaleTopicMetadataAssignment: outage,
  KafkaJSLockTimeout: outage,
  KafkaJSPartialMessageError: outage,
  KafkaJSTimeout: outage,
  KafkaJSGroupCoordinatorNotFound: {
    ...outage,
    hint: "either no broker can be reached, or the user lacks the ACL for it (Write on the transactional id; Read on the group)",
  },

  // this member of a group
  REBALANCE_IN_PROGRESS: member,
  ILLEGAL_GENERATION: member,
  UNKNOWN_MEMBER_ID: member,

  // this producer
  INVALID_PRODUCER_EPOCH: { reason: "Fenced" },
  PRODUCER_FENCED: { reason: "Fenced" },
  OUT_OF_ORDER_SEQUENCE_NUMBER: spent,
  DUPLICATE_SEQUENCE_NUMBER: spent,
  UNKNOWN_PRODUCER_ID: spent,
  INVALID_PRODUCER_ID_MAPPING: spent,
  INVALID_TXN_STATE: spent,
  TRANSACTION_COORDINATOR_FENCED: spent,

  // these records
  MESSAGE_TOO_LARGE: { reason: "RecordTooLarge" },
  RECORD_LIST_TOO_LARGE: { reason: "RecordTooLarge" },
  INVALID_RECORD: { ...refused, hint: "a compacted topic wants a key in each record" },
  INVALID_TIMESTAMP: { ...refused, hint: "the broker limits how far a timestamp may be from now" },

  // a position
  OFFSET_OUT_OF_RANGE: { reason: "OffsetOutOfRange" },

  // a topic
  UNKNOWN_TOPIC_OR_PARTITION: { reason: "UnknownTopic" },
  INVALID_TOPIC_EXCEPTION: { ...fatal, hint: "this cannot be the name of a topic" },
  INVALID_PARTITIONS: fatal,
  INVALID_REPLICATION_FACTOR: { ...fatal, hint: "there are fewer brokers than replicas" },
  INVALID_CONFIG: fatal,
  POLICY_VIOLATION: fatal,

  // what only a person can put right
  TOPIC_AUTHORIZATION_FAILED: { ...fatal, hint: "the user lacks an ACL on the topic" },
  GROUP_AUTHORIZATION_FAILED: { ...fatal, hint: "the user lacks the ACL Read on the consumer group" },
  CLUSTER_AUTHORIZATION_FAILED: { ...fatal, hint: "the user may write to no topic, or lacks an ACL on the cluster" },
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: { ...fatal, hint: "the user lacks the ACL Write on the transactional id" },
  INVALID_TRANSACTION_TIMEOUT: {
    ...fatal,
    hint: "the broker allows at most transaction.max.timeout.ms, 15 minutes by default",
  },
  INVALID_SESSION_TIMEOUT: {
    ...fatal,
    hint: "the broker wants it between group.min.session.timeout.ms and group.max.session.timeout.ms",
  },
  INVALID_GROUP_ID: fatal,
  GROUP_ID_NOT_FOUND: fatal,
  NON_EMPTY_GROUP: fatal,
  INCONSISTENT_GROUP_PROTOCOL: { ...fatal, hint: "the group has members of another kind of client" },
  GROUP_MAX_SIZE_REACHED: fatal,
  UNSUPPORTED_VERSION: { ...fatal, hint: "this broker is too old or too new for the client" },
  SASL_AUTHENTICATION_FAILED: { ...fatal, hint: "wrong user or password" },
  KafkaJSSASLAuthenticationError: { ...fatal, hint: "wrong user, password or mechanism" },
  UNSUPPORTED_SASL_MECHANISM: { ...fatal, hint: "the listener does not offer this mechanism" },
  ILLEGAL_SASL_STATE: { ...fatal, hint: "the listener does not expect SASL" },
  KafkaJSServerDoesNotSupportApiKey: { ...fatal, hint: "this broker is too old or too new for the client" },
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate,
  SELF_SIGNED_CERT_IN_CHAIN: certificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate,
  UNABLE_TO_GET_ISSUER_CERT: certificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate,
  CERT_HAS_EXPIRED: { ...fatal, hint: "the broker's certificate has expired" },
  ERR_TLS_CERT_ALTNAME_INVALID: { ...fatal, hint: "the broker's certificate is for another host name" },
  EPROTO: { ...fatal, hint: "TLS fails: the listener may not expect it, or ask for a certificate" },
}

/** Codes that kafkajs has no name for. */
const newerCodes: Readonly<Record<string, string>> = { 89: "THROTTLING_QUOTA_EXCEEDED", 90: "PRODUCER_FENCED" }

interface Failure {
  readonly name?: unknown
  readonly type?: unknown
  readonly code?: unknown
  readonly message?: unknown
  readonly retriable?: unknown
  readonly cause?: unknown
  readonly originalError?: unknown
  readonly errors?: ReadonlyArray<unknown>
  readonly groups?: ReadonlyArray<{ readonly error?: unknown }>
  readonly partitions?: ReadonlyArray<{ readonly error?: unknown }>
}

/** An error and what it hides: what it was caused by, and the errors of its parts. */
const unfold = (failure: unknown, depth = 0): ReadonlyArray<Failure> => {
  if (typeof failure !== "object" || failure === null || depth > 8) return []
  const error: Failure = failure
  const parts = [...(error.groups ?? []), ...(error.partitions ?? [])].map((part) => part.error)
  const inner = [error.cause, error.originalError, ...(error.errors ?? []), ...parts]
  return [error, ...inner.flatMap((each) => unfold(each, depth + 1))]
}

const codeOf = ({ code, message, type }: Failure): string | undefined => {
  if (type === "KAFKAJS_UNKNOWN_ERROR_CODE") return newerCodes[/\d+/.exec(String(message))?.[0] ?? ""]
  if (typeof type === "string") return type
  return typeof code === "string" ? code : undefined
}

const isStateException = ({ message }: Failure) =>
  /transaction state exception|ongoing transaction/i.test(String(message))

/** A plain error: kafkajs has taken a broker to which its connection has failed meanwhile, or is under way still. */
const isNotConnected = ({ message }: Failure) => message === "Broker not connected"

/** `doing` says what was tried, and where: "cannot send to …". */
export const toKafkaError = (doing: string, cause: unknown): KafkaError => {
  if (cause instanceof KafkaError) return cause
  const failures = unfold(cause)
  const known = (key: string | undefined): key is string => key !== undefined && key in meanings
  const code = failures.map(codeOf).find(known)
  const name = failures.map((failure) => String(failure.name)).find(known)
  const meaning = meanings[code ?? name ?? ""] ?? {
    reason: failures.some(isStateException)
      ? "ProducerSpent"
      : failures[0]?.retriable === true ||
          failures[0]?.name === "KafkaJSNumberOfRetriesExceeded" ||
          failures.some(isNotConnected)
        ? "Unavailable"
        : "Misconfigured",
  }
  const words = failures.find(
    (failure) => codeOf(failure) === code && failure.name !== "KafkaJSNumberOfRetriesExceeded",
  )
  const says = String(words?.message ?? failures[0]?.message ?? cause)
  return new KafkaError({
    reason: meaning.reason,
    description: `${doing}: ${says}${meaning.hint === undefined ? "" : `: ${meaning.hint}`}`,
    code: code ?? name,
    cause,
  })
}
