/**
 * Follows a WebSocket byte stream just closely enough to know when it stands between two frames, where a control frame
 * may be put in (RFC 6455, 5.4 and 5.5: also between the fragments of a message). Looks at headers only.
 */
export class FrameBoundary {
  #payloadLeft = 0;
  /** Header bytes of the frame under way, at most 14. */
  #header: number[] = [];

  get atBoundary(): boolean {
    return this.#payloadLeft === 0 && this.#header.length === 0;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      this.#header.push(chunk[at] ?? 0);
      at++;
      const length = payloadLength(this.#header);
      if (length === undefined) continue;
      this.#payloadLeft = length;
      this.#header = [];
    }
  }
}

/** Payload bytes after a complete header (the masking key counts as header); undefined while it is not complete. */
function payloadLength(header: readonly number[]): number | undefined {
  const second = header[1];
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const maskBytes = (second & 0x80) === 0 ? 0 : 4;
  if (header.length < 2 + lengthBytes + maskBytes) return undefined;
  if (lengthBytes === 0) return short;
  return header.slice(2, 2 + lengthBytes).reduce((length, byte) => length * 256 + byte, 0);
}

/** A server's close frame: unmasked, a code and a reason of at most 123 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason, 'utf8').subarray(0, 123);
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x88;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}
