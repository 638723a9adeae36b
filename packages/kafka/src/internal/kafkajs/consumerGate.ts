/**
 * Stands between kafkajs and the brokers when it fetches or sends a heartbeat.
 *
 * A partition of which a batch is held is left out of a fetch. So nothing has to be paused, nothing comes twice when a leader
 * moves, and no partition holds up another. (With `pause`, kafkajs would sleep for `maxWaitTime` once all partitions are paused.)
 */
import type { Assignment } from "./consumerAssignment.js"
import type { Membership } from "./consumerMembership.js"

export interface Settings {
  readonly assignment: Assignment
  readonly membership: Membership
  /** How long a broker may wait for new records, in milliseconds. */
  readonly maxWait: number
  /** A broker does not have the offset that was asked for. Answers whether kafkajs may reset it. */
  readonly onOutOfRange: (partition: number, position: bigint) => Promise<boolean>
}

export interface FetchRequest {
  readonly maxWaitTime?: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{ readonly partition: number; readonly fetchOffset: string }>
  }>
}

interface FetchResponse {
  readonly responses: ReadonlyArray<unknown>
}

export interface Gate {
  readonly fetch: (
    request: FetchRequest,
    send: (request: FetchRequest) => Promise<FetchResponse>,
  ) => Promise<FetchResponse>
  readonly heartbeat: (send: () => Promise<unknown>) => Promise<unknown>
}

const nothing: FetchResponse = { responses: [] }

/** The same while a batch is held: when it is settled, its partition can be asked for only after the answer to the others. */
const SHORT_WAIT = 50

export const make = ({ assignment, maxWait, membership, onOutOfRange }: Settings): Gate => {
  const { changed, halted, isBusy, isHeld, standing } = assignment

  const withoutHeld = (topics: FetchRequest["topics"]) =>
    topics
      .map((each) => ({ ...each, partitions: each.partitions.filter(({ partition }) => !isHeld(partition)) }))
      .filter(({ partitions }) => partitions.length > 0)

  const waitForChange = async () => {
    await changed.wait(maxWait)
    return nothing
  }

  const throwIfMustJoin = () => {
    const now = standing()
    if (now._tag === "MustJoin") throw now.error
    return nothing
  }

  const isForKafkajs = async (error: unknown, topics: FetchRequest["topics"]): Promise<boolean> => {
    const { name, partition } = error as { readonly name?: unknown; readonly partition?: unknown }
    const asked = topics.flatMap(({ partitions }) => partitions).find((each) => each.partition === partition)
    if (name !== "KafkaJSOffsetOutOfRange" || asked === undefined) return true
    return onOutOfRange(asked.partition, BigInt(asked.fetchOffset))
  }

  return {
    fetch: async (request, send) => {
      throwIfMustJoin()
      const topics = standing()._tag === "Reading" ? withoutHeld(request.topics) : []
      if (topics.length === 0) return waitForChange()
      const maxWaitTime = isBusy() ? SHORT_WAIT : maxWait
      try {
        return await halted.race(send({ ...request, topics, maxWaitTime }), throwIfMustJoin)
      } catch (error) {
        if (await isForKafkajs(error, topics)) throw error
        return waitForChange()
      }
    },
    heartbeat: async (send) => {
      // it would be answered after the join, and refused; the request to join keeps the member alive
      if (membership.isJoining()) return
      // kafkajs sends nothing else before the answer, not even the request to join
      await halted.race(send(), throwIfMustJoin)
    },
  }
}
