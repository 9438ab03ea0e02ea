import { randomFillSync } from 'node:crypto';

const pattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const pool = Buffer.alloc(4_096);
let unused = pool.length;

/** Random bytes as hex. Asking the system for a few at a time costs 25 µs, as much as all the rest of a new trace. */
export function randomHex(bytes: number): string {
  if (unused + bytes > pool.length) {
    randomFillSync(pool);
    unused = 0;
  }
  unused += bytes;
  return pool.toString('hex', unused - bytes, unused);
}

/** Returns whether a text is a `traceparent` of W3C Trace Context, version 00. */
export function isTraceparent(text: unknown): text is string {
  return typeof text === 'string' && pattern.test(text);
}

/**
 * A `traceparent` (W3C Trace Context) to hand on: the caller's trace with a new parent id, or a new trace where the
 * caller sent none that is well-formed.
 */
export function traceparentOf(incoming: unknown): string {
  const spanId = randomHex(8);
  if (isTraceparent(incoming)) return `${incoming.slice(0, 36)}${spanId}${incoming.slice(52)}`;
  return `00-${randomHex(16)}-${spanId}-01`;
}

/** Returns the trace id of a `traceparent`, 32 hex digits; undefined where it is none. */
export function traceIdOf(traceparent: unknown): string | undefined {
  return isTraceparent(traceparent) ? traceparent.slice(3, 35) : undefined;
}

/** Returns whether spans of this trace are recorded; false where the text is no `traceparent`. */
export function isSampled(traceparent: unknown): traceparent is string {
  return isTraceparent(traceparent) && (Number.parseInt(traceparent.slice(53), 16) & 1) === 1;
}
