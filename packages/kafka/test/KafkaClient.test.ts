import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkaClient } from "../src/index.js"
import { contract } from "./contract.js"

describeWithKafka("over a broker", (brokers) =>
  contract({ layer: KafkaClient.layer({ brokers }), transactionTimeout: "2 seconds", over: "6 seconds" }),
)
