import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkajsClient } from "../src/index.js"
import { contract } from "./contract.js"

describeWithKafka("over a broker", (brokers) =>
  contract({ layer: KafkajsClient.layer({ brokers }), transactionTimeout: "2 seconds", over: "6 seconds" }),
)
