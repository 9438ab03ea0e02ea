import { PenstockError } from '../errors.ts';

/** Where a row stands among the others: the place of its newest record. Newest first is the descending order of it. */
export interface RowPlace {
  timestampMs: number;
  partition: number;
  offset: number;
  /** Index in the table's topics: only tells apart records that are equal in all else. */
  topic: number;
}

/** Relay's arguments, checked. */
export interface PageRequest {
  first: number | undefined;
  last: number | undefined;
  after: RowPlace | undefined;
  before: RowPlace | undefined;
}

/** Rows of a page that names no size. */
export const defaultPageRows = 50;
/** Most rows of a page, and of a list. */
export const maxPageRows = 1_000;

/**
 * Reads `first`, `after`, `last`, `before` (GraphQL Cursor Connections Specification). Without a size, the first
 * {@link defaultPageRows}.
 * @throws PenstockError BAD_USER_INPUT
 */
export function pageRequest(args: Readonly<Record<string, unknown>>): PageRequest {
  const first = size('first', args.first);
  const last = size('last', args.last);
  return {
    first: first === undefined && last === undefined ? defaultPageRows : first,
    last,
    after: place('after', args.after),
    before: place('before', args.before),
  };
}

/** Opaque to clients. It names a place, not a row: rows that come later don't move it. */
export function formatPageCursor({ timestampMs, partition, offset, topic }: RowPlace): string {
  return Buffer.from(`1:${timestampMs}:${partition}:${offset}:${topic}`).toString('base64url');
}

/** Undefined where the text is no cursor of ours. */
export function parsePageCursor(cursor: string): RowPlace | undefined {
  if (cursor.length > 200) return undefined;
  const match = /^1:(-?\d{1,16}):(\d{1,10}):(\d{1,16}):(\d{1,5})$/.exec(
    Buffer.from(cursor, 'base64url').toString('latin1'),
  );
  if (!match) return undefined;
  const [timestampMs, partition, offset, topic] = match.slice(1).map(Number);
  if (timestampMs === undefined || partition === undefined || offset === undefined || topic === undefined) {
    return undefined;
  }
  const found = { timestampMs, partition, offset, topic };
  // Whatever is not written exactly as we write it (other alphabets, padding, zeros in front) is not ours.
  const inRange =
    Number.isSafeInteger(timestampMs) && Number.isSafeInteger(offset) && partition <= 0x7fffffff && topic <= 0x7fff;
  return inRange && formatPageCursor(found) === cursor ? found : undefined;
}

function size(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maxPageRows) return value;
  throw new PenstockError('BAD_USER_INPUT', `${name} must be from 0 to ${maxPageRows}`, { argument: name });
}

function place(name: string, value: unknown): RowPlace | undefined {
  if (value === undefined || value === null) return undefined;
  const found = typeof value === 'string' ? parsePageCursor(value) : undefined;
  if (found) return found;
  throw new PenstockError('BAD_USER_INPUT', `${name} is not a cursor of this connection`, { argument: name });
}
