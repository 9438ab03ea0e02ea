import type { TableLayout } from '../../lib/views/index.ts';
import type { Row } from './merge.ts';
import type { Queries } from './store.ts';
import { restoreRow, type StoredRow, storeRow } from './stored-row.ts';

/** Rows by their ids in hex. */
export type Rows = ReadonlyMap<string, Row>;

/** A column of ours, how a row gives it (as text; null is null), and its type. */
interface Cell {
  column: string;
  type: string;
  text(row: StoredRow): unknown;
}

const bytes = (hex: string): string => `\\x${hex}`;

function cellsOf(layout: TableLayout): readonly Cell[] {
  return [
    { column: '__key', type: 'bytea', text: ({ key }) => (key === '' ? null : bytes(key)) },
    {
      column: '__keys',
      type: 'bytea[]',
      text: ({ keys }) => keys && `{${keys.map(key => `"\\\\x${key}"`).join(',')}}`,
    },
    { column: '__owner', type: 'text', text: ({ owner }) => owner },
    { column: '__complete', type: 'boolean', text: ({ complete }) => complete },
    { column: '__topic', type: 'smallint', text: ({ topic }) => topic },
    { column: '__merge', type: 'json', text: ({ merge }) => merge },
    { column: '_key', type: 'text', text: ({ keyText }) => keyText },
    { column: '_partition', type: 'integer', text: ({ partition }) => partition },
    { column: '_offset', type: 'bigint', text: ({ offset }) => offset },
    { column: '_timestamp', type: 'bigint', text: ({ timestampMs }) => timestampMs },
    { column: '_sequence', type: 'bigint', text: ({ sequence }) => sequence },
    ...(layout.headers ? [{ column: '_headers', type: 'json', text: ({ headers }: StoredRow) => headers }] : []),
    ...layout.columns.map(({ column, type }, index) => ({
      column,
      type: type.replace(' COLLATE "C"', ''),
      text: ({ values }: StoredRow) => values[index],
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

/** Rows as a set: one array a column, sorted by id, so that everybody takes locks in the same order. */
function tableOf(layout: TableLayout, rows: Rows): { cells: readonly Cell[]; source: string; values: unknown[] } {
  const cells = cellsOf(layout);
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  const stored = sorted.map(([, row]) => storeRow(layout, row));
  const values = [sorted.map(([id]) => bytes(id)), ...cells.map(({ text }) => stored.map(text))];
  const arrays = ['$1::bytea[]', ...cells.map((_, index) => `$${index + 2}::text[]`)];
  const names = ['id', ...cells.map((_, index) => `c${index}`)];
  return { cells, source: `unnest(${arrays.join(', ')}) AS u (${names.join(', ')})`, values };
}
