/** What node-marketo-rest has of activities and around them, against the simulator at argv[2]. One line of JSON for each call. */
const assert = require("node:assert")
const { createRequire } = require("node:module")

const [, , url, clientId, clientSecret] = process.argv
const Marketo = createRequire(`${process.cwd()}/`)("node-marketo-rest")
const marketo = new Marketo({ endpoint: `${url}/rest`, identity: `${url}/identity`, clientId, clientSecret })

const calls = {
  "activities.getActivityTypes": async () => {
    const { result } = await marketo.activities.getActivityTypes()
    assert.deepStrictEqual(result.find(({ id }) => id === 100001)?.name, "Rent Kayak")
  },
  "lead.find": async () => {
    const { result } = await marketo.lead.find("id", [100000, 100001], { fields: ["firstName", "email"] })
    assert.deepStrictEqual(
      result.map(({ email, id }) => [id, email]),
      [100000, 100001].map((id) => [id, `lead.${id}@example.com`]),
    )
  },
  "stats.usage": async () => {
    const { result } = await marketo.stats.usage()
    assert.deepStrictEqual(Object.keys(result[0]), ["date", "total", "users"])
  },
  "stats.usageLast7Days": async () => assert.strictEqual((await marketo.stats.usageLast7Days()).result.length, 7),
  "stats.errors": async () => assert.strictEqual((await marketo.stats.errors()).result.length, 1),
  "stats.errorsLast7Days": async () => assert.strictEqual((await marketo.stats.errorsLast7Days()).result.length, 7),
  "bulkActivityExtract.create": async () => {
    const createdAt = { startAt: "2026-01-01T00:00:00Z", endAt: "2026-01-31T00:00:00Z" }
    await marketo.bulkActivityExtract.create({ createdAt })
  },
  "an unknown field is its error": async () => {
    const error = await marketo.lead.find("id", [100000], { fields: ["shoeSize"] }).then(
      () => assert.fail("should have failed"),
      (error) => error,
    )
    assert.deepStrictEqual(error.errors, [{ code: "1006", message: "Field 'shoeSize' not found" }])
  },
}

const run = async () => {
  for (const [call, ask] of Object.entries(calls)) {
    const result = await ask().then(
      () => "passes",
      ({ errors: [first] = [], message }) =>
        `fails: ${first === undefined ? message : `${first.code}: ${first.message}`}`,
    )
    console.log(JSON.stringify({ call, result }))
  }
}

run()
