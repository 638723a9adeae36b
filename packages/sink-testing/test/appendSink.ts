import { appendFile } from "node:fs/promises"
import { ActivityRecord, ActivitySink } from "@effect-marketo/core"
import { Effect } from "effect"

/** Appends to a file. */
export const layer = (path: string) =>
  ActivitySink.layerFromWrite({
    name: "append",
    write: (records) => Effect.tryPromise(() => appendFile(path, ActivityRecord.toNdjson(records), { flush: true })),
  })
