/**
 * Names made from a subscription, legal for Kafka and different for different subscriptions.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import type { Subscription } from "@effect-marketo/core/Subscription"

/** A topic's name has at most 249 characters; this leaves room for a suffix. */
const MAX_LENGTH = 230

/** Long enough for every use, short enough for a name with a hash. */
export const isPrefix = (text: string): boolean => /^[A-Za-z0-9._-]{1,100}$/.test(text)

const encoder = new TextEncoder()

/**
 * Letters, digits and `-` as they are, any other character as `_` and two hex digits for each of its bytes: `__` remains free
 * to separate parts. No `.`: Kafka takes `a.b` and `a_b` for the same name in its metrics, and refuses the second one.
 */
const escape = (text: string): string =>
  text.replace(/[^A-Za-z0-9-]/gu, (character) =>
    Array.from(encoder.encode(character), (byte) => `_${byte.toString(16).padStart(2, "0")}`).join(""),
  )

/** `prefix__instance__name`, or `prefix__sha256` when that is too long. */
const of = (prefix: string, { instance, name }: Subscription): string => {
  const readable = `${prefix}__${escape(instance)}__${escape(name)}`
  if (readable.length <= MAX_LENGTH) return readable
  return `${prefix}__${createHash("sha256").update(`${instance}/${name}`).digest("hex")}`
}

export const transactionalId = of

export const checkpointTopic = (prefix: string, subscription: Subscription): string =>
  `${of(prefix, subscription)}__checkpoint`
