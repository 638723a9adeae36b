/**
 * The headers of a record, one after the other, from what is written and to what is read.
 */
import type { ConsumerRecord, HeaderValue, ProducerRecord } from "../KafkaRecord.js"

export type Headers<Value> = ReadonlyArray<readonly [name: string, value: Value]>

export const toList = (headers: NonNullable<ProducerRecord["headers"]>): Headers<HeaderValue> =>
  Object.entries(headers).flatMap(([name, values]) =>
    values === null || typeof values === "string" || values instanceof Uint8Array
      ? [[name, values] as const]
      : values.map((value) => [name, value] as const),
  )

/** Without a prototype: a header may be called `constructor` or `__proto__`. */
export const fromList = (headers: Headers<Uint8Array | null>): ConsumerRecord["headers"] => {
  const lists: Record<string, Array<Uint8Array | null>> = Object.create(null)
  for (const [name, value] of headers) {
    const list = lists[name]
    if (list === undefined) lists[name] = [value]
    else list.push(value)
  }
  return lists
}
