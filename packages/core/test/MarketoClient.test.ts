import { HttpClientError, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode, type Marketo, MarketoClient, RequestPolicy } from "@effect-marketo/core"
import { Simulator } from "@effect-marketo/simulator"
import {
  Cause,
  Clock,
  DateTime,
  Duration,
  Effect,
  Exit,
  Fiber,
  Logger,
  Option,
  Random,
  Redacted,
  TestClock,
  Tracer,
} from "effect"
import { flowing, simulated } from "./support/simulated.js"
import { stub, url } from "./support/stub.js"

const types = RequestPolicy.endpoints.activityTypes.path

const ok = '{"requestId":"1#2","success":true,"result":[]}'
const error = (...codes: ReadonlyArray<unknown>) =>
  JSON.stringify({
    requestId: "7a#19",
    success: false,
    errors: codes.map((code) => ({ code, message: "jane@example.com" })),
  })

const get = (path: string = types, query: Readonly<Record<string, string>> = {}, options?: MarketoClient.CallOptions) =>
  Effect.flatMap(MarketoClient.MarketoClient, (client) => client.get(path, query, options))

/** How a call against these replies ends, and how many calls that took. */
const outcome = (replies: Parameters<typeof stub>[0], marketo: Partial<Marketo.Options> = {}) =>
  Effect.gen(function* () {
    const { calls, layer } = yield* stub(replies, marketo)
    const result = yield* flowing(Effect.either(Effect.provide(get(), layer)))
    return { result, calls: (yield* calls).length }
  })

const readText = (path: string) =>
  Effect.promise(async () => (await import("node:fs/promises")).readFile(new URL(path, import.meta.url), "utf8"))

describe("each row of the table of codes", () => {
  for (const row of ErrorCode.table.filter((r) => r.level === "HTTP" || r.level === "Response")) {
    const status = Number(row.code.replace("xx", "02"))
    it.effect(`${row.level} ${row.code}: ${row.action}, ${row.execution}`, () =>
      Effect.gen(function* () {
        const { calls, result } = yield* outcome([row.level === "HTTP" ? status : error(row.code)])
        assert.strictEqual(result._tag, "Left")
        if (result._tag === "Right") return
        const failure = result.left
        const fails = row.action === "Fail" || row.action === "WaitQuota"
        assert.strictEqual(calls, fails ? 1 : row.action === "Reauthenticate" ? 18 : row.action === "RetryFew" ? 3 : 9)
        const expected =
          row.code === "606" || row.code === "607" || row.code === "615"
            ? "MarketoLimited"
            : row.code === "603"
              ? "MarketoUnauthorized"
              : row.action === "Reauthenticate" || (row.level === "HTTP" && row.action !== "Fail")
                ? "MarketoUnavailable"
                : "MarketoRejected"
        assert.strictEqual(failure._tag, expected)
        if (failure._tag === "MarketoRejected") {
          assert.deepStrictEqual(failure.codes, [row.code])
          assert.strictEqual(failure.isRetryable, row.action !== "Fail")
        }
        if (failure._tag === "MarketoRejected" || failure._tag === "MarketoUnavailable") {
          assert.strictEqual(failure.execution, row.execution)
          assert.strictEqual(failure.attempts, calls)
        }
        if (row.level === "Response" && "requestId" in failure)
          assert.deepStrictEqual(failure.requestId, Option.some("7a#19"))
        if (row.level === "Response") {
          assert.include(failure.message, "jane@example.com", "Marketo's own words")
          const replies = [error(row.code)]
          const { result: quiet } = yield* outcome(replies, { vendorMessages: "omit" })
          if (quiet._tag === "Right") return assert.fail("should have failed")
          assert.notInclude(quiet.left.message + JSON.stringify(quiet.left), "jane@example.com")
        }
      }),
    )
    it.effect(
      `${row.level} ${row.code} once: ${row.action === "Fail" || row.action === "WaitQuota" ? "no" : "a"} repeat`,
      () =>
        Effect.gen(function* () {
          const { calls, result } = yield* outcome([row.level === "HTTP" ? status : error(row.code), ok])
          const fails = row.action === "Fail" || row.action === "WaitQuota"
          assert.deepStrictEqual([result._tag, calls], fails ? ["Left", 1] : ["Right", 2])
        }),
    )
  }

  it.effect("Marketo's words are bounded in number and length, and hold no control characters and no secret", () =>
    Effect.gen(function* () {
      const secret = "a-very-secret-secret"
      const said = (message: string) => ({ code: "1003", message })
      const messages = [`\u0000a\tb\r\n\u202ec ${secret}`, ` ${"x".repeat(290)}${secret}`, "3", "4", "5", "6"]
      const reply = JSON.stringify({ requestId: "7a#19", success: false, errors: messages.map(said) })
      const { result } = yield* outcome([reply], { clientSecret: Redacted.make(secret) })
      if (result._tag === "Right" || result.left._tag !== "MarketoRejected") return assert.fail("not refused")
      const [first, second, ...others] = result.left.messages
      assert.strictEqual(first, "a b c (secret)")
      assert.strictEqual(second, `${"x".repeat(290)}(secret)`)
      assert.deepStrictEqual(others, ["3", "4", "5"])
    }),
  )

  it.effect("Marketo's words are in the error and in no span", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      const tracer = yield* Effect.tracer
      const watching = Tracer.make({
        ...tracer,
        span: (...args) => {
          const span = tracer.span(...args)
          const end = span.end.bind(span)
          span.end = (time, exit) => {
            ended.push(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
            end(time, exit)
          }
          return span
        },
      })
      const { result } = yield* Effect.withTracer(outcome([error("1006")]), watching)
      assert.include(result._tag === "Left" ? result.left.message : "", "jane@example.com")
      assert.isTrue(ended.some((text) => text.includes("[1006]")))
      assert.isTrue(ended.every((text) => !text.includes("jane@example.com")))
    }),
  )

  it.effect("a code that is not listed is not repeated", () =>
    Effect.gen(function* () {
      const { calls, result } = yield* outcome([error("799")])
      assert.deepStrictEqual([result._tag, calls], ["Left", 1])
    }),
  )

  it.effect("the table of the package's README is the table in the code", () =>
    Effect.gen(function* () {
      const readme = yield* readText("../README.md")
      for (const { action, because, code, execution, level, meaning } of ErrorCode.table) {
        assert.include(readme, `| ${level} | ${code} | ${meaning} | ${action} | ${execution} | ${because} |`)
      }
      for (const { value } of ErrorCode.unsent) assert.include(readme, `\`${value}\``)
    }),
  )
})

