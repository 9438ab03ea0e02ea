import { randomBytes } from 'node:crypto';

const pattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * A `traceparent` (W3C Trace Context) to hand on: the caller's trace with a new parent id, or a new trace where the
 * caller sent none that is well-formed.
 */
export function traceparentOf(incoming: unknown): string {
  const spanId = randomBytes(8).toString('hex');
  if (typeof incoming === 'string' && pattern.test(incoming)) {
    return `${incoming.slice(0, 36)}${spanId}${incoming.slice(52)}`;
  }
  return `00-${randomBytes(16).toString('hex')}-${spanId}-01`;
}
