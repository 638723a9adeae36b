import { describe } from "@effect/vitest"
import { KafkaClient } from "../src/index.js"
import { contract } from "./contract.js"

describe("layerMemory", () =>
  contract({ layer: KafkaClient.layerMemory, transactionTimeout: "1 second", over: "1500 millis" }))
