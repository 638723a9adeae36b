import { describeWithKafka } from "@effect-marketo/kafka-broker/Suite"
import { KafkajsClient } from "../src/index.js"
import { consumerContract } from "./consumerContract.js"
import { contract } from "./contract.js"

describeWithKafka("over a broker", (brokers) => {
  const layer = KafkajsClient.layer({ brokers })

  contract({ layer, transactionTimeout: "2 seconds", over: "6 seconds" })
  consumerContract(layer)
})
