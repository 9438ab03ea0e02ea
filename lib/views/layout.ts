import type { EnvelopeField, ShapeField, TablePlan, ValueKind } from '../app/plan.ts';
import { columnName, literal, quoted } from './naming.ts';

/** A column that holds one field of the records. */
export interface FieldColumn {
  field: ShapeField;
  /** Quoted. */
  column: string;
  type: string;
}

/**
 * How one version of a table lies in PostgreSQL. Besides a column a field it has
 * - `__id`: hash of the id fields, the primary key;
 * - `__key`: hash of the newest record's key; `__keys`: those of all records that the row is made of, when several;
 * - `__owner`: who sees the row;
 * - `__complete`: whether all non-null fields are known; only such rows show;
 * - `_key`, `_partition`, `_offset`, `_timestamp` (ms since 1970), `_sequence`, `__topic` (index in the plan's topics):
 *   the envelope of the row's newest record, by which rows are ordered;
 * - `__merge`: which record each field came from; null where all came from that newest one.
 */
export interface TableLayout {
  plan: TablePlan;
  /** Quoted and with its schema. */
  relation: string;
  columns: readonly FieldColumn[];
  /** Whether there is a column `_headers`. */
  headers: boolean;
}

/** Milliseconds that a DateTime can be: years 1 to 9999. */
const earliestMs = Date.parse('0001-01-01T00:00:00.000Z');
const latestMs = Date.parse('9999-12-31T23:59:59.999Z');

export function layoutOf(plan: TablePlan, relation: string): TableLayout {
  const columns = plan.shape.fields
    .filter(({ envelope }) => !envelope)
    .map(field => ({ field, column: quoted(columnName(field.name)), type: columnType(field.value) }));
  const headers = plan.shape.fields.some(({ source, envelope }) => envelope && source === '_headers');
  return { plan, relation: `views.${quoted(relation)}`, columns, headers };
}

/**
 * `json`, not `jsonb`: it gives back what the record held, with the order of keys, and takes `\u0000`, which `jsonb`
 * refuses. Text sorts by its bytes, which for UTF-8 is the order of code points.
 */
function columnType(value: ValueKind): string {
  switch (value.kind) {
    case 'String':
    case 'ID':
    case 'enum':
      return 'text COLLATE "C"';
    case 'Boolean':
      return 'boolean';
    case 'Int':
      return 'integer';
    case 'SafeInt':
      return 'bigint';
    case 'Float':
      return 'double precision';
    case 'DateTime':
      return 'timestamptz(3)';
    case 'JSON':
    case 'list':
    case 'object':
      return 'json';
  }
}

/** Rows are newest first; together these columns are unique in a table, since a record feeds one row of it. */
export const newestFirst = '_timestamp DESC, _partition DESC, _offset DESC, __topic DESC';

/** The statements that create a version's table. */
export function createTable(layout: TableLayout): string[] {
  const columns = [
    '__id bytea PRIMARY KEY',
    '__key bytea',
    '__keys bytea[]',
    '__owner text COLLATE "C"',
    '__complete boolean NOT NULL',
    '__topic smallint NOT NULL',
    '__merge json',
    '_key text COLLATE "C"',
    '_partition integer NOT NULL',
    '_offset bigint NOT NULL',
    '_timestamp bigint NOT NULL',
    '_sequence bigint',
    ...(layout.headers ? ['_headers json'] : []),
    ...layout.columns.map(({ column, type }) => `${column} ${type}`),
  ];
  return [
    `CREATE TABLE ${layout.relation} (${columns.join(', ')}) WITH (fillfactor = 90)`,
    `CREATE INDEX ON ${layout.relation} (__owner, ${newestFirst}) WHERE __complete`,
    `CREATE INDEX ON ${layout.relation} (${newestFirst}) WHERE __complete`,
    `CREATE INDEX ON ${layout.relation} (__key)`,
    `CREATE INDEX ON ${layout.relation} USING gin (__keys) WHERE __keys IS NOT NULL`,
  ];
}

/** The SQL expression of a field, of the type that its kind is compared in. */
export function fieldExpression(layout: TableLayout, field: ShapeField): string {
  if (field.envelope) return envelopeExpression(layout, field.source as EnvelopeField, field.value.kind);
  return quoted(columnName(field.name));
}

function envelopeExpression(layout: TableLayout, source: EnvelopeField, kind: ValueKind['kind']): string {
  if (source === '_topic') return `(ARRAY[${layout.plan.topics.map(literal).join(', ')}])[__topic + 1] COLLATE "C"`;
  if (source !== '_timestamp' || kind !== 'DateTime') return source;
  // A producer may write any number; those that are no DateTime show as null, as in a stream.
  return `CASE WHEN _timestamp BETWEEN ${earliestMs} AND ${latestMs} THEN to_timestamp(_timestamp / 1000.0)::timestamptz(3) END`;
}
