/**
 * Finds values inside JSON text without changing a character of them. The text has been through `JSON.parse`, so it is
 * known to be valid; that is what keeps this small.
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

/** From the opening quote to the index after the closing one. */
const endOfString = (text: string, start: number): number => {
  let i = start + 1
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) break
    if (c === BACKSLASH) i++
  }
  return i + 1
}

/** From the first character of a value to the index after its last. */
const endOfValue = (text: string, start: number): number => {
  const first = text.charCodeAt(start)
  if (first === QUOTE) return endOfString(text, start)
  let i = start
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    for (; i < text.length; i++) {
      const c = text.charCodeAt(i)
      if (c === COMMA || c === CLOSE_BRACE || c === CLOSE_BRACKET || c <= SPACE) break
    }
    return i
  }
  for (let depth = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) i = endOfString(text, i) - 1
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) depth++
    else if ((c === CLOSE_BRACE || c === CLOSE_BRACKET) && --depth === 0) break
  }
  return i + 1
}

const skipBlanks = (text: string, start: number): number => {
  let i = start
  while (text.charCodeAt(i) <= SPACE) i++
  return i
}

/** The text of a member of the object that `text` is; of the last one when the name is repeated, as `JSON.parse` has it. */
export const member = (text: string, name: string): string | undefined => {
  let found: string | undefined
  let i = skipBlanks(text, skipBlanks(text, 0) + 1)
  while (text.charCodeAt(i) === QUOTE) {
    const keyEnd = endOfString(text, i)
    const key: string = JSON.parse(text.slice(i, keyEnd))
    i = skipBlanks(text, keyEnd)
    if (text.charCodeAt(i) === COLON) i = skipBlanks(text, i + 1)
    const end = endOfValue(text, i)
    if (key === name) found = text.slice(i, end)
    i = skipBlanks(text, end)
    if (text.charCodeAt(i) === COMMA) i = skipBlanks(text, i + 1)
  }
  return found
}

/** The text of each element of the array that `text` is. */
export const elements = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let i = skipBlanks(text, 1)
  while (i < text.length && text.charCodeAt(i) !== CLOSE_BRACKET) {
    const end = endOfValue(text, i)
    found.push(text.slice(i, end))
    i = skipBlanks(text, end)
    if (text.charCodeAt(i) === COMMA) i = skipBlanks(text, i + 1)
  }
  return found
}
