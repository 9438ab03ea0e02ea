import type { TableLayout } from '../../lib/views/index.ts';
import type { Row } from './merge.ts';
import type { Queries } from './store.ts';
import { restoreRow, type StoredRow, storeRow } from './stored-row.ts';

/** Rows by their ids in hex. */
export type Rows = ReadonlyMap<string, Row>;

/** A column of ours, its type, and how a row gives it. */
interface Cell {
  column: string;
  type: string;
  of(row: StoredRow): unknown;
}

const bytes = (hex: string): string => `\\x${hex}`;

function cellsOf(layout: TableLayout): readonly Cell[] {
  return [
    { column: '__key', type: 'bytea', of: ({ key }) => (key === '' ? null : bytes(key)) },
    {
      column: '__keys',
      type: 'bytea[]',
      of: ({ keys }) => keys && `{${keys.map(key => `"\\\\x${key}"`).join(',')}}`,
    },
    { column: '__owner', type: 'text', of: ({ owner }) => owner },
    { column: '__complete', type: 'boolean', of: ({ complete }) => complete },
    { column: '__topic', type: 'smallint', of: ({ topic }) => topic },
    { column: '__merge', type: 'json', of: ({ merge }) => merge },
    { column: '_key', type: 'text', of: ({ keyText }) => keyText },
    { column: '_partition', type: 'integer', of: ({ partition }) => partition },
    { column: '_offset', type: 'bigint', of: ({ offset }) => offset },
    { column: '_timestamp', type: 'bigint', of: ({ timestampMs }) => timestampMs },
    { column: '_sequence', type: 'bigint', of: ({ sequence }) => sequence },
    ...(layout.headers ? [{ column: '_headers', type: 'json', of: ({ headers }: StoredRow) => headers }] : []),
    ...layout.columns.map(({ column, type }, index) => ({
      column,
      type: type.replace(' COLLATE "C"', ''),
      of: ({ values }: StoredRow) => values[index],
    })),
  ];
}

/**
 * Loads rows and locks them, in the order of their ids. `orOfKeys` (hashes in hex) adds the rows that are made of several
 * records, one of them with such a key.
 */
export async function lockRows(
  queries: Queries,
  layout: TableLayout,
  ids: Iterable<string>,
  orOfKeys: readonly string[] = [],
): Promise<Map<string, Row>> {
  const values: unknown[] = [[...ids].map(bytes)];
  if (orOfKeys.length > 0) values.push(orOfKeys.map(bytes));
  const ofKeys = ' OR (__merge IS NOT NULL AND (__key = ANY($2::bytea[]) OR __keys && $2::bytea[]))';
  const columns = layout.columns.map(({ column }, index) => `${column} AS c${index}`);
  const found = await queries.query<Record<string, unknown>>(
    `SELECT encode(__id, 'hex') AS id, encode(__key, 'hex') AS key, __owner AS owner, __topic AS topic,
       __merge::text AS merge, _key AS "keyText", _partition AS partition, _offset AS "offset",
       _timestamp AS "timestampMs", _sequence AS sequence${layout.headers ? ', _headers::text AS headers' : ''}
       ${columns.map(column => `, ${column}`).join('')}
     FROM ${layout.relation} WHERE __id = ANY($1::bytea[])${orOfKeys.length > 0 ? ofKeys : ''}
     ORDER BY __id FOR UPDATE`,
    values,
  );
  const rows = new Map<string, Row>();
  for (const { id, ...held } of found) {
    const stored = { headers: null, ...held, key: held.key ?? '' } as Omit<StoredRow, 'complete' | 'keys' | 'values'>;
    rows.set(
      String(id),
      restoreRow(layout, { ...stored, values: layout.columns.map((_, index) => held[`c${index}`]) }),
    );
  }
  return rows;
}

/** Inserts what is not there and returns the ids of what was, of somebody else's making. */
export async function insertRows(queries: Queries, layout: TableLayout, rows: Rows): Promise<string[]> {
  if (rows.size === 0) return [];
  const { cells, source, values } = tableOf(layout, rows);
  const inserted = await queries.query<{ id: string }>(
    `INSERT INTO ${layout.relation} (__id, ${cells.map(({ column }) => column).join(', ')})
     SELECT u.id, ${cells.map(({ type }, index) => `u.c${index}::${type}`).join(', ')} FROM ${source}
     ON CONFLICT (__id) DO NOTHING RETURNING encode(__id, 'hex') AS id`,
    values,
  );
  const done = new Set(inserted.map(({ id }) => id));
  return [...rows.keys()].filter(id => !done.has(id));
}

/** Overwrites rows that are locked. */
export async function updateRows(queries: Queries, layout: TableLayout, rows: Rows): Promise<void> {
  if (rows.size === 0) return;
  const { cells, source, values } = tableOf(layout, rows);
  await queries.query(
    `UPDATE ${layout.relation} AS held
     SET ${cells.map(({ column, type }, index) => `${column} = u.c${index}::${type}`).join(', ')}
     FROM ${source} WHERE held.__id = u.id`,
    values,
  );
}

export async function deleteRows(queries: Queries, layout: TableLayout, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await queries.query(`DELETE FROM ${layout.relation} WHERE __id = ANY($1::bytea[])`, [ids.map(bytes)]);
}

/** Types whose values need no quotes inside an array. */
const unquoted: ReadonlySet<string> = new Set([...['boolean', 'smallint', 'integer', 'bigint', 'double precision']]);

/** The literal of a text[]; the driver's own way takes a regular expression a value, and most of our time. */
function textArray(values: readonly unknown[], quotes: boolean): string {
  const items = values.map(value => {
    if (value === null || value === undefined) return 'NULL';
    if (!quotes) return String(value);
    const text = String(value);
    return text.includes('"') || text.includes('\\') ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`;
  });
  return `{${items.join(',')}}`;
}

/** Rows as a set: one array a column, sorted by id, so that everybody takes locks in the same order. */
function tableOf(layout: TableLayout, rows: Rows): { cells: readonly Cell[]; source: string; values: unknown[] } {
  const cells = cellsOf(layout);
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  const stored = sorted.map(([, row]) => storeRow(layout, row));
  const values = [
    sorted.map(([id]) => bytes(id)),
    ...cells.map(({ type, of }) => textArray(stored.map(of), !unquoted.has(type))),
  ];
  const arrays = ['$1::bytea[]', ...cells.map((_, index) => `$${index + 2}::text[]`)];
  const names = ['id', ...cells.map((_, index) => `c${index}`)];
  return { cells, source: `unnest(${arrays.join(', ')}) AS u (${names.join(', ')})`, values };
}
