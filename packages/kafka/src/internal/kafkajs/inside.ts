/**
 * The one place that reaches inside kafkajs. It has no door for what we have to change, but a `Kafka` makes its clusters by a method
 * behind a symbol, and a cluster makes its brokers by a method of its pool. Only the objects of our own clients are touched: a
 * program that uses kafkajs beside this package notices nothing. If the method is missing, as in another release of kafkajs, nothing
 * starts.
 */
import type { Kafka, Broker as Typed } from "kafkajs"

/** How a request is written, and how its answer is read. */
export interface Exchange {
  readonly request: { readonly apiVersion: number; readonly encode: () => Promise<unknown> }
  readonly response: {
    readonly decode: (bytes: Buffer) => Promise<unknown>
    readonly parse: (answer: never) => Promise<unknown>
  }
}

/** Of the version that both kafkajs and the broker speak. */
export type Protocol = (parameters: never) => Exchange

export interface Broker extends Omit<Typed, "metadata"> {
  lookupRequest: (apiKey: number, definition: unknown) => Protocol
  metadata: (topics?: ReadonlyArray<string>) => Promise<unknown>
}

export interface Cluster {
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  /** Loads what is known of the topic. */
  readonly addTargetTopic: (topic: string) => Promise<void>
  /** By the id of their leader. */
  readonly findLeaderForPartitions: (
    topic: string,
    partitions: ReadonlyArray<number>,
  ) => Readonly<Record<string, ReadonlyArray<number>>>
  readonly findBroker: (of: { readonly nodeId: string }) => Promise<Broker>
  readonly brokerPool: { createBroker: (options: unknown) => Broker }
}

export interface ClusterOptions {
  readonly allowAutoTopicCreation: boolean
  readonly isolationLevel?: number | undefined
}

export type CreateCluster = (options: ClusterOptions) => Cluster

/** Changes every broker that `kafka` makes from now on. Gives the method that makes a cluster. */
export const onEachBroker = (
  kafka: Kafka,
  change: (broker: Broker, options: ClusterOptions) => Broker,
): CreateCluster => {
  const name = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === "private:Kafka:createCluster",
  )
  if (name === undefined) throw new Error("this version of kafkajs is not supported: install 2.2.4")
  const internals = kafka as unknown as Record<symbol, CreateCluster>
  const createCluster = internals[name] as CreateCluster
  const changed: CreateCluster = (options) => {
    const cluster = createCluster(options)
    const { createBroker } = cluster.brokerPool
    cluster.brokerPool.createBroker = (each) => change(createBroker(each), options)
    return cluster
  }
  internals[name] = changed
  return changed
}