describe("what comes back", () => {
  for (const [what, body] of [
    ["nothing", ""],
    ["no JSON", "<html>maintenance</html>"],
    ["half of it", ok.slice(0, 20)],
    ["a list", "[]"],
    ["a text", '"ok"'],
    ["null", "null"],
    ["no success", '{"requestId":"1#2","result":[]}'],
    ["success as text", '{"success":"true"}'],
    ["no codes", '{"success":false,"errors":[]}'],
    ["no errors", '{"success":false}'],
    ["errors of another shape", '{"success":false,"errors":["601"]}'],
  ] as const) {
    it.effect(`HTTP 200 with ${what} is repeated, then Malformed`, () =>
      Effect.gen(function* () {
        const { calls, result } = yield* outcome([body])
        assert.strictEqual(calls, 9)
        assert.isTrue(
          result._tag === "Left" && result.left._tag === "MarketoUnavailable" && result.left.reason === "Malformed",
        )
        assert.deepStrictEqual((yield* outcome([body, ok])).result._tag, "Right")
      }),
    )
  }

  it.effect("code as a number, message missing", () =>
    Effect.gen(function* () {
      const { calls, result } = yield* outcome(['{"success":false,"errors":[{"code":610}]}'])
      assert.strictEqual(calls, 1)
      assert.deepStrictEqual(result._tag === "Left" && result.left._tag === "MarketoRejected" && result.left.codes, [
        "610",
      ])
    }),
  )

  for (const codes of [
    ["713", "610"],
    ["610", "713"],
  ] as const) {
    it.effect(`codes ${codes}: all are kept, and the one that asks for most care decides`, () =>
      Effect.gen(function* () {
        const { calls, result } = yield* outcome([error(...codes)])
        assert.strictEqual(calls, 1)
        assert.deepStrictEqual(
          result._tag === "Left" && result.left._tag === "MarketoRejected" && result.left.codes,
          codes,
        )
      }),
    )
  }

  for (const [codes, execution] of [
    [["610", "701"], "Unknown"],
    [["701", "610"], "Unknown"],
    [["610", "609"], "NotExecuted"],
  ] as const) {
    it.effect(`codes ${codes}: ${execution}, because each of them must say that nothing was executed`, () =>
      Effect.gen(function* () {
        const { result } = yield* outcome([error(...codes)])
        assert.strictEqual(
          result._tag === "Left" && result.left._tag === "MarketoRejected" && result.left.execution,
          execution,
        )
      }),
    )
  }

  it.effect("attempts counts the calls, that with a new token too", () =>
    Effect.gen(function* () {
      const { calls, result } = yield* outcome([error("601"), error("610")])
      assert.strictEqual(result._tag === "Left" && result.left._tag === "MarketoRejected" && result.left.attempts, 2)
      assert.strictEqual(calls, 2)
    }),
  )

  for (const [warnings, vendorMessages] of [
    ['["no match"]', "include"],
    ['[{"code":1,"message":"no match"}]', "include"],
    ['["no match"]', "omit"],
  ] as const) {
    it.effect(`warnings ${warnings} do not fail the call, and are logged: ${vendorMessages}`, () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.replace(
          Logger.defaultLogger,
          Logger.make((o) => lines.push(Logger.stringLogger.log(o))),
        )
        const { result } = yield* outcome([`{"success":true,"warnings":${warnings},"result":[]}`], {
          vendorMessages,
        }).pipe(Effect.provide(logger))
        assert.strictEqual(result._tag, "Right")
        assert.isTrue(lines.some((line) => line.includes("warnings")))
        assert.strictEqual(
          lines.some((line) => line.includes("no match")),
          vendorMessages === "include",
        )
      }),
    )
  }

  for (const [code, execution, syscall] of [
    ...ErrorCode.unsent.map(({ sign, value }) =>
      sign === "code" ? ([value, "NotExecuted", undefined] as const) : (["ESOME", "NotExecuted", value] as const),
    ),
    ["ECONNRESET", "Unknown", "read"],
    ["ETIMEDOUT", "Unknown", "read"],
    ["EHOSTUNREACH", "Unknown", "write"],
    ["UND_ERR_SOCKET", "Unknown", undefined],
    ["EPIPE", "Unknown", "write"],
  ] as const) {
    const what = syscall === undefined ? code : `${syscall} ${code}`
    it.effect(`${what} is repeated within policy, then one error with endpoint and attempts: ${execution}`, () =>
      Effect.gen(function* () {
        const broken = new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code, syscall }) })
        const { calls, result } = yield* outcome([broken])
        assert.strictEqual(calls, 9)
        assert.strictEqual(result._tag, "Left")
        if (result._tag === "Right" || result.left._tag !== "MarketoUnavailable")
          return assert.fail("not MarketoUnavailable")
        const { attempts, endpoint, execution: executed, reason } = result.left
        assert.deepStrictEqual(
          { attempts, endpoint, reason, executed },
          { attempts: 9, endpoint: types, reason: "Connection", executed: execution },
        )
        assert.include(result.left.message, code)
      }),
    )
  }
})

