/**
 * Compact binary writing and reading: unsigned varints (7 bits a byte, low bits first, as in Protocol Buffers),
 * UTF-8 texts with their length. Whole numbers up to 2^53 - 1.
 */

/** Grows as needed; `reset` makes it usable again, so that one serves all calls. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(1024);
  length = 0;

  reset(): void {
    this.length = 0;
  }

  /** What has been written; a view that the next `reset` invalidates. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  /** The bytes from `start` on as base64url, without a copy. */
  toBase64url(start: number): string {
    return this.#buffer.toString('base64url', start, this.length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.length++] = value;
  }

  varint(value: number): void {
    this.#reserve(8);
    const buffer = this.#buffer;
    let rest = value;
    // Bit operations are 32 bits wide in JavaScript: divide until the rest fits.
    while (rest > 0x7fffffff) {
      buffer[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      buffer[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.length++] = rest;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** `length` of the bytes that the characters of a latin1 string stand for. */
  latin1(text: string, length: number): void {
    this.#reserve(length);
    this.#buffer.write(text, this.length, length, 'latin1');
    this.length += length;
  }

  text(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    this.varint(bytes.length);
    this.bytes(bytes);
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.length + more));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}

/** Every method throws a RangeError where the bytes end early or a number is not one that the writer makes. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  byte(): number {
    const value = this.#buffer[this.#at];
    if (value === undefined) throw new RangeError('bytes end early');
    this.#at += 1;
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('number too large');
      if (byte < 0x80) return value;
      factor *= 128;
    }
  }

  bytes(length: number): Buffer {
    if (length > this.remaining) throw new RangeError('bytes end early');
    this.#at += length;
    return this.#buffer.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes(this.varint()).toString('utf8');
  }
}
