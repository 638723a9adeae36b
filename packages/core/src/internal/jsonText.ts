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

/** Whether the quote at `at` is one inside a string: after an odd number of backslashes. */
const isEscaped = (text: string, at: number): boolean => {
  let i = at - 1
  while (text.charCodeAt(i) === BACKSLASH) i--
  return (at - i) % 2 === 0
}

/** From the opening quote to the index after the closing one. `indexOf` passes over what is between several times as fast as a loop. */
const endOfString = (text: string, start: number): number => {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end + 1
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

/** Goes through the members of the object that `text` is. `visit` gets where a value starts and gives where it ends. */
const forEachMember = (text: string, visit: (key: string, start: number) => number): void => {
  let i = skipBlanks(text, skipBlanks(text, 0) + 1)
  while (text.charCodeAt(i) === QUOTE) {
    const keyEnd = endOfString(text, i)
    const key: string = JSON.parse(text.slice(i, keyEnd))
    i = skipBlanks(text, keyEnd)
    if (text.charCodeAt(i) === COLON) i = skipBlanks(text, i + 1)
    i = skipBlanks(text, visit(key, i))
    if (text.charCodeAt(i) === COMMA) i = skipBlanks(text, i + 1)
  }
}

/** The text of a member of the object that `text` is; of the last one when the name is repeated, as `JSON.parse` has it. */
export const member = (text: string, name: string): string | undefined => {
  let found: string | undefined
  forEachMember(text, (key, start) => {
    const end = endOfValue(text, start)
    if (key === name) found = text.slice(start, end)
    return end
  })
  return found
}

/** The text of each element of the array under `name` in the object that `text` is; none if there is no array. One pass. */
export const elements = (text: string, name: string): ReadonlyArray<string> => {
  let found: Array<string> = []
  forEachMember(text, (key, start) => {
    if (key !== name) return endOfValue(text, start)
    found = []
    if (text.charCodeAt(start) !== OPEN_BRACKET) return endOfValue(text, start)
    let i = skipBlanks(text, start + 1)
    while (text.charCodeAt(i) !== CLOSE_BRACKET) {
      const end = endOfValue(text, i)
      found.push(text.slice(i, end))
      i = skipBlanks(text, end)
      if (text.charCodeAt(i) === COMMA) i = skipBlanks(text, i + 1)
    }
    return i + 1
  })
  return found
}
