/**
 * Puts the dead letters of `kafka-to-custom-activities.ts` back into its topic, each once: first a look, then with `--run`. Codes of
 * Marketo, or `undecodable`, select, and so do types of activities and the time when the letters were written; letters that have
 * been read three times go to a topic of their own.
 *
 *     KAFKA_BROKERS=127.0.0.1:… node --conditions=@effect-marketo/source --import tsx examples/src/redrive.ts \
 *       [--run] [--type id] [--from time] [--until time] [code …]
 *
 * With `1004` it prints:
 *
 *     dead letters                   100
 *       would be redriven             50
 *         1004, type 100001           50
 *       attempts exhausted             0
 *       done before                    0
 *       not selected                  50
 *         undecodable, type unknown   50
 *       in doubt, left                 0
 *       only the beginning is there    0
 *       cannot go back, left           0
 */
import { parseArgs } from "node:util"
import { KafkaClient, KafkajsClient } from "@effect-marketo/kafka"
import { Main } from "@effect-marketo/sink-stdout"
import { Redrive } from "@effect-marketo/source-kafka"
import { Config, Console, DateTime, Effect, Option } from "effect"
import { table } from "./table.js"

const exhaustedTopic = "custom-activities.exhausted"

const wrong = (what: string) =>
  new Error(`${what}; usage: redrive.ts [--run] [--type id] [--from time] [--until time] [code …]`)

const parsed = Effect.try({
  try: () =>
    parseArgs({
      allowPositionals: true,
      options: {
        run: { type: "boolean", default: false },
        type: { type: "string", multiple: true },
        from: { type: "string" },
        until: { type: "string" },
      },
    }),
  // Node's advice after that is for other programs
  catch: (cause) => wrong((cause as Error).message.split(/\.\s/)[0] ?? ""),
})

const typeId = (text: string) =>
  /^[1-9]\d{0,14}$/.test(text)
    ? Effect.succeed(Number(text))
    : Effect.fail(wrong(`--type must be the id of an activity type, such as 100001, not ${text || "nothing"}`))

/** A day is the beginning of it, in UTC; a time without a zone could be any of 24. */
const ISO = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

const instant = (option: string, text: string | undefined) => {
  if (text === undefined) return Effect.succeed(undefined)
  const day = ISO.exec(text)?.[1]
  return Option.match(day === undefined ? Option.none() : Option.all([DateTime.make(day), DateTime.make(text)]), {
    onSome: ([midnight, time]) =>
      DateTime.formatIsoDateUtc(midnight) === day ? Effect.succeed(time) : notATime(option, text),
    onNone: () => notATime(option, text),
  })
}

const notATime = (option: string, text: string) =>
  Effect.fail(
    wrong(`${option} must be a time with its zone, such as 2026-02-01T12:00:00Z, or a day, not ${text || "nothing"}`),
  )

const settings = Effect.gen(function* () {
  const { positionals, values } = yield* parsed
  const from = yield* instant("--from", values.from)
  const until = yield* instant("--until", values.until)
  if (from !== undefined && until !== undefined && DateTime.greaterThanOrEqualTo(from, until)) {
    return yield* Effect.fail(wrong("--from must be before --until"))
  }
  return {
    dryRun: !values.run,
    select: {
      codes: positionals.length === 0 ? undefined : positionals,
      activityTypeIds: values.type && (yield* Effect.forEach(values.type, typeId)),
      from,
      until,
    },
  }
})

const nameOf = ({ activityTypeId, codes }: Redrive.Group) =>
  `${codes.join(" and ")}, type ${Option.getOrElse(activityTypeId, () => "unknown")}`

/** A count, and below it what it is made of. */
const rows = (name: string, summary: Redrive.Summary, count: Exclude<keyof Redrive.Counts, "letters">) => [
  [`  ${name}`, summary[count]] as const,
  ...summary.groups.filter((group) => group[count] > 0).map((group) => [`    ${nameOf(group)}`, group[count]] as const),
]

const redrive = ({ dryRun, select }: Effect.Effect.Success<typeof settings>) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaClient.KafkaClient
    yield* kafka.createTopic({ name: exhaustedTopic, partitions: 1 })
    const summary = yield* Redrive.run({
      topic: "custom-activities",
      deadLetterTopic: "custom-activities.dead",
      exhaustedTopic,
      maxAttempts: 3,
      select,
      dryRun,
    })
    yield* Console.log(
      table([
        ["dead letters", summary.letters],
        ...rows(dryRun ? "would be redriven" : "redriven", summary, "redriven"),
        ...rows("attempts exhausted", summary, "exhausted"),
        ...rows("done before", summary, "doneBefore"),
        ...rows("not selected", summary, "notSelected"),
        ...rows("in doubt, left", summary, "inDoubt"),
        ...rows("only the beginning is there", summary, "cut"),
        ...rows("cannot go back, left", summary, "unroutable"),
      ]),
    )
  })

const kafka = KafkajsClient.layerConfig({ brokers: Config.array(Config.string(), "KAFKA_BROKERS") })

Main.runMain(Effect.flatMap(settings, (of) => Effect.provide(redrive(of), kafka)))
