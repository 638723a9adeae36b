/**
 * What a topic is, and what it shall be.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Topic {
  readonly name: string
  /** Number of partitions. */
  readonly partitions: number
  /** Number of replicas of the partition that has the fewest. */
  readonly replicas: number
}

/**
 * Settings of a topic that exists, by Kafka's names such as `max.message.bytes`.
 *
 * @since 0.1.0
 * @category models
 */
export type TopicConfig = Readonly<Record<string, string>>

/**
 * @since 0.1.0
 * @category models
 */
export interface NewTopic {
  readonly name: string
  /** Default: the broker's `num.partitions`. */
  readonly partitions?: number | undefined
  /** Default: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number | undefined
  readonly config?: TopicConfig | undefined
}

/**
 * Kafka's own default of `max.message.bytes`, for where a topic's setting cannot be read.
 *
 * @since 0.1.0
 * @category models
 */
export const defaultMaxMessageBytes = 1_048_588

/**
 * What a setting of a topic has to be, for a program that writes to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Requirement {
  readonly setting: string
  /** A value that will do, as it stands in the advice. */
  readonly value: string
  /** `equals` that value, be `atLeast` as large, or not mention this word. */
  readonly rule: "equals" | "atLeast" | { readonly lacks: string }
  /** What happens otherwise. */
  readonly because: string
}

const timestamps = "records are refused if a clock is off by a minute, or if they are sent again after one"

/**
 * What programs that write need of a topic, by what they do with it.
 *
 * @since 0.1.0
 * @category models
 */
export const requirements = {
  /** Records are written with the time of writing. */
  written: [
    { setting: "message.timestamp.before.max.ms", value: "60000", rule: "atLeast", because: timestamps },
    { setting: "message.timestamp.after.max.ms", value: "60000", rule: "atLeast", because: timestamps },
    { setting: "message.timestamp.difference.max.ms", value: "60000", rule: "atLeast", because: timestamps },
  ],
  /** Some of the records have no key. */
  keyless: [
    {
      setting: "cleanup.policy",
      value: "delete",
      rule: { lacks: "compact" },
      because: "a compacted topic refuses records without a key",
    },
  ],
  /** The newest record is state: it is never deleted, and can always be replaced. */
  state: [
    { setting: "cleanup.policy", value: "delete", rule: "equals", because: "compaction can remove records" },
    { setting: "retention.ms", value: "-1", rule: "equals", because: "a program that rests loses its position" },
    { setting: "retention.bytes", value: "-1", rule: "equals", because: "the newest record can be deleted" },
    { setting: "max.message.bytes", value: "100000", rule: "atLeast", because: "the state may not fit into a record" },
  ],
} as const satisfies Readonly<Record<string, ReadonlyArray<Requirement>>>

const accepts = ({ rule, value }: Requirement, found: string): boolean => {
  if (rule === "equals") return found === value
  return rule === "atLeast" ? Number(found) >= Number(value) : !found.includes(rule.lacks)
}

const inSync = (topic: Topic, config: TopicConfig): ReadonlyArray<string> => {
  const needed = Number(config["min.insync.replicas"] ?? 1)
  return needed <= topic.replicas
    ? []
    : [
        `min.insync.replicas=${needed}, and it has ${topic.replicas} replica${topic.replicas === 1 ? "" : "s"}, so no write is ever acknowledged: set min.insync.replicas=${topic.replicas}, or add replicas`,
      ]
}

/**
 * What is wrong with a topic, in words that name each setting and what to do; empty if nothing is. A setting that the broker does
 * not have is not required. Too few replicas for `min.insync.replicas` are always wrong.
 *
 * @since 0.1.0
 * @category accessors
 */
export const problems = (
  topic: Topic,
  config: TopicConfig,
  required: ReadonlyArray<Requirement>,
): ReadonlyArray<string> => [
  ...inSync(topic, config),
  ...required.flatMap((requirement) => {
    const { because, rule, setting, value } = requirement
    const found = config[setting]
    if (found === undefined || accepts(requirement, found)) return []
    return [`${setting}=${found}, and then ${because}: set ${setting}=${value}${rule === "atLeast" ? " or more" : ""}`]
  }),
]
