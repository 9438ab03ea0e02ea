import { z } from 'zod';
import type { TableLayout } from '../../lib/views/index.ts';
import { type Contribution, type Row, type Stamp, shown } from './merge.ts';

/** The owner stands among a row's fields under this name; GraphQL reserves it, so that no field of a type has it. */
export const ownerField = '__owner';

/** A row as its table holds it: see `TableLayout` for the columns. */
export interface StoredRow {
  key: string;
  keys: readonly string[] | null;
  owner: string | null;
  complete: boolean;
  topic: number;
  merge: string | null;
  keyText: string | null;
  partition: number;
  offset: number;
  timestampMs: number;
  sequence: number | null;
  headers: string | null;
  /** In the order of the layout's columns; JSON as text. */
  values: readonly unknown[];
}

/** The provenance of one contribution: `f` fields whose values the columns show, `v` values that others hide. */
const partSchema = z.object({
  t: z.number(),
  p: z.number(),
  o: z.number(),
  m: z.number(),
  q: z.number().optional(),
  k: z.string(),
  n: z.string().nullable(),
  h: z.unknown().optional(),
  f: z.array(z.string()),
  v: z.record(z.string(), z.unknown()).optional(),
});

export function storeRow(layout: TableLayout, row: Row): StoredRow {
  const { newest, fields } = shown(row);
  const { stamp, keyText, headers } = newest;
  const owner = layout.plan.owner === '_key' ? keyText : (fields[ownerField] ?? null);
  const keys = new Set(row.map(contribution => contribution.stamp.key).filter(key => key !== ''));
  return {
    key: stamp.key,
    keys: keys.size > 1 || (keys.size === 1 && !keys.has(stamp.key)) ? [...keys] : null,
    owner: typeof owner === 'string' ? owner : null,
    complete: isComplete(layout, newest, fields),
    topic: stamp.topic,
    merge: isSimple(row) ? null : JSON.stringify(partsOf(row)),
    keyText,
    partition: stamp.partition,
    offset: stamp.offset,
    timestampMs: stamp.timestampMs,
    sequence: stamp.sequence ?? null,
    headers: layout.headers ? JSON.stringify(headers ?? {}) : null,
    values: layout.columns.map(({ field, type }) => {
      const value = fields[field.name] ?? null;
      return value !== null && type === 'json' ? JSON.stringify(value) : value;
    }),
  };
}

/** `stored.values` and `headers` as they come from the database: JSON parsed. */
export function restoreRow(layout: TableLayout, stored: Omit<StoredRow, 'complete' | 'keys'>): Row {
  const columns = new Map(layout.columns.map(({ field }, index) => [field.name, stored.values[index]]));
  const { topic, partition, offset, timestampMs, sequence, key, keyText } = stored;
  if (stored.merge === null) {
    const fields: Record<string, unknown> = {};
    for (const [name, value] of columns) if (value !== null) fields[name] = value;
    if (layout.plan.owner !== '_key' && stored.owner !== null) fields[ownerField] = stored.owner;
    const stamp: Stamp = { topic, partition, offset, timestampMs, sequence: sequence ?? undefined, key };
    return [{ stamp, keyText, headers: parsed(stored.headers), fields }];
  }
  const parts = z.array(partSchema).parse(parsed(stored.merge));
  return parts.map(({ t, p, o, m, q, k, n, h, f, v }): Contribution => {
    const fields: Record<string, unknown> = { ...v };
    for (const name of f) fields[name] = (name === ownerField ? stored.owner : columns.get(name)) ?? null;
    const stamp: Stamp = { topic: t, partition: p, offset: o, timestampMs: m, sequence: q, key: k };
    return { stamp, keyText: n, headers: h, fields };
  });
}

function parsed(json: unknown): unknown {
  return typeof json === 'string' ? JSON.parse(json) : json;
}

/** One record, and none of its fields is null: then the columns alone tell all. */
function isSimple(row: Row): boolean {
  const [only, ...others] = row;
  return only !== undefined && others.length === 0 && Object.values(only.fields).every(value => value !== null);
}

function partsOf(row: Row): z.infer<typeof partSchema>[] {
  const seen = new Set<string>();
  return row.map(({ stamp, keyText, headers, fields }) => {
    const hidden: Record<string, unknown> = {};
    const visible: string[] = [];
    for (const [name, value] of Object.entries(fields)) {
      if (seen.has(name)) hidden[name] = value;
      else visible.push(name);
      seen.add(name);
    }
    return {
      t: stamp.topic,
      p: stamp.partition,
      o: stamp.offset,
      m: stamp.timestampMs,
      ...(stamp.sequence === undefined ? {} : { q: stamp.sequence }),
      k: stamp.key,
      n: keyText,
      ...(headers === undefined ? {} : { h: headers }),
      f: visible,
      ...(Object.keys(hidden).length === 0 ? {} : { v: hidden }),
    };
  });
}

/** A row shows once its non-null fields are known, those of the envelope included. */
function isComplete(layout: TableLayout, newest: Contribution, fields: Readonly<Record<string, unknown>>): boolean {
  return layout.plan.shape.fields.every(({ name, source, envelope, nonNull, value }) => {
    if (!nonNull) return true;
    if (!envelope) return fields[name] !== undefined && fields[name] !== null;
    if (source === '_key') return newest.keyText !== null;
    if (source === '_sequence') return newest.stamp.sequence !== undefined;
    return source !== '_timestamp' || value.kind !== 'DateTime' || isDateTime(newest.stamp.timestampMs);
  });
}

const earliestMs = Date.parse('0001-01-01T00:00:00.000Z');
const latestMs = Date.parse('9999-12-31T23:59:59.999Z');

function isDateTime(ms: number): boolean {
  return ms >= earliestMs && ms <= latestMs;
}
