/**
 * Deals the partitions of a group to its members, round robin, each topic to those that have subscribed to it.
 */

export interface Subscriber {
  readonly memberId: string
  readonly topics: ReadonlyArray<string>
  /** How many partitions they have. Empty for a member that runs another client. */
  readonly counts: ReadonlyMap<string, number>
}

/** Topics as keys: "constructor" is the legal name of one. */
type Partitions = Record<string, Array<number>>

/** The partitions of each topic, by member. The order does not depend on who leads, so no partition moves without a reason. */
export const deal = (
  subscribers: ReadonlyArray<Subscriber>,
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, Partitions> => {
  const members = [...subscribers].sort((one, other) => (one.memberId < other.memberId ? -1 : 1))
  const topics = [...new Set(members.flatMap(({ topics }) => topics))].sort()
  const dealt = new Map(members.map(({ memberId }) => [memberId, Object.create(null) as Partitions]))
  let turn = 0
  for (const topic of topics) {
    for (let partition = 0; partition < (counts.get(topic) ?? 0); partition++) {
      while (!members[turn % members.length]?.topics.includes(topic)) turn++
      const own = dealt.get(members[turn++ % members.length]?.memberId ?? "") as Partitions
      own[topic] = [...(own[topic] ?? []), partition]
    }
  }
  return dealt
}
