/**
 * Paging tokens: base32 of 32 bytes, the first half the same for one instance, the second half one encrypted block.
 * They hold all they need, so they outlive the process that made them.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto"

export interface Position {
  /** Only what happened at this instant or later is served; epoch seconds. */
  readonly since: number
  /** The last entry of the log that was looked at; -1 for none. */
  readonly entry: number
  /** Tells apart the tokens of pages that did not get ahead. */
  readonly turn: number
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** RFC 4648, with padding. */
const toBase32 = (bytes: Uint8Array): string => {
  let text = ""
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      text += alphabet[(value >>> (bits - 5)) & 31]
      bits -= 5
    }
  }
  if (bits > 0) text += alphabet[(value << (5 - bits)) & 31]
  return text.padEnd(Math.ceil(text.length / 8) * 8, "=")
}

const fromBase32 = (text: string): Buffer => {
  const bytes: Array<number> = []
  let bits = 0
  let value = 0
  for (const character of text.replace(/=+$/, "")) {
    value = ((value << 5) | alphabet.indexOf(character)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bytes.push((value >>> (bits - 8)) & 255)
      bits -= 8
    }
  }
  return Buffer.from(bytes)
}

export interface PagingTokens {
  readonly encode: (position: Position) => string
  /** Undefined for anything that this instance did not hand out. */
  readonly decode: (token: string) => Position | undefined
}

export const makePagingTokens = (munchkinId: string, seed: number): PagingTokens => {
  const secret = createHash("sha256").update(`${munchkinId}/${seed}`).digest()
  const instance = secret.subarray(0, 16)
  const key = secret.subarray(16)
  // the block's own last four bytes must read the same after decryption: a forged or damaged token does not
  const mark = 0x6d6b746f
  return {
    encode: ({ entry, since, turn }) => {
      const block = Buffer.alloc(16)
      block.writeUIntBE(since, 0, 5)
      block.writeUIntBE(entry + 1, 5, 5)
      block.writeUInt16BE(turn & 0xffff, 10)
      block.writeUInt32BE(mark, 12)
      const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false)
      return toBase32(Buffer.concat([instance, cipher.update(block), cipher.final()]))
    },
    decode: (token) => {
      if (!/^[A-Z2-7]{52}====$/.test(token)) return undefined
      const bytes = fromBase32(token)
      if (!bytes.subarray(0, 16).equals(instance)) return undefined
      const decipher = createDecipheriv("aes-128-ecb", key, null).setAutoPadding(false)
      const block = Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()])
      return block.readUInt32BE(12) === mark
        ? { since: block.readUIntBE(0, 5), entry: block.readUIntBE(5, 5) - 1, turn: block.readUInt16BE(10) }
        : undefined
    },
  }
}
