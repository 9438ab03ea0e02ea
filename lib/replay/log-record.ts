import { type KafkaRecord, sequenceOf } from '../kafka/index.ts';
import type { StreamRecord } from './types.ts';

/** A record with what every stream would otherwise work out for itself. Shared by all of them: never changed. */
export interface LogRecord extends StreamRecord {
  /** UTF-8 of the record's key; undefined where there is none, or it is not UTF-8: then it is nobody's. */
  key: string | undefined;
  /** Roughly what keeping it costs. */
  sizeBytes: number;
}

/** An offset, and the timestamp of the record that is there as far as known, else -1. */
export interface Point {
  offset: number;
  timestampMs: number;
}

const overheadBytes = 160;

export function logRecord(record: KafkaRecord): LogRecord {
  let sizeBytes = overheadBytes + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const name in record.headers) {
    const header = record.headers[name];
    sizeBytes += name.length + (typeof header === 'string' || Buffer.isBuffer(header) ? header.length : 64);
  }
  return { record, sequence: sequenceOf(record), key: keyOf(record.key), sizeBytes };
}

export function pointOf({ record }: StreamRecord): Point {
  return { offset: record.offset, timestampMs: record.timestampMs };
}

function keyOf(key: Buffer | null): string | undefined {
  if (key === null) return undefined;
  const text = key.toString('utf8');
  // What is not UTF-8 decodes to U+FFFD: without this, such keys would all be that one user's.
  if (text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(key)) return undefined;
  return text;
}
