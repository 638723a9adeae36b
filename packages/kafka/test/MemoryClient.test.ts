import { describe } from "@effect/vitest"
import { MemoryClient } from "../src/index.js"
import { consumerContract } from "./consumerContract.js"
import { contract } from "./contract.js"

describe("in memory", () => {
  contract({ layer: MemoryClient.layer, transactionTimeout: "1 second", over: "1500 millis" })
  consumerContract(MemoryClient.layer)
})