describe("a request that fails", () => {
  for (const reason of ["Encode", "InvalidUrl"] as const) {
    it.effect(`before it is sent (${reason}) is not repeated: NotExecuted`, () =>
      Effect.gen(function* () {
        const request = HttpClientRequest.get(url)
        const { calls, result } = yield* outcome([new HttpClientError.RequestError({ request, reason })])
        assert.strictEqual(calls, 1)
        assert.strictEqual(
          result._tag === "Left" && result.left._tag === "MarketoUnavailable" && result.left.execution,
          "NotExecuted",
        )
      }),
    )
  }

  for (const [what, others, execution] of [
    ["not sent at any of them", [{ code: "ETIMEDOUT", syscall: "connect" }], "NotExecuted"],
    ["perhaps sent at one of them", [{ code: "ETIMEDOUT", syscall: "read" }], "Unknown"],
    ["at one of them for no known reason", [{}], "Unknown"],
  ] as const) {
    it.effect(`at every address of a host, ${what}, has the code of the first: ${execution}`, () =>
      Effect.gen(function* () {
        const errors = [{ code: "ECONNREFUSED" }, ...others].map((sign) => Object.assign(new Error("connect"), sign))
        // Node gives an AggregateError the code of its first error
        const cause = Object.assign(new AggregateError(errors), { code: "ECONNREFUSED" })
        const { result } = yield* outcome([new TypeError("fetch failed", { cause })])
        assert.deepStrictEqual(
          result._tag === "Left" &&
            result.left._tag === "MarketoUnavailable" && [result.left.code, result.left.execution],
          [Option.some("ECONNREFUSED"), execution],
        )
      }),
    )
  }
})

