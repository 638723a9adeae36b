/**
 * Makes the metadata of a topic matter only to calls that name this topic.
 *
 * A producer or admin of kafkajs asks for the metadata of all topics of the cluster before it names any, and of all topics
 * it ever used afterwards. One partition without a leader, or one topic that was deleted, in any of them then fails the
 * call. kafkajs has no option for this, so each of its clients gets brokers whose `metadata` is replaced.
 *
 * Consumers keep the error of a partition without a leader: they have to learn the new leader, and would otherwise not ask
 * again for five minutes.
 */
import type { Kafka } from "kafkajs"

interface TopicMetadata {
  readonly topicErrorCode: number
}

interface Answer {
  readonly topicMetadata: ReadonlyArray<TopicMetadata>
}

// what kafkajs does not type

interface Request {
  readonly encode: () => Promise<{ readonly buffer: Buffer }>
}

interface Response {
  readonly parse: (answer: Answer) => Promise<Answer>
}

type Protocol = (of: unknown) => { readonly request: Request; readonly response: Response }

interface Broker {
  readonly lookupRequest: (apiKey: number, definition: unknown) => Protocol
  metadata: (topics?: ReadonlyArray<string>) => Promise<Answer>
}

interface Cluster {
  readonly brokerPool: { createBroker: (options: unknown) => Broker }
}

type CreateCluster = (options: { readonly isolationLevel?: unknown }) => Cluster

/** kafkajs writes `null`, which is all topics. An empty list is none. The list comes first in the request. */
const ofNoTopics = (request: Request): Request => ({
  ...request,
  encode: async () => {
    const encoded = await request.encode()
    encoded.buffer.writeInt32BE(0)
    return encoded
  },
})

/** Leaves out topics with errors, unless no topic is left; then it is the error that kafkajs makes of it. */
const ofHealthyTopics = (response: Response): Response => ({
  ...response,
  parse: async (answer) => {
    const topicMetadata = answer.topicMetadata.filter(({ topicErrorCode }) => topicErrorCode === 0)
    return topicMetadata.length === 0 ? response.parse(answer) : { ...answer, topicMetadata }
  },
})

const watch = (broker: Broker, isConsumer: boolean): Broker => {
  const { metadata } = broker
  broker.metadata = (topics = []) => {
    const lookupRequest: Broker["lookupRequest"] = (apiKey, definition) => (of) => {
      const { request, response } = broker.lookupRequest(apiKey, definition)(of)
      return {
        request: topics.length === 0 ? ofNoTopics(request) : request,
        response: isConsumer ? response : ofHealthyTopics(response),
      }
    }
    return metadata.call(Object.create(broker, { lookupRequest: { value: lookupRequest } }), topics)
  }
  return broker
}

/** Changes `kafka`; throws if it is a version of kafkajs that makes its clients in another way. */
export const ofNamedTopicsOnly = (kafka: Kafka): Kafka => {
  const name = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === "private:Kafka:createCluster",
  )
  if (name === undefined) throw new Error("this version of kafkajs is not supported: it has no createCluster")
  const internals = kafka as unknown as Record<symbol, CreateCluster>
  const createCluster = internals[name] as CreateCluster
  internals[name] = (options) => {
    const cluster = createCluster(options)
    const { createBroker } = cluster.brokerPool
    // only consumers have an isolation level
    const isConsumer = options.isolationLevel !== undefined
    cluster.brokerPool.createBroker = (each) => watch(createBroker(each), isConsumer)
    return cluster
  }
  return kafka
}
