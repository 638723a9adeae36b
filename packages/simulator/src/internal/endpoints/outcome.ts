/** How a call ends, before it is put into bytes. */

/** The envelope with `success: true`. */
export interface Success {
  readonly _tag: "Success"
  readonly members: Readonly<Record<string, unknown>>
  /** Elements of `result` that are JSON text already. Left out of the envelope by endpoints without pages. */
  readonly elements?: ReadonlyArray<Uint8Array> | undefined
}

export interface VendorError {
  readonly code: string | number
  readonly message?: string
}

/** The envelope with `success: false`. */
export interface Refusal {
  readonly _tag: "Refusal"
  readonly errors: ReadonlyArray<VendorError>
}

/** No envelope at all. */
export interface Plain {
  readonly _tag: "Plain"
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Outcome = Success | Refusal | Plain

export const success = (members: Success["members"], elements?: Success["elements"]): Success => ({
  _tag: "Success",
  members,
  elements,
})

/** By Adobe's tables of error codes; those with values in them are made where the values are. */
const messages: Readonly<Record<string, string>> = {
  "500": "Internal Server error",
  "502": "Bad Gateway",
  "601": "Access token invalid",
  "602": "Access token expired",
  "603": "Access denied",
  "604": "Request time-out",
  "606": "Max rate limit '100' exceeded with in '20' secs",
  "607": "Daily quota reached",
  "608": "API Temporarily Unavailable",
  "609": "Invalid JSON",
  "610": "Requested resource not found",
  "611": "System error",
  "612": "Invalid Content Type",
  "614": "Invalid Subscription",
  "615": "Concurrent access limit '10' reached",
  "702": "No data found for a given search scenario",
  "704": "Invalid date format",
  "709": "Business Rule Violation",
  "713": "Transient Error",
  "1003": "Invalid data",
  "1004": "Lead not found",
  "1013": "Object not found",
  "1017": "Object already exists",
  "1022": "Object in use",
  "1027": "Max Activity Type Limit Reached",
  "1028": "Max field limit reached",
  "1049": "Failed to Create Activity",
}

export const messageOf = (code: string | number): string => messages[code] ?? `Error ${code}`

export const refusal = (code: string, message: string = messageOf(code)): Refusal => ({
  _tag: "Refusal",
  errors: [{ code, message }],
})

export const jsonHeaders = { "content-type": "application/json;charset=UTF-8" }

const reasons: Readonly<Record<number, string>> = {
  413: "Request Entity Too Large",
  414: "Request-URI Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Temporarily Unavailable",
  504: "Gateway Time-out",
}

export const gatewayPage = (status: number): Plain => {
  const title = `${status} ${reasons[status] ?? "Error"}`
  return {
    _tag: "Plain",
    status,
    headers: { "content-type": "text/html" },
    body: `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`,
  }
}
