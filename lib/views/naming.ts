import { nameHash } from './hashes.ts';

/** PostgreSQL cuts identifiers silently behind this many bytes (NAMEDATALEN − 1). */
const maxBytes = 63;

/** Names that a column can't have: PostgreSQL's system columns, and the envelope columns that every table has. */
const takenColumns: ReadonlySet<string> = new Set([
  ...['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid'],
  ...['_key', '_partition', '_offset', '_timestamp', '_sequence', '_headers'],
]);

/** `views."Name__v3"`: the name of one version of a table. Names too long for PostgreSQL end in a hash. */
export function relationName(table: string, version: number): string {
  return fitted(table, `__v${version}`);
}

/**
 * The column of a type's field: the field's own name, but for names that PostgreSQL or we have taken. Names that begin
 * with two underscores are ours; GraphQL reserves them, so that no field has one.
 */
export function columnName(field: string): string {
  return takenColumns.has(field) ? `${field}_${nameHash(field)}` : fitted(field, '');
}

/** A quoted identifier. */
export function quoted(name: string): string {
  if (name === '' || name.includes('\0')) throw new Error(`${JSON.stringify(name)} can't be a name in PostgreSQL`);
  return `"${name.replaceAll('"', '""')}"`;
}

/** A quoted text. Only for names from the schema; values travel as parameters. */
export function literal(text: string): string {
  if (text.includes('\0')) throw new Error(`${JSON.stringify(text)} can't be a text in PostgreSQL`);
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function fitted(name: string, suffix: string): string {
  const whole = `${name}${suffix}`;
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  const end = `_${nameHash(name)}${suffix}`;
  let cut = name;
  while (Buffer.byteLength(cut) > maxBytes - end.length) cut = Array.from(cut).slice(0, -1).join('');
  return `${cut}${end}`;
}
