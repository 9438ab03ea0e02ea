import type { Headers, KafkaRecord } from './types.ts';

/** A header's text; of a repeated header the last one counts (as for Java's `lastHeader`). Undefined when absent. */
export function headerText(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  const last = Array.isArray(value) ? value.at(-1) : value;
  if (last === undefined || last === null) return undefined;
  return typeof last === 'string' ? last : last.toString('utf8');
}

const digits = /^(?:0|[1-9]\d{0,15})$/;

/** Header `ce_keysequence` where it is a non-negative safe integer in plain decimal digits, else undefined. */
export function sequenceOf(record: Pick<KafkaRecord, 'headers'>): number | undefined {
  const text = headerText(record.headers, 'ce_keysequence');
  if (text === undefined || !digits.test(text)) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** The key as UTF-8 text; undefined for a null key. */
export function keyText(record: Pick<KafkaRecord, 'key'>): string | undefined {
  return record.key === null ? undefined : record.key.toString('utf8');
}
