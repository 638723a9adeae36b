/**
 * Puts the dead letters of `kafka-to-custom-activities.ts` back into its topic, each once: first a look, then with `--run`. Codes of
 * Marketo, or `undecodable`, select; letters that have failed three times are parked.
 *
 *     KAFKA_BROKERS=127.0.0.1:… node --conditions=@effect-marketo/source --import tsx examples/src/redrive.ts [--run] [code …]
 *
 * With `1004` it prints:
 *
 *     dead letters                      100
 *       would be redriven                50
 *       would be parked                   0
 *       redriven or parked before         0
 *       not selected                     50
 *       in doubt, left                    0
 *       only the beginning is there       0
 *     unaccounted for                     0
 */
import { KafkaClient } from "@effect-marketo/kafka"
import { Main } from "@effect-marketo/sink-stdout"
import { Redrive } from "@effect-marketo/source-kafka"
import { Config, Console, Effect } from "effect"
import { table } from "./table.js"

const parkingTopic = "custom-activities.parked"

const args = process.argv.slice(2)
const dryRun = !args.includes("--run")
const codes = args.filter((arg) => arg !== "--run")
const unknown = codes.find((arg) => arg.startsWith("-"))

const redrive = Effect.gen(function* () {
  const kafka = yield* KafkaClient.KafkaClient
  yield* kafka.createTopic({ name: parkingTopic, partitions: 1 })
  const summary = yield* Redrive.run({
    deadLetterTopic: "custom-activities.dead",
    parkingTopic,
    maxAttempts: 3,
    select: codes.length === 0 ? {} : { codes },
    dryRun,
  })
  const { cut, doneBefore, inDoubt, letters, notSelected, parked, redriven } = summary
  yield* Console.log(
    table([
      ["dead letters", letters],
      [dryRun ? "  would be redriven" : "  redriven", redriven],
      [dryRun ? "  would be parked" : "  parked", parked],
      ["  redriven or parked before", doneBefore],
      ["  not selected", notSelected],
      ["  in doubt, left", inDoubt],
      ["  only the beginning is there", cut],
      ["unaccounted for", letters - redriven - parked - doneBefore - notSelected - inDoubt - cut],
    ]),
  )
})

const options =
  unknown === undefined
    ? Effect.void
    : Effect.fail(new Error(`unknown option ${unknown}; usage: redrive.ts [--run] [code …]`))

const program = Effect.provide(
  redrive,
  KafkaClient.layerConfig({ brokers: Config.array(Config.string(), "KAFKA_BROKERS") }),
)

Main.runMain(Effect.zipRight(options, program))
