/**
 * Lets the requests of a kafkajs consumer pass by us. kafkajs has no hook for them, but hands its cluster to the partition assigner.
 */
import type { Broker, Cluster } from "kafkajs"
import type { FetchRequest, Gate } from "./consumerGate.js"
import type { Coordinator, Identity } from "./consumerMembership.js"

type CommitRequest = Parameters<Broker["offsetCommit"]>[0]

export interface Hooks {
  readonly gate: Gate
  /** Of requests to join a group, and to leave it. */
  readonly whenDrained: <A>(send: () => Promise<A>) => Promise<A>
  /** Where kafkajs starts a partition whose offset is out of range. */
  readonly resetOf: (partition: number) => bigint | undefined
  /** Sees when kafkajs joins. */
  readonly watch: (coordinator: Coordinator) => Coordinator
}

/** kafkajs's types leave it out. */
interface Leaving {
  leaveGroup(request: unknown): Promise<unknown>
}

type KafkajsCoordinator = Broker & Coordinator & Leaving

/** With other methods. The broker's own state stays with the broker. */
const override = <A extends object>(broker: A, methods: object): A =>
  Object.create(broker, Object.getOwnPropertyDescriptors(methods)) as A

/** kafkajs commits −1 or −2, which mean the end and the beginning of a partition. An offset says it for all other clients too. */
const withResets = (request: CommitRequest, resetOf: Hooks["resetOf"]): CommitRequest => ({
  ...request,
  topics: request.topics.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map((each) => {
      const reset = Number(each.offset) < 0 ? resetOf(each.partition) : undefined
      return reset === undefined ? each : { ...each, offset: reset.toString() }
    }),
  })),
})

/** Returns what finds the coordinator, for requests of our own: they are not held up by the hooks. */
export const intercept = (cluster: Cluster, groupId: string, hooks: Hooks): (() => Promise<KafkajsCoordinator>) => {
  const findBroker = cluster.findBroker.bind(cluster)
  const findGroupCoordinator = cluster.findGroupCoordinator.bind(cluster)

  cluster.findBroker = async (node) => {
    const broker = await findBroker(node)
    return override(broker, {
      fetch: (request: FetchRequest) =>
        hooks.gate.fetch(request, (changed) => broker.fetch(changed as Parameters<Broker["fetch"]>[0])),
      offsetCommit: (request: CommitRequest) => broker.offsetCommit(withResets(request, hooks.resetOf)),
    })
  }

  const findCoordinator = () => findGroupCoordinator({ groupId }) as Promise<KafkajsCoordinator>

  cluster.findGroupCoordinator = async () => {
    const coordinator = await findCoordinator()
    const watched = hooks.watch(coordinator)
    return override(watched as KafkajsCoordinator, {
      joinGroup: (request: unknown) => hooks.whenDrained(() => watched.joinGroup(request)),
      leaveGroup: (request: unknown) => hooks.whenDrained(() => coordinator.leaveGroup(request)),
      heartbeat: (request: Identity) => hooks.gate.heartbeat(() => watched.heartbeat(request)),
    })
  }

  return findCoordinator
}
