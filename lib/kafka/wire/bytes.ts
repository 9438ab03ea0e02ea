/** Reads Kafka's primitive types from a buffer, in order. Source: kafka.apache.org/protocol#protocol_types. */
export class ByteReader {
  readonly bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  get remaining(): number {
    return this.bytes.length - this.position;
  }

  int8(): number {
    const value = this.bytes.readInt8(this.position);
    this.position += 1;
    return value;
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.position);
    this.position += 2;
    return value;
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.position);
    this.position += 4;
    return value;
  }

  uint32(): number {
    const value = this.bytes.readUInt32BE(this.position);
    this.position += 4;
    return value;
  }

  /** As a number: exact within the safe integers, which offsets and timestamps never leave. */
  int64(): number {
    const high = this.bytes.readInt32BE(this.position);
    const low = this.bytes.readUInt32BE(this.position + 4);
    this.position += 8;
    return high * 0x1_0000_0000 + low;
  }

  /** For ids that use all 64 bits. */
  bigInt64(): bigint {
    const value = this.bytes.readBigInt64BE(this.position);
    this.position += 8;
    return value;
  }

  /** Null when the length is negative. */
  string(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    const value = this.bytes.toString('utf8', this.position, this.position + length);
    this.position += length;
    return value;
  }

  /** Unsigned varint of up to 31 bits. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.bytes[this.position++];
      if (byte === undefined) throw new RangeError('varint beyond the end of the buffer');
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new RangeError('varint of more than five bytes');
  }

  /** Of the flexible versions (KIP-482), as the following two. Null where it is absent. */
  compactString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.take(length).toString('utf8');
  }

  /** An absent one is empty. */
  compactArray<T>(item: () => T): T[] {
    const length = this.uvarint() - 1;
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(item());
    return items;
  }

  /** Passes over tagged fields (KIP-482). `read` is shown each one and its value, and takes those that it knows. */
  tags(read?: (tag: number, value: ByteReader) => void): void {
    for (let count = this.uvarint(); count > 0; count--) {
      const tag = this.uvarint();
      const value = this.take(this.uvarint());
      read?.(tag, new ByteReader(value));
    }
  }

  /** 16 bytes as base64url: how Kafka itself writes a topic's id. */
  uuid(): string {
    return this.take(16).toString('base64url');
  }

  array<T>(item: () => T): T[] {
    const length = this.int32();
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(item());
    return items;
  }

  /** Zigzag varint of up to 32 bits. */
  varint(): number {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = this.bytes[this.position++];
      if (byte === undefined) throw new RangeError('varint beyond the end of the buffer');
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
      shift += 7;
      if (shift > 28) throw new RangeError('varint of more than five bytes');
    }
    return (value >>> 1) ^ -(value & 1);
  }

  /** Zigzag varint of up to 64 bits, as a number. */
  varlong(): number {
    let low = 0; // bits 0–27
    let high = 0; // the rest, as a number
    let scale = 1;
    for (let i = 0; ; i++) {
      const byte = this.bytes[this.position++];
      if (byte === undefined) throw new RangeError('varlong beyond the end of the buffer');
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else {
        high += (byte & 0x7f) * scale;
        scale *= 128;
      }
      if ((byte & 0x80) === 0) break;
      if (i === 9) throw new RangeError('varlong of more than ten bytes');
    }
    const negative = (low & 1) === 1;
    const half = (low >>> 1) + high * 0x800_0000; // 2^27
    return negative ? -half - 1 : half;
  }

  /** A view of the buffer, not a copy; null when the length is negative. */
  varBytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    return this.take(length);
  }

  /** A view of the buffer, not a copy. */
  take(length: number): Buffer {
    const end = this.position + length;
    if (end > this.bytes.length) throw new RangeError('bytes beyond the end of the buffer');
    const value = this.bytes.subarray(this.position, end);
    this.position = end;
    return value;
  }
}

/** Writes Kafka's primitive types into a buffer that grows. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(sizeHint = 512) {
    this.#bytes = Buffer.allocUnsafe(Math.max(64, sizeHint));
  }

  get length(): number {
    return this.#length;
  }

  /** What was written so far: a view, not a copy. */
  get buffer(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  int8(value: number): this {
    const at = this.#grow(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#grow(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    const at = this.#grow(8);
    this.#bytes.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.#bytes.writeUInt32BE(value >>> 0, at + 4);
    return this;
  }

  bigInt64(value: bigint): this {
    const at = this.#grow(8);
    this.#bytes.writeBigInt64BE(value, at);
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const size = Buffer.byteLength(value);
    this.int16(size);
    const at = this.#grow(size);
    this.#bytes.write(value, at, size, 'utf8');
    return this;
  }

  uvarint(value: number): this {
    const at = this.#grow(5);
    let end = at;
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[end++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[end++] = rest;
    this.#length = end;
    return this;
  }

  compactString(value: string): this {
    return this.uvarint(Buffer.byteLength(value) + 1).raw(value);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  /** No tagged fields. */
  noTags(): this {
    return this.int8(0);
  }

  /** As {@link ByteReader.uuid} reads it. */
  uuid(value: string): this {
    const bytes = Buffer.from(value, 'base64url');
    if (bytes.length !== 16) throw new RangeError(`not the id of a topic: ${value}`);
    return this.raw(bytes);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  varint(value: number): this {
    let zigzag = (value << 1) ^ (value >> 31);
    const at = this.#grow(5);
    let end = at;
    while ((zigzag & ~0x7f) !== 0) {
      this.#bytes[end++] = (zigzag & 0x7f) | 0x80;
      zigzag >>>= 7;
    }
    this.#bytes[end++] = zigzag;
    this.#length = end;
    return this;
  }

  /** Length and bytes; null is length -1. */
  varBytes(value: string | Buffer | null): this {
    if (value === null) return this.varint(-1);
    const size = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    this.varint(size);
    return this.raw(value, size);
  }

  raw(value: string | Buffer, size = typeof value === 'string' ? Buffer.byteLength(value) : value.length): this {
    const at = this.#grow(size);
    if (typeof value === 'string') this.#bytes.write(value, at, size, 'utf8');
    else value.copy(this.#bytes, at);
    return this;
  }

  /** Overwrites four bytes that were written before, for lengths known only afterwards. */
  patchUint32(at: number, value: number): void {
    this.#bytes.writeUInt32BE(value, at);
  }

  #grow(size: number): number {
    const at = this.#length;
    const needed = at + size;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = needed;
    return at;
  }
}

/** Bytes that `varint(value)` takes. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}
