import type { KafkaRecord } from '../../lib/kafka/types.ts';

/** A record as a reader would give it, around a value: text and bytes as they are, anything else as JSON. */
export function recordOf(value: unknown, more: Partial<KafkaRecord> = {}): KafkaRecord {
  return {
    topic: 't',
    partition: 3,
    offset: 42,
    timestampMs: Date.parse('2026-07-31T10:00:00.000Z'),
    key: Buffer.from('alice'),
    value: bytesOf(value),
    headers: {},
    ...more,
  };
}

function bytesOf(value: unknown): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}
