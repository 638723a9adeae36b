/**
 * Kafka's numbers, texts and byte strings, as its protocol and its record batches have them.
 */

/** Reads one after the other. Throws a `RangeError` behind the end. */
export class Reader {
  at = 0

  constructor(readonly buffer: Buffer) {}

  get left(): number {
    return this.buffer.length - this.at
  }

  bytes(length: number): Buffer {
    if (length < 0 || length > this.left) throw new RangeError(`${length} bytes are wanted, and ${this.left} are left`)
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }

  skip(length: number): void {
    this.bytes(length)
  }

  int8(): number {
    this.at += 1
    return this.buffer.readInt8(this.at - 1)
  }

  int16(): number {
    this.at += 2
    return this.buffer.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.buffer.readInt32BE(this.at - 4)
  }

  int64(): bigint {
    this.at += 8
    return this.buffer.readBigInt64BE(this.at - 8)
  }

  text(): string {
    return this.bytes(this.int16()).toString()
  }

  /** Kafka's varint and varlong, in zigzag. Exact up to 2^53. */
  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.buffer.readUInt8(this.at)
      this.at += 1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      if (factor > 2 ** 63) throw new RangeError("a varint does not end")
    }
  }

  /** With its length in front; null for a negative one. */
  varbytes(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.bytes(length)
  }

  list<A>(read: (reader: Reader) => A): Array<A> {
    return Array.from({ length: Math.max(0, this.int32()) }, () => read(this))
  }
}

const zigzag = (value: number): number => (value >= 0 ? 2 * value : -2 * value - 1)

export const sizeOfVarint = (value: number): number => {
  let size = 1
  for (let left = zigzag(value); left >= 128; left = Math.floor(left / 128)) size++
  return size
}

export type Bytes = string | Uint8Array | null

const lengthOf = (bytes: Bytes): number => {
  if (bytes === null) return -1
  return typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.byteLength
}

export const sizeOfVarbytes = (bytes: Bytes): number => {
  const length = lengthOf(bytes)
  return sizeOfVarint(length) + Math.max(0, length)
}

/** Writes one after the other, into a buffer of the right size. */
export class Writer {
  at = 0
  readonly buffer: Buffer

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  int8(value: number): this {
    this.at = this.buffer.writeInt8(value, this.at)
    return this
  }

  int16(value: number): this {
    this.at = this.buffer.writeInt16BE(value, this.at)
    return this
  }

  int32(value: number): this {
    this.at = this.buffer.writeInt32BE(value, this.at)
    return this
  }

  uint32(value: number): this {
    this.at = this.buffer.writeUInt32BE(value, this.at)
    return this
  }

  int64(value: bigint): this {
    this.at = this.buffer.writeBigInt64BE(value, this.at)
    return this
  }

  bytes(bytes: string | Uint8Array): this {
    if (typeof bytes === "string") this.at += this.buffer.write(bytes, this.at)
    else {
      this.buffer.set(bytes, this.at)
      this.at += bytes.byteLength
    }
    return this
  }

  /** The length of a text is an int16; −1 stands for none. */
  text(text: string | null): this {
    return text === null ? this.int16(-1) : this.int16(Buffer.byteLength(text)).bytes(text)
  }

  varint(value: number): this {
    let left = zigzag(value)
    for (; left >= 128; left = Math.floor(left / 128)) this.buffer[this.at++] = (left % 128) | 0x80
    this.buffer[this.at++] = left
    return this
  }

  varbytes(bytes: Bytes): this {
    this.varint(lengthOf(bytes))
    return bytes === null ? this : this.bytes(bytes)
  }
}
