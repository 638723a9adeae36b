import { mergeConfig } from "vitest/config"
import shared from "../vitest.shared.js"

export default mergeConfig(shared, {
  test: { name: "examples", globalSetup: "@effect-marketo/kafka-broker/GlobalSetup" },
})
