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
import type { Broker, Exchange } from "./inside.js"

type Request = Exchange["request"]
type Response = Exchange["response"]

interface Answer {
  readonly topicMetadata: ReadonlyArray<{ readonly topicErrorCode: number }>
}

/** kafkajs writes `null`, which is all topics. An empty list is none. The list comes first in the request. */
const ofNoTopics = (request: Request): Request => ({
  ...request,
  encode: async () => {
    const encoded = (await request.encode()) as { readonly buffer: Buffer }
    encoded.buffer.writeInt32BE(0)
    return encoded
  },
})

/** Leaves out topics with errors, unless no topic is left; then it is the error that kafkajs makes of it. */
const ofHealthyTopics = (response: Response): Response => ({
  ...response,
  parse: async (answer: Answer) => {
    const topicMetadata = answer.topicMetadata.filter(({ topicErrorCode }) => topicErrorCode === 0)
    return topicMetadata.length === 0 ? response.parse(answer as never) : { ...answer, topicMetadata }
  },
})

/** Changes the broker. `isReader` if it belongs to a consumer or to a reader. */
export const ofNamedTopicsOnly = (broker: Broker, isReader: boolean): Broker => {
  const { metadata } = broker
  broker.metadata = (topics = []) => {
    const lookupRequest: Broker["lookupRequest"] = (apiKey, definition) => (of) => {
      const exchange = broker.lookupRequest(apiKey, definition)(of)
      return {
        ...exchange,
        request: topics.length === 0 ? ofNoTopics(exchange.request) : exchange.request,
        response: isReader ? exchange.response : ofHealthyTopics(exchange.response),
      }
    }
    return metadata.call(Object.create(broker, { lookupRequest: { value: lookupRequest } }), topics)
  }
  return broker
}
