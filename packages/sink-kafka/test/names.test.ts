import { assert, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as names from "../src/internal/names.js"

const part = FastCheck.oneof(
  FastCheck.string({ minLength: 1, maxLength: 200, unit: "grapheme" }),
  FastCheck.string({ minLength: 1, maxLength: 5, unit: FastCheck.constantFrom("_", "-", ".", "a", "5", "f") }),
)
const subscription = FastCheck.record({ instance: part, name: part })

it.prop("names are legal for Kafka, and never two that its metrics cannot tell apart", [subscription], ([one]) => {
  for (const name of [names.checkpointTopic("marketo", one), names.transactionalId("marketo", one)]) {
    assert.match(name, /^[A-Za-z0-9_-]{1,249}$/)
  }
})

it.prop("different subscriptions have different names", [subscription, subscription], ([one, other]) => {
  const isSame = one.instance === other.instance && one.name === other.name
  assert.strictEqual(names.checkpointTopic("p", one) === names.checkpointTopic("p", other), isSame)
})

it("names can be read", () => {
  const subscription = { instance: "123-ABC-456", name: "opens and clicks" }
  assert.strictEqual(names.transactionalId("marketo", subscription), "marketo__123-ABC-456__opens_20and_20clicks")
  assert.strictEqual(
    names.checkpointTopic("marketo", subscription),
    "marketo__123-ABC-456__opens_20and_20clicks__checkpoint",
  )
  const long = names.transactionalId("marketo", { ...subscription, name: "ö".repeat(200) })
  assert.match(long, /^marketo__[0-9a-f]{64}$/)
})
