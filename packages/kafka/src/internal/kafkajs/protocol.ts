/**
 * Records to and from bytes are ours: what a fetch brings is decoded here, and what is sent is encoded here. kafkajs asks brokers,
 * tries again and keeps the groups.
 */
import * as fetch from "./fetch.js"
import type { Broker, Protocol } from "./inside.js"
import * as produce from "./produce.js"

const PRODUCE = 0
const FETCH = 1

const encoding =
  (protocol: Protocol): Protocol =>
  (parameters: produce.Request) => {
    const exchange = protocol(parameters as never)
    if (!produce.isWritable(exchange.request.apiVersion)) return exchange
    const encode = async () => {
      const buffer = await produce.encode(parameters)
      return { buf: buffer, buffer } // as much as kafkajs wants of its own encoder
    }
    return { ...exchange, request: { ...exchange.request, encode } }
  }

const decoding =
  (protocol: Protocol, maxDecompressedBytes: number): Protocol =>
  (parameters) => {
    const exchange = protocol(parameters)
    const { apiVersion } = exchange.request
    if (!fetch.isReadable(apiVersion)) return exchange
    const decode = (bytes: Buffer) => fetch.decode(bytes, apiVersion, maxDecompressedBytes)
    return { ...exchange, response: { ...exchange.response, decode } }
  }

/** Changes the broker. A batch of records may take `maxDecompressedBytes` unpacked. */
export const takeOver = (broker: Broker, maxDecompressedBytes: number): Broker => {
  let found = broker.lookupRequest
  const lookupRequest: Broker["lookupRequest"] = (apiKey, definition) => {
    const protocol = found(apiKey, definition)
    if (apiKey === PRODUCE) return encoding(protocol)
    return apiKey === FETCH ? decoding(protocol, maxDecompressedBytes) : protocol
  }
  return Object.defineProperty(broker, "lookupRequest", {
    get: () => lookupRequest,
    // kafkajs sets it anew whenever it connects
    set: (lookup: Broker["lookupRequest"]) => {
      found = lookup
    },
  })
}
