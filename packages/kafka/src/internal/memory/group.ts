/**
 * A consumer group in memory: its members, which partitions each has, and how far the group is. Nothing waits here: a member
 * takes the next step whenever it is woken.
 */
import type { Progress } from "../consumerProgress.js"
import { deal } from "../deal.js"

export interface Member {
  readonly topic: string
  /** Of the topic. */
  readonly partitions: number
  readonly wake: () => void
  readonly held: Map<number, Progress>
  /** Partitions of which no member can have worked on more than what is committed. */
  readonly clean: Set<number>
  /** Where it began in partitions without a committed offset. */
  readonly starts: Map<number, number>
  assigned: ReadonlySet<number>
  /** Takes part in the rebalance that is going on: nothing is held. */
  hasJoined: boolean
}

export interface Group {
  /** The next offset to read, by topic and partition. */
  readonly committed: Map<string, Map<number, bigint>>
  /** In the order in which they came. */
  readonly members: Set<Member>
  /** Since when it rebalances, in milliseconds; undefined while it is stable. */
  rebalancingSince: number | undefined
}

export const make = (): Group => ({ committed: new Map(), members: new Set(), rebalancingSince: undefined })

export const makeMember = (of: Pick<Member, "topic" | "partitions" | "wake">): Member => ({
  ...of,
  held: new Map(),
  clean: new Set(),
  starts: new Map(),
  assigned: new Set(),
  hasJoined: false,
})

export const wake = ({ members }: Group): void => {
  for (const member of members) member.wake()
}

export const commit = ({ committed }: Group, topic: string, partition: number, next: bigint): void => {
  const offsets = committed.get(topic) ?? new Map<number, bigint>()
  committed.set(topic, offsets.set(partition, next))
}

/** No further claims: it waits for the work on what is claimed. */
export const close = ({ held }: Member): void => {
  for (const progress of [...held.values()]) progress.close()
}

/** Gives up what it holds: it may have been worked on, so whoever reads it next is told. */
export const abandon = ({ clean, held }: Member): void => {
  clean.clear()
  for (const progress of [...held.values()]) {
    progress.lose()
    progress.release()
  }
}

/** Deals the partitions anew when every member has joined. */
const rebalance = (group: Group, now: number): void => {
  group.rebalancingSince ??= now
  for (const member of group.members) {
    member.hasJoined = false
    close(member)
  }
  wake(group)
}

export const add = (group: Group, member: Member, now: number): void => {
  group.members.add(member)
  rebalance(group, now)
}

export const remove = (group: Group, member: Member, now: number): void => {
  group.members.delete(member)
  rebalance(group, now)
}

const dealAll = (group: Group): void => {
  const members = [...group.members]
  const counts = new Map(members.map(({ partitions, topic }) => [topic, partitions]))
  const idOf = (index: number) => `${index}`.padStart(9, "0") // in this order they are dealt to
  const dealt = deal(
    members.map(({ topic }, index) => ({ memberId: idOf(index), topics: [topic], counts })),
    counts,
  )
  for (const [index, member] of members.entries()) {
    member.assigned = new Set(dealt.get(idOf(index))?.[member.topic])
    member.starts.clear()
    for (const partition of member.clean) if (!member.assigned.has(partition)) member.clean.delete(partition)
  }
}

/** Joins if it holds nothing. The last one to join ends the rebalance. */
export const join = (group: Group, member: Member): void => {
  member.hasJoined = member.held.size === 0
  if (![...group.members].every(({ hasJoined }) => hasJoined)) return
  dealAll(group)
  group.rebalancingSince = undefined
  wake(group)
}
