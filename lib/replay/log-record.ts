import { type Headers, type KafkaRecord, sequenceOf } from '../kafka/index.ts';
import type { StreamRecord } from './types.ts';

/** A record with what every stream would otherwise work out for itself. Shared by all of them: what it says never changes. */
export interface LogRecord extends StreamRecord {
  /** UTF-8 of the record's key; undefined where there is none, or it is not UTF-8: then it is nobody's. */
  key: string | undefined;
  /** Roughly what keeping it costs. */
  sizeBytes: number;
}

/** An offset, and the timestamp of the record that is there as far as known, else -1; its leader epoch likewise, else undefined. */
export interface Point {
  offset: number;
  timestampMs: number;
  leaderEpoch?: number;
}

const overheadBytes = 160;
/** A batch of no more than this many times the record is not worth a copy. */
const batchShare = 2;

export function logRecord(record: KafkaRecord): LogRecord {
  let sizeBytes = overheadBytes + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const name in record.headers) {
    const header = record.headers[name];
    sizeBytes += name.length + (typeof header === 'string' || Buffer.isBuffer(header) ? header.length : 64);
  }
  return { record, sequence: sequenceOf(record), key: keyOf(record.key), sizeBytes };
}

/**
 * A record's bytes are views of its whole batch: one that waits while others of the batch have gone would keep them
 * all, many times what it counts for. So it takes its own along. Once is enough, for all streams that it waits in.
 */
export function leaveBatch({ record, sizeBytes }: LogRecord): void {
  const { key, value, headers } = record;
  const heldBytes = (value ?? key)?.buffer.byteLength ?? 0;
  if (heldBytes <= batchShare * sizeBytes) return;
  const own = (bytes: Buffer): Buffer => {
    // Not from Node's pool: that would keep others' bytes as well.
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    return copy;
  };
  record.key = key && own(key);
  record.value = value && own(value);
  const copied: Record<string, Headers[string]> = {};
  for (const name in headers) {
    const header = headers[name];
    const ownOf = (part: Buffer | string) => (typeof part === 'string' ? part : own(part));
    copied[name] = Array.isArray(header) ? header.map(ownOf) : header && ownOf(header);
  }
  record.headers = copied;
}

export function pointOf({ record }: StreamRecord): Point {
  return pointAt(record.offset, record.timestampMs, record.leaderEpoch);
}

/** @param leaderEpoch as it comes from the wire: negative for none. */
export function pointAt(offset: number, timestampMs: number, leaderEpoch: number | undefined): Point {
  return leaderEpoch === undefined || leaderEpoch < 0 ? { offset, timestampMs } : { offset, timestampMs, leaderEpoch };
}

/** Returns the one of two points at the same offset of which more is known. */
export function betterKnown(one: Point, other: Point): Point {
  if (one.timestampMs >= 0 || other.timestampMs < 0) {
    return one.leaderEpoch === undefined && other.leaderEpoch !== undefined
      ? pointAt(one.offset, one.timestampMs, other.leaderEpoch)
      : one;
  }
  return pointAt(other.offset, other.timestampMs, other.leaderEpoch ?? one.leaderEpoch);
}

/** What a record says against being the one that was seen at its offset; undefined where there is none, or nothing does. */
export function differenceOf(found: Point | undefined, expected: Point): 'TRUNCATED' | 'TIMESTAMP_DIFFERS' | undefined {
  if (found === undefined) return undefined;
  if (differ(found.leaderEpoch, expected.leaderEpoch)) return 'TRUNCATED';
  return found.timestampMs === expected.timestampMs ? undefined : 'TIMESTAMP_DIFFERS';
}

/** Whether two leader epochs are known to be different ones. */
export function differ(one: number | undefined, other: number | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** The record at this offset, where there is one among these; they are in order of offset. */
export function recordAt(records: readonly LogRecord[], offset: number): Point | undefined {
  const first = records[0]?.record.offset;
  if (first === undefined || offset < first) return undefined;
  // Where no offset is missing, it is right there; where compaction left gaps, before that.
  for (let index = Math.min(offset - first, records.length - 1); index >= 0; index -= 1) {
    const found = records[index];
    if (found === undefined || found.record.offset < offset) return undefined;
    if (found.record.offset === offset) return pointOf(found);
  }
  return undefined;
}

function keyOf(key: Buffer | null): string | undefined {
  if (key === null) return undefined;
  const text = key.toString('utf8');
  // What is not UTF-8 decodes to U+FFFD: without this, such keys would all be that one user's.
  if (text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(key)) return undefined;
  return text;
}
