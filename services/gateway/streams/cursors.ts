import { PenstockError } from '../../../lib/errors.ts';
import { type CursorCodec, type CursorUse, checkCursor, type StreamPosition } from '../../../lib/replay/index.ts';

/** Positions to cursors and back, for one Kafka cluster. */
export interface Cursors {
  ofStream(userKey: string, binding: string, position: StreamPosition): string;
  ofView(userKey: string, position: StreamPosition): string;
  /** @throws PenstockError CURSOR_INVALID, CURSOR_EXPIRED. */
  read(cursor: string, use: Omit<CursorUse, 'clusterId'>): StreamPosition;
}

export function openCursors(codec: CursorCodec, clusterId: string): Cursors {
  return {
    ofStream: (userKey, binding, position) =>
      codec.format({ kind: 'stream', userKey, binding, clusterId, ...position }),
    ofView: (userKey, position) => codec.format({ kind: 'view', userKey, binding: '', clusterId, ...position }),
    read: (cursor, use) => checkCursor(codec.parse(cursor), { ...use, clusterId }),
  };
}

/** CURSOR_EXPIRED as the client sees it: with `earliest`, a cursor to go on from, in place of the position. */
export function expiredFor(error: unknown, cursorOf: (position: StreamPosition) => string): unknown {
  if (!(error instanceof PenstockError) || error.code !== 'CURSOR_EXPIRED') return error;
  const { position, ...extensions } = error.extensions;
  if (!isPosition(position)) return error;
  return new PenstockError(error.code, error.message, { ...extensions, earliest: cursorOf(position) }, error);
}

function isPosition(value: unknown): value is StreamPosition {
  return typeof value === 'object' && value !== null && 'partitions' in value && 'sequences' in value;
}