describe("time", () => {
  it.effect("an attempt has the endpoint's time limit, and repeats follow the policy's delays", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "delay", delay: "1 hour", match: { endpoint: "activityTypes" }, times: 2 })
      const policy: RequestPolicy.RequestPolicy = {
        ...RequestPolicy.general,
        timeout: Duration.seconds(5),
        baseDelay: Duration.seconds(1),
      }
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(get(types, {}, { policy }).pipe(Effect.withRandom(Random.make("seed"))))
      const starts = (yield* simulator.calls)
        .filter((c) => c.endpoint === "activityTypes")
        .map((c) => (c.at - begun) / 1000)
      assert.strictEqual(starts.length, 3)
      const [first = 0, second = 0, third = 0] = starts
      assert.closeTo(second - first, 5 + 1, 0.2 + 1)
      assert.closeTo(third - second, 5 + 2, 0.4 + 1)
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("without jitter the delays are those that the documentation states", () =>
    Effect.sync(() => {
      const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((n) =>
        Duration.toSeconds(RequestPolicy.delay(RequestPolicy.general, n)),
      )
      assert.deepStrictEqual(delays, [0.5, 1, 2, 4, 8, 16, 30, 30])
    }),
  )

  it.effect("the delays are spread by a fifth to either side", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "http", status: 502, match: { endpoint: "activityTypes" }, times: 18 })
      const even = { ...RequestPolicy.general, baseDelay: Duration.seconds(10), maxDelay: Duration.seconds(10) }
      for (const seed of ["one", "two"]) {
        yield* Effect.flip(flowing(get(types, {}, { policy: even }).pipe(Effect.withRandom(Random.make(seed)))))
      }
      const starts = (yield* simulator.calls).filter((c) => c.endpoint === "activityTypes").map((c) => c.at)
      const waits = starts.map((at, i) => at - (starts[i - 1] ?? 0)).filter((_, i) => i % 9 !== 0)
      assert.strictEqual(waits.length, 16)
      assert.isTrue(waits.every((wait) => wait >= 8_000 && wait <= 12_000))
      assert.isAbove(Math.max(...waits), 11_000)
      assert.isBelow(Math.min(...waits), 9_000)
      assert.notDeepEqual(waits.slice(0, 8), waits.slice(8))
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("606 pauses every caller for one window", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "error", code: 606, call: 1 })
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(
        Effect.all([get(), Effect.zipRight(Effect.sleep("3 seconds"), get())], { concurrency: 2, discard: true }),
      )
      const starts = (yield* simulator.calls).filter((c) => c.endpoint === "activityTypes").map((c) => c.at - begun)
      assert.strictEqual(starts.length, 3)
      assert.isTrue(starts.slice(1).every((at) => at >= 20_250))
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("615 backs off", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "error", code: 615, match: { endpoint: "activityTypes" }, times: 3 })
      const begun = yield* Clock.currentTimeMillis
      yield* flowing(get())
      assert.isAtLeast((yield* simulator.calls).at(-1)?.at ?? 0, begun + 0.8 * (500 + 1_000 + 2_000))
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("607 fails with the instant of the reset", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "error", code: 607, call: 1 })
      const failure = yield* Effect.flip(get())
      assert.strictEqual(failure._tag === "MarketoLimited" && failure.reason, "DailyQuota")
      // now is 2026-02-01T00:00Z, the 31st in Chicago: midnight there is 06:00 UTC
      assert.strictEqual(
        failure._tag === "MarketoLimited" && DateTime.formatIso(failure.retryAt),
        "2026-02-01T06:00:00.000Z",
      )
      assert.include(failure.message, "2026-02-01T06:00:00.000Z")
    }).pipe(Effect.provide(simulated())),
  )

  it.effect("607 waits until then, if so configured, and every caller with it", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "error", code: 607, call: 1 })
      const fiber = yield* Effect.fork(
        Effect.all([get(), Effect.zipRight(Effect.sleep("1 minutes"), get())], { concurrency: 2 }),
      )
      yield* TestClock.adjust("359 minutes")
      assert.strictEqual((yield* simulator.calls).filter((c) => c.endpoint === "activityTypes").length, 1)
      yield* TestClock.adjust("2 minutes")
      yield* fiber
      assert.strictEqual((yield* simulator.calls).filter((c) => c.endpoint === "activityTypes").length, 3)
    }).pipe(Effect.provide(simulated({}, { limits: { dailyQuota: "wait" } }))),
  )

  it.effect("607 again just after the reset: asks again within minutes, not a day later", () =>
    Effect.gen(function* () {
      const reset = DateTime.toEpochMillis(DateTime.unsafeMake("2026-02-01T06:00:00Z"))
      yield* TestClock.setTime(reset - 60_000)
      const { calls, layer } = yield* stub([error("607"), error("607"), ok], { limits: { dailyQuota: "wait" } })
      const fiber = yield* Effect.fork(Effect.provide(Effect.zipRight(get(), Clock.currentTimeMillis), layer))
      yield* TestClock.adjust("1 hours")
      assert.strictEqual((yield* calls).length, 3)
      const waited = ((yield* Fiber.join(fiber)) - reset) / 60_000
      assert.isAbove(waited, 1)
      assert.isBelow(waited, 15)
    }),
  )
})

