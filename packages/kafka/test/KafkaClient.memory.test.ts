import { describe } from "@effect/vitest"
import { KafkaClient } from "../src/index.js"
import { contract } from "./contract.js"

describe("layerMemory", () =>
  contract({ layer: KafkaClient.layerMemory, transactionTimeout: "20 millis", over: "60 millis" }))
