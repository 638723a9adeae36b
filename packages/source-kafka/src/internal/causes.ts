/**
 * Why a record is not written, from what Marketo or the way to it has answered.
 */
import type * as CustomActivities from "@effect-marketo/core/CustomActivities"
import * as ErrorCode from "@effect-marketo/core/ErrorCode"
import type * as MarketoError from "@effect-marketo/core/MarketoError"
import * as Option from "effect/Option"
import { SourceError } from "../SourceError.js"
import type { Cause, Entry } from "./batch.js"

/** Marketo refuses all records of a call for one of them, without saying which. */
export const isAboutRecords = (error: MarketoError.MarketoError): boolean =>
  error._tag === "MarketoInvalidRequest" ||
  (error._tag === "MarketoRejected" && error.codes.every((code) => code === "413" || /^1\d{3}$/.test(code)))

export const isTimeout = (error: MarketoError.MarketoError): boolean =>
  error._tag === "MarketoRejected" && error.codes.includes("604")

const codeOf = (error: MarketoError.MarketoError): string => {
  if ("codes" in error) return error.codes.join(",")
  if (error._tag === "MarketoInvalidRequest") return "undecodable"
  const reason = "reason" in error ? error.reason : error._tag
  return "code" in error ? Option.getOrElse(error.code, () => reason) : reason
}

export const ofError = (error: MarketoError.MarketoError, mayBeStored: boolean): Cause => ({
  stage: "TASK_PUT",
  exception: error._tag,
  message: error.message,
  code: codeOf(error),
  requestId: "requestId" in error ? Option.getOrUndefined(error.requestId) : undefined,
  mayBeStored,
})

export const ofSkipped = ({ codes, requestId }: CustomActivities.Skipped): Cause => ({
  stage: "TASK_PUT",
  exception: "Skipped",
  message: codes
    .map(({ code }) => `[${code}] ${ErrorCode.get("Response", code)?.meaning ?? "not in Marketo's list of codes"}`)
    .join("; "),
  code: codes.map(({ code }) => code).join(","),
  requestId: Option.getOrUndefined(requestId),
  mayBeStored: false,
})

export const refused = ({ record: { offset, partition, topic } }: Entry, { message }: Cause): SourceError =>
  new SourceError({
    reason: "Refused",
    description: `Marketo skipped the record at offset ${offset} of partition ${partition} of topic ${topic}: ${message}. The policy for such records is to fail`,
  })
