import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "@effect-marketo/core"
import { SkippedPolicy } from "@effect-marketo/source-kafka"

describe("SkippedPolicy", () => {
  it("the table of the README is the table in the code", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8")
    const rows = readme.matchAll(/^\| (\d{3,4}|other) \| ([^|]*?) ?\| (\w+) \|$/gm)
    assert.deepStrictEqual(
      [...rows].map(([, code, meaning, action]) => [code, meaning, action]),
      Object.entries(SkippedPolicy.defaultPolicy).map(([code, action]) => [
        code,
        code === "other" ? "" : ErrorCode.get("Response", code)?.meaning,
        action,
      ]),
    )
  })

  it("of several codes the action that allows least decides", () => {
    const policy = { a: "drop", b: "retry", c: "deadLetter", d: "fail", other: "deadLetter" } as const
    const actionOf = (...codes: ReadonlyArray<string>) => SkippedPolicy.actionOf(policy, codes)
    assert.deepStrictEqual(
      [actionOf("a"), actionOf("a", "b"), actionOf("a", "b", "c"), actionOf("c", "d"), actionOf("?"), actionOf()],
      ["drop", "retry", "deadLetter", "fail", "deadLetter", "deadLetter"],
    )
  })
})
