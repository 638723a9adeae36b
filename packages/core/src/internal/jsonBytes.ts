/**
 * JSON text put together as the bytes that go out. A text for each record and one of them all would cost twice the time, and most
 * of a call's garbage.
 */
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Text of ASCII that is added again and again. */
export const fragment = (text: string): Uint8Array => encoder.encode(text)

export class JsonBytes {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** Forgets what was added after. */
  truncate(length: number): void {
    this.#length = length
  }

  byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = byte
  }

  fragment(fragment: Uint8Array): void {
    this.#reserve(fragment.length)
    this.#bytes.set(fragment, this.#length)
    this.#length += fragment.length
  }

  /** Text of ASCII, as it is. */
  ascii(text: string): void {
    const { length } = text
    this.#reserve(length)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i)
    this.#length = at
  }

  /** The JSON of a string. */
  string(text: string): void {
    const { length } = text
    this.#reserve(length + 2)
    const bytes = this.#bytes
    let at = this.#length
    bytes[at++] = QUOTE
    for (let i = 0; i < length; i++) {
      const c = text.charCodeAt(i)
      if (c < 0x20 || c > 0x7e || c === QUOTE || c === BACKSLASH) {
        this.#escaped(text)
        return
      }
      bytes[at++] = c
    }
    bytes[at++] = QUOTE
    this.#length = at
  }

  #escaped(text: string): void {
    const json = JSON.stringify(text)
    this.#reserve(json.length * 3)
    this.#length += encoder.encodeInto(json, this.#bytes.subarray(this.#length)).written
  }

  #reserve(length: number): void {
    const least = this.#length + length
    if (least <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(least, this.#bytes.length * 2))
    bytes.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = bytes
  }

  /** What was added so far; a copy where most of the buffer would be held for nothing. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.length > 8 * this.#length
      ? this.#bytes.slice(0, this.#length)
      : this.#bytes.subarray(0, this.#length)
  }

  toString(): string {
    return decoder.decode(this.toBytes())
  }
}
