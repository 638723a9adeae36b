import { mergeConfig } from "vitest/config"
import shared from "../../vitest.shared.js"

export default mergeConfig(shared, {
  test: { name: "sink-kafka", globalSetup: "@effect-marketo/kafka-broker/GlobalSetup" },
})
