import type { KafkaRecord } from '../kafka/types.ts';
import { compileShape } from './fill.ts';
import { decodeJsonObject, type JsonObject } from './json.ts';
import { Misfit } from './misfit.ts';
import type { TablePlan } from './plan.ts';

/**
 * What a record says about a row of a table. `fields` are the ones that are there, by GraphQL name; `hasId`: whether all
 * of the id's fields are among them (else it feeds nothing); `owner`: undefined where the record does not tell, null where
 * it says that there is none.
 */
export type RowReading =
  | { ok: true; fields: Record<string, unknown>; hasId: boolean; owner: string | null | undefined }
  | { ok: false; reason: string };

/** Reads a record for a table. A tombstone is a misfit here: it says something else and is told apart before. */
export function readRow(table: TablePlan, record: KafkaRecord): RowReading {
  const value = decodeJsonObject(record.value);
  if (value instanceof Misfit) return { ok: false, reason: value.toString() };
  const fields = compileShape(table.shape).read(value, record);
  if (fields instanceof Misfit) return { ok: false, reason: fields.toString() };
  const owner = ownerOf(table, value, record);
  if (owner instanceof Misfit) return { ok: false, reason: owner.toString() };
  return { ok: true, fields, hasId: table.id.every(name => Object.hasOwn(fields, name)), owner };
}

function ownerOf(table: TablePlan, value: JsonObject, record: KafkaRecord): string | null | undefined | Misfit {
  if (table.owner === '_key') return record.key?.toString('utf8');
  const raw = Object.hasOwn(value, table.owner) ? value[table.owner] : undefined;
  if (raw === undefined || raw === null) return raw;
  const text = Number.isSafeInteger(raw) ? String(raw) : raw;
  return typeof text === 'string' ? text : new Misfit('is the owner and must be a string or an integer', table.owner);
}
