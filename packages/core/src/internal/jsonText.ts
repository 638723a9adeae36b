/**
 * Finds values inside the bytes of JSON without changing one of them. Nothing here throws or hangs on bytes that are not JSON:
 * what does not follow its structure is `undefined`. In UTF-8 no byte of another character looks like one of these.
 */
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const SPACE = 0x20

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** From the opening quote to the index after the closing one. */
const endOfString = (json: Uint8Array, start: number): number => {
  let i = start + 1
  for (; i < json.length; i++) {
    const c = json[i]
    if (c === QUOTE) break
    if (c === BACKSLASH) i++
  }
  return i + 1
}

/** From the first byte of a value to the index after its last. */
const endOfValue = (json: Uint8Array, start: number): number => {
  const first = json[start]
  if (first === QUOTE) return endOfString(json, start)
  let i = start
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    for (; i < json.length; i++) {
      const c = json[i] as number
      if (c === COMMA || c === CLOSE_BRACE || c === CLOSE_BRACKET || c <= SPACE) break
    }
    return i
  }
  for (let depth = 0; i < json.length; i++) {
    const c = json[i]
    if (c === QUOTE) i = endOfString(json, i) - 1
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) depth++
    else if ((c === CLOSE_BRACE || c === CLOSE_BRACKET) && --depth === 0) break
  }
  return i + 1
}

const skipBlanks = (json: Uint8Array, start: number): number => {
  let i = start
  while ((json[i] ?? COMMA) <= SPACE) i++
  return i
}

/** The name of a member, from the bytes of its text; `undefined` if they are not JSON. */
const nameOf = (text: Uint8Array): string | undefined => {
  try {
    return JSON.parse(decoder.decode(text))
  } catch {
    return undefined
  }
}

/**
 * Visits the members of the object that `json` is. `visit` gets where a value starts and returns where it ends. Stops where the
 * bytes do not follow JSON's structure.
 */
const forEachMember = (json: Uint8Array, visit: (name: string | undefined, start: number) => number): void => {
  let i = skipBlanks(json, json.indexOf(OPEN_BRACE) + 1)
  while (json[i] === QUOTE) {
    const nameEnd = endOfString(json, i)
    const name = nameOf(json.subarray(i, nameEnd))
    i = skipBlanks(json, nameEnd)
    if (json[i] !== COLON) return
    i = skipBlanks(json, visit(name, skipBlanks(json, i + 1)))
    if (json[i] === COMMA) i = skipBlanks(json, i + 1)
  }
}

/** The text of a member of the object that `text` is; of the last one when the name is repeated, as `JSON.parse` has it. */
export const member = (text: string, name: string): string | undefined => {
  const json = encoder.encode(text)
  let found: string | undefined
  forEachMember(json, (key, start) => {
    const end = endOfValue(json, start)
    if (key === name) found = decoder.decode(json.subarray(start, end))
    return end
  })
  return found
}

/** An array inside a larger text. */
export interface ArrayBytes {
  /** Index of its opening bracket. */
  readonly start: number
  /** The index after its closing bracket. */
  readonly end: number
  /** The bytes of each element. */
  readonly elements: ReadonlyArray<Uint8Array>
}

const arrayAt = (json: Uint8Array, start: number): ArrayBytes | undefined => {
  const elements: Array<Uint8Array> = []
  let i = skipBlanks(json, start + 1)
  while (json[i] !== CLOSE_BRACKET) {
    const end = endOfValue(json, i)
    if (end === i || end > json.length) return undefined
    elements.push(json.subarray(i, end))
    i = skipBlanks(json, end)
    if (json[i] === COMMA) i = skipBlanks(json, i + 1)
    else if (json[i] !== CLOSE_BRACKET) return undefined
  }
  return { start, end: i + 1, elements }
}

/** The array under `name` in the object that `json` is; `undefined` if there is none, or if it does not end. One pass. */
export const arrayOf = (json: Uint8Array, name: string): ArrayBytes | undefined => {
  let found: ArrayBytes | undefined
  forEachMember(json, (key, start) => {
    if (key !== name) return endOfValue(json, start)
    found = json[start] === OPEN_BRACKET ? arrayAt(json, start) : undefined
    return found?.end ?? endOfValue(json, start)
  })
  return found
}

/**
 * Whether brackets of `text` are nested deeper than `levels`, for any text. Asked before `JSON.parse`, which takes 0.2 s for
 * a megabyte of brackets, and before everything that walks values recursively.
 */
export const isDeeper = (text: string, levels: number): boolean => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) {
      for (i++; i < text.length; i++) {
        const within = text.charCodeAt(i)
        if (within === QUOTE) break
        if (within === BACKSLASH) i++
      }
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (++depth > levels) return true
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth--
  }
  return false
}

/** Whether an object begins in `json` and ends with it. If not, the rest is missing, or it is something else. */
export const isWholeObject = (json: Uint8Array): boolean => {
  const start = skipBlanks(json, 0)
  if (json[start] !== OPEN_BRACE) return false
  const end = endOfValue(json, start)
  return end <= json.length && skipBlanks(json, end) === json.length
}
