/**
 * Deals the partitions of a group as its leader.
 *
 * kafkajs's own assigner deals the leader's topics to all members, whatever they read. A leader knows only the topics that it
 * reads itself, so each member says in its subscription how many partitions its topics have.
 */
import type { Assigner, Cluster } from "kafkajs"
import { deal, type Subscriber } from "../deal.js"
import { AssignerProtocol } from "./connection.js"

const encodeCounts = (counts: ReadonlyMap<string, number>) => Buffer.from(JSON.stringify([...counts]))

/** More than any topic has: a larger number would keep the leader busy for nothing. */
const MAX_PARTITIONS = 100_000

/** Another client may have put anything there. */
const decodeCounts = (userData: Buffer): ReadonlyMap<string, number> => {
  try {
    const entries = JSON.parse(userData.toString()) as ReadonlyArray<readonly [string, number]>
    return new Map(entries.filter(([, count]) => Number.isInteger(count) && count <= MAX_PARTITIONS))
  } catch {
    return new Map()
  }
}

const toSubscriber = (member: { readonly memberId: string; readonly memberMetadata: Buffer }): Subscriber => {
  const metadata = AssignerProtocol.MemberMetadata.decode(member.memberMetadata)
  return {
    memberId: member.memberId,
    topics: metadata?.topics ?? [],
    counts: decodeCounts(metadata?.userData ?? Buffer.alloc(0)),
  }
}

/**
 * Has the name of kafkajs's own assigner, so that members that run kafkajs without us can be in the same group. `countOf` looks
 * up a topic of such a member; 0 if it cannot be looked up.
 */
export const make = (cluster: Cluster, countOf: (topic: string) => Promise<number>): Assigner => {
  const name = "RoundRobinAssigner"
  const version = 0
  const known = (topics: ReadonlyArray<string>) =>
    new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]))

  return {
    name,
    version,
    assign: async ({ members, topics }) => {
      const subscribers = members.map(toSubscriber)
      const counts = new Map<string, number>()
      for (const subscriber of subscribers) {
        // a member that has noticed new partitions knows better than one that has not
        for (const [topic, count] of subscriber.counts) counts.set(topic, Math.max(count, counts.get(topic) ?? 0))
      }
      // kafkajs has just looked up the topics of the leader
      for (const [topic, count] of known(topics)) counts.set(topic, count)
      for (const topic of new Set(subscribers.flatMap((subscriber) => subscriber.topics))) {
        if (!counts.has(topic)) counts.set(topic, await countOf(topic))
      }
      return [...deal(subscribers, counts)].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
      }))
    },
    protocol: ({ topics }) => ({
      name,
      metadata: AssignerProtocol.MemberMetadata.encode({ version, topics, userData: encodeCounts(known(topics)) }),
    }),
  }
}
