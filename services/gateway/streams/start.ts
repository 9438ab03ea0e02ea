import { PenstockError } from '../../../lib/errors.ts';

/** Where a subscription asks to begin. */
export type AskedStart =
  | { kind: 'now' }
  | { kind: 'earliest' }
  | { kind: 'time'; timestampMs: number }
  | { kind: 'cursor'; cursor: string };

/** RFC 3339 with an offset: a time without one means another moment in each zone. */
const isoTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/i;

/**
 * `Last-Event-ID` goes before `extensions.cursor`, that before `extensions.from`; without any of them `now`.
 * @throws PenstockError BAD_USER_INPUT, or CURSOR_INVALID for a cursor that is no string.
 */
export function askedStart(asked: { lastEventId?: string | undefined; extensions?: unknown }): AskedStart {
  if (asked.lastEventId) return { kind: 'cursor', cursor: asked.lastEventId };
  const { cursor, from } = asObject(asked.extensions);
  if (cursor !== undefined && cursor !== null) {
    if (typeof cursor === 'string') return { kind: 'cursor', cursor };
    throw new PenstockError('CURSOR_INVALID', 'extensions.cursor must be a string');
  }
  if (from === undefined || from === null || from === 'now') return { kind: 'now' };
  if (from === 'earliest') return { kind: 'earliest' };
  const timestampMs = typeof from === 'string' && isoTime.test(from) ? Date.parse(from) : Number.NaN;
  if (Number.isNaN(timestampMs)) {
    throw new PenstockError(
      'BAD_USER_INPUT',
      'extensions.from must be "now", "earliest" or an ISO 8601 time with offset',
    );
  }
  return { kind: 'time', timestampMs };
}

function asObject(extensions: unknown): Readonly<Record<string, unknown>> {
  if (extensions === undefined || extensions === null) return {};
  if (typeof extensions === 'object' && !Array.isArray(extensions)) return { ...extensions };
  throw new PenstockError('BAD_USER_INPUT', 'extensions must be an object');
}