describe("the request", () => {
  for (const path of [
    "",
    "rest/v1/activities/types.json",
    ".example.com/types.json",
    "@example.com/",
    "//example.com/",
  ]) {
    it.effect(`the path "${path}" is refused: it could send the token elsewhere`, () =>
      Effect.gen(function* () {
        const { layer, sent } = yield* stub([ok])
        const refused = yield* Effect.flip(Effect.provide(get(path), layer))
        assert.strictEqual(refused._tag === "MarketoInvalidRequest" && refused.field, "path")
        assert.deepStrictEqual(yield* sent, [])
      }),
    )
  }

  it.effect("an endpoint without a name is named by its path, without the ids in it", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([error("610")])
      const refused = yield* Effect.flip(Effect.provide(get("/rest/v1/lists/1001/leads/318581.json"), layer))
      assert.strictEqual("endpoint" in refused && refused.endpoint, "/rest/v1/lists/:id/leads/:id.json")
      assert.notInclude(refused.message, "318581")
    }),
  )

  it.effect("has the token, Accept and User-Agent in its headers, but no trace headers and no Accept-Encoding", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([ok])
      yield* get().pipe(Effect.provide(layer), Effect.withSpan("outer"))
      const [sent] = yield* calls
      assert.deepStrictEqual(sent?.headers, {
        accept: "application/json",
        authorization: "Bearer secret-token-1:ab",
        "user-agent": `effect-marketo/${JSON.parse(yield* readText("../package.json")).version}`,
      })
      assert.deepStrictEqual([sent?.method, sent?.url, sent?.body], ["GET", `${url}${types}`, undefined])
    }),
  )

  it.effect("values are encoded; commas stay", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([ok])
      yield* Effect.provide(
        get(types, {
          nextPageToken: "A+B/C==",
          fields: "first,last",
          since: "2026-01-01T00:00:00+05:00",
          odd: "a&b=ü #",
        }),
        layer,
      )
      const [sent] = yield* calls
      assert.strictEqual(
        sent?.url,
        `${url}${types}?nextPageToken=A%2BB%2FC%3D%3D&fields=first,last&since=2026-01-01T00%3A00%3A00%2B05%3A00&odd=a%26b%3D%C3%BC%20%23`,
      )
    }),
  )

  it.effect("a query over 7 KB goes as a form", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([ok])
      const long = "x".repeat(7_000)
      yield* Effect.provide(get(types, { nextPageToken: `=${long}`, batchSize: "300" }), layer)
      const [sent] = yield* calls
      assert.deepStrictEqual([sent?.method, sent?.url], ["POST", `${url}${types}?_method=GET`])
      assert.strictEqual(sent?.body, `nextPageToken=%3D${long}&batchSize=300`)
      assert.strictEqual(sent?.headers["content-type"], "application/x-www-form-urlencoded")
    }),
  )

  it.effect("a refused attempt is repeated with all of it", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([502, ok])
      yield* flowing(Effect.provide(get(types, { nextPageToken: "x".repeat(8_000) }), layer))
      const [first, second] = yield* calls
      assert.deepStrictEqual(first, second)
    }),
  )
})

