import { isUtf8 } from 'node:buffer';
import { Misfit } from './misfit.ts';

/** Deeper values are refused: what walks them later (JSON.stringify, PostgreSQL) has a stack to run out of. */
export const deepestJson = 100;

export type JsonObject = Readonly<Record<string, unknown>>;

/** A record's value as a JSON object, or why it is none. Reasons never quote the value. */
export function decodeJsonObject(bytes: Buffer | null): JsonObject | Misfit {
  if (bytes === null) return new Misfit('the record is a tombstone: it has no value');
  if (!isUtf8(bytes)) return new Misfit('the value is not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return new Misfit('the value is not JSON');
  }
  return isJsonObject(value) ? value : new Misfit('the value is not a JSON object');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Why a JSON value can't be handed on as it is; `depth` counts the objects and lists around it. */
export function faultOfJson(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'number' && !Number.isFinite(value)) return 'holds a number out of range';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= deepestJson) return `is nested deeper than ${deepestJson}`;
  for (const item of Object.values(value)) {
    const fault = faultOfJson(item, depth + 1);
    if (fault) return fault;
  }
  return undefined;
}
