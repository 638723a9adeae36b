import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { KafkaMessage } from "kafkajs"
import type { ConsumerRecord } from "../../KafkaRecord.js"
import { fromList } from "../headers.js"
import type { Message } from "./fetch.js"

/** Milliseconds; brokers may take any number, such as one of nanoseconds. */
const MAX_TIME = 8.64e15

const timeOf = ({ timestamp }: Message): DateTime.Utc =>
  DateTime.unsafeMake(Math.max(-MAX_TIME, Math.min(timestamp, MAX_TIME)))

/** kafkajs hands on what our own decoder has given it. */
export const messageOf = (message: KafkaMessage): Message => message as unknown as Message

export const fromMessage = (topic: string, partition: number, message: Message): ConsumerRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  timestamp: timeOf(message),
  key: Option.fromNullable(message.key),
  value: Option.fromNullable(message.value),
  headers: fromList(message.headers),
  ...(message.unreadable === undefined ? {} : { unreadable: message.unreadable }),
})