describe("names of calls", () => {
  it.effect("a query or a fragment in the path is refused: it would stand in spans, tags and logs", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* stub([ok])
      for (const path of ["/rest/v1/leads.json?filterValues=jane@example.com", "/rest/v1/leads.json#jane"]) {
        const refused = yield* Effect.flip(Effect.provide(get(path), layer))
        assert.strictEqual(refused._tag, "MarketoInvalidRequest")
        assert.notInclude(refused.message, "jane")
      }
      assert.strictEqual((yield* calls).length, 0)
    }),
  )

  it.effect("values in a path do not name the call, and further names beyond 100 are one name", () =>
    Effect.gen(function* () {
      const { layer } = yield* stub([error("610")])
      const client = yield* Effect.provide(MarketoClient.MarketoClient, layer)
      const nameOf = (path: string) =>
        Effect.map(flowing(Effect.flip(client.get(path, {}))), (failed) =>
          "endpoint" in failed ? failed.endpoint : "",
        )
      assert.strictEqual(yield* nameOf("/rest/v1/lead/jane%40example.com/12.json"), "/rest/v1/lead/:value/:id.json")
      const names = yield* Effect.forEach(
        Array.from({ length: 2_000 }, (_, i) => `/rest/v1/n${i}.json`),
        nameOf,
      )
      assert.strictEqual(new Set(names).size, 100)
      assert.strictEqual(names.at(-1), "other")
      assert.strictEqual(yield* nameOf("/rest/v1/n1.json"), "/rest/v1/n1.json")
    }),
  )

  it.effect("what does not look like a request id or a code is repeated nowhere", () =>
    Effect.gen(function* () {
      const { result } = yield* outcome([
        '{"requestId":"jane@example.com","success":false,"errors":[{"code":"jane doe"},{"code":"610"}]}',
      ])
      assert.strictEqual(result._tag, "Left")
      assert.notInclude(JSON.stringify(result), "jane")
      assert.deepStrictEqual(result._tag === "Left" && result.left._tag === "MarketoRejected" && result.left.codes, [
        "610",
      ])
    }),
  )
})

describe("interruption", () => {
  it.effect("of a waiting call gives its place back", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator.Simulator
      yield* simulator.fault({ fault: "delay", delay: "10 seconds", call: 1 })
      const slow = yield* Effect.fork(get())
      yield* Effect.yieldNow()
      const waiting = yield* Effect.fork(get())
      yield* TestClock.adjust("1 seconds")
      yield* Effect.all([slow, waiting].map((fiber) => fiber.interruptAsFork(slow.id())))
      yield* flowing(get())
      assert.isAtMost((yield* simulator.calls).filter((c) => c.endpoint === "activityTypes").length, 2)
    }).pipe(Effect.provide(simulated({}, { limits: { concurrent: 1 } }))),
  )
})

describe("what is held during a call", () => {
  let log: ReadonlyArray<string> = []
  const hold: MarketoClient.Hold = {
    acquire: Effect.sync(() => {
      log = [...log, "acquire"]
    }),
    release: Effect.sync(() => {
      log = [...log, "release"]
    }),
  }
  const post = Effect.flatMap(MarketoClient.MarketoClient, (client) => client.post(types, "{}", { hold }))

  for (const [what, replies, expected] of [
    ["an answer leaves it", [ok], ["acquire"]],
    [
      "it is let go before each wait",
      [error("606"), error("608"), ok],
      ["acquire", "release", "acquire", "release", "acquire"],
    ],
    ["a token that is refused is such a wait", [error("601"), ok], ["acquire", "release", "acquire"]],
    ["a refusal lets it go", [error("610")], ["acquire", "release"]],
    ["what may have been executed leaves it", [error("608"), 502], ["acquire", "release", "acquire"]],
  ] as const) {
    it.effect(what, () =>
      Effect.gen(function* () {
        log = []
        const { layer } = yield* stub(replies)
        yield* flowing(Effect.either(Effect.provide(post, layer)))
        assert.deepStrictEqual<ReadonlyArray<string>>(log, expected)
      }),
    )
  }

  it.effect(
    "an attempt waits for it inside the limits, and nothing is sent when the call is interrupted meanwhile",
    () =>
      Effect.gen(function* () {
        const { calls, layer } = yield* stub([ok])
        const waiting = Effect.flatMap(MarketoClient.MarketoClient, (client) =>
          client.post(types, "{}", { hold: { ...hold, acquire: Effect.never } }),
        )
        const ended = yield* flowing(Effect.provide(Effect.timeoutOption(waiting, "1 minutes"), layer))
        assert.isTrue(Option.isNone(ended))
        assert.deepStrictEqual(yield* calls, [])
      }),
  )
})
