import { type AppPlan, readRow, type TablePlan } from '../../lib/app/index.ts';
import type { RowReading } from '../../lib/app/rows.ts';
import { type KafkaRecord, sequenceOf } from '../../lib/kafka/index.ts';
import { fingerprintOf, keyHash, rowId, storableText, type TableVersion } from '../../lib/views/index.ts';
import type { Contribution, Stamp } from './merge.ts';
import { ownerField } from './stored-row.ts';

/** A record, taken apart once for all tables. */
export interface ReadRecord {
  record: KafkaRecord;
  /** Hex of the key's hash; empty without a key. */
  key: string;
  sequence: number | undefined;
  /** Why it feeds no table: it fits one of its topic's tables not. Tombstones fit all. */
  misfit: string | undefined;
  /** What it says to the app's tables, by their fingerprints. */
  readings: ReadonlyMap<string, RowReading>;
}

/** What a record means to one version of a table. */
export type Entry =
  | { kind: 'row'; id: string; contribution: Contribution }
  | { kind: 'tombstone'; stamp: Stamp }
  /** It lacks the id, or the table is none of its topic's. */
  | { kind: 'nothing' };

const nothing: Entry = { kind: 'nothing' };

/** @param tables all of the app's: a record that fits one of them not feeds none. */
export function readRecord(tables: AppPlan['tables'], record: KafkaRecord): ReadRecord {
  const readings = new Map<string, RowReading>();
  let misfit: string | undefined;
  if (record.value !== null) {
    for (const table of tables.values()) {
      if (!table.topics.includes(record.topic)) continue;
      const reading = readRow(table, record);
      readings.set(fingerprintOf(table), reading);
      if (!reading.ok) misfit ??= reading.reason;
    }
  }
  const key = keyHash(record.key)?.toString('hex') ?? '';
  return { record, key, sequence: sequenceOf(record), misfit, readings };
}

/** What doesn't fit the version's own schema, which may be an older one, is nothing to it. */
export function entryOf({ plan, layout, fingerprint }: TableVersion, read: ReadRecord): Entry {
  const { record, key, sequence } = read;
  const topic = plan.topics.indexOf(record.topic);
  if (topic < 0) return nothing;
  const { partition, offset, timestampMs } = record;
  const stamp: Stamp = { topic, partition, offset, timestampMs, sequence, key };
  if (record.value === null) return key === '' ? nothing : { kind: 'tombstone', stamp };
  const reading = read.readings.get(fingerprint) ?? readRow(plan, record);
  if (!reading.ok || !reading.hasId) return nothing;
  const id = rowId(plan.id.map(name => reading.fields[name]));
  const contribution: Contribution = {
    stamp,
    keyText: storableKey(record.key),
    headers: layout.headers ? headersOf(plan, reading.fields) : undefined,
    fields: fieldsOf(plan, reading),
  };
  return { kind: 'row', id: id.toString('hex'), contribution };
}

/** Without the envelope's, which are the newest record's: the stamp has them already. */
function fieldsOf(plan: TablePlan, { fields, owner }: RowReading & { ok: true }): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, envelope } of plan.shape.fields) {
    if (!envelope && Object.hasOwn(fields, name)) found[name] = fields[name];
  }
  if (plan.owner !== '_key' && owner !== undefined) found[ownerField] = owner;
  return found;
}

/** A key need not be text; one that no text column can hold shows as null. */
function storableKey(key: Buffer | null): string | null {
  const text = key?.toString('utf8');
  return text === undefined || storableText(text) !== text ? null : text;
}

function headersOf(table: TablePlan, fields: Readonly<Record<string, unknown>>): unknown {
  const field = table.shape.fields.find(({ source, envelope }) => envelope && source === '_headers');
  return field && fields[field.name];
}
