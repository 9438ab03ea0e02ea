import { randomFillSync } from 'node:crypto';

const pattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const pool = Buffer.alloc(4_096);
let unused = pool.length;

/** Random bytes as hex. Asking the system for a few at a time costs 25 µs, as much as all the rest of a new trace. */
function randomHex(bytes: number): string {
  if (unused + bytes > pool.length) {
    randomFillSync(pool);
    unused = 0;
  }
  unused += bytes;
  return pool.toString('hex', unused - bytes, unused);
}

/**
 * A `traceparent` (W3C Trace Context) to hand on: the caller's trace with a new parent id, or a new trace where the
 * caller sent none that is well-formed.
 */
export function traceparentOf(incoming: unknown): string {
  const spanId = randomHex(8);
  if (typeof incoming === 'string' && pattern.test(incoming)) {
    return `${incoming.slice(0, 36)}${spanId}${incoming.slice(52)}`;
  }
  return `00-${randomHex(16)}-${spanId}-01`;
}
