import { type AppPlan, readRow, type TablePlan } from '../../lib/app/index.ts';
import { type KafkaRecord, sequenceOf } from '../../lib/kafka/index.ts';
import { keyHash, rowId, storableText } from '../../lib/views/index.ts';
import type { Contribution, Stamp } from './merge.ts';
import { ownerField } from './stored-row.ts';

/** What a record means to one table. */
export type Entry =
  | { kind: 'row'; id: string; contribution: Contribution }
  | { kind: 'tombstone'; stamp: Stamp }
  /** It lacks the id, or the table is none of its topic's. */
  | { kind: 'nothing' };

const nothing: Entry = { kind: 'nothing' };

/** Why a record feeds no table: it fits one of its topic's tables not. Undefined when it fits all; tombstones do. */
export function misfitOf(tables: AppPlan['tables'], record: KafkaRecord): string | undefined {
  if (record.value === null) return undefined;
  for (const table of tables.values()) {
    if (!table.topics.includes(record.topic)) continue;
    const reading = readRow(table, record);
    if (!reading.ok) return reading.reason;
  }
  return undefined;
}

/** Reads a record for a table. What doesn't fit is nothing here: {@link misfitOf} has judged it before. */
export function readEntry(table: TablePlan, record: KafkaRecord, headers: boolean): Entry {
  const topic = table.topics.indexOf(record.topic);
  if (topic < 0) return nothing;
  const stamp: Stamp = {
    topic,
    partition: record.partition,
    offset: record.offset,
    timestampMs: record.timestampMs,
    sequence: sequenceOf(record),
    key: keyHash(record.key)?.toString('hex') ?? '',
  };
  if (record.value === null) return stamp.key === '' ? nothing : { kind: 'tombstone', stamp };
  const reading = readRow(table, record);
  if (!reading.ok || !reading.hasId) return nothing;
  const { owner } = reading;
  const id = rowId(table.id.map(name => reading.fields[name]));
  const fields: Record<string, unknown> = {};
  for (const { name, envelope } of table.shape.fields) {
    // The envelope is the newest record's; the stamp has it already.
    if (!envelope && Object.hasOwn(reading.fields, name)) fields[name] = reading.fields[name];
  }
  if (table.owner !== '_key' && owner !== undefined) fields[ownerField] = owner;
  const contribution: Contribution = {
    stamp,
    keyText: storableKey(record.key),
    headers: headers ? headersOf(table, reading.fields) : undefined,
    fields,
  };
  return { kind: 'row', id: id.toString('hex'), contribution };
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
