import type { Headers, KafkaRecord } from '../kafka/types.ts';
import { dateTimeOf } from './date-time.ts';
import type { EnvelopeField, ValueKind } from './plan.ts';

/** What each name of the envelope can be in a type; SafeInt for a time means milliseconds since 1970. */
const kinds: Readonly<Record<EnvelopeField, readonly ValueKind['kind'][]>> = {
  _key: ['ID', 'String'],
  _topic: ['String', 'ID'],
  _partition: ['Int', 'SafeInt'],
  _offset: ['SafeInt'],
  _timestamp: ['DateTime', 'SafeInt'],
  _sequence: ['SafeInt'],
  _headers: ['JSON'],
};

export function isEnvelopeField(name: string): name is EnvelopeField {
  return Object.hasOwn(kinds, name);
}

/** Why a type's field can't hold this part of the envelope. */
export function misfitOfEnvelope(name: EnvelopeField, value: ValueKind): string | undefined {
  const allowed = kinds[name];
  return allowed.includes(value.kind) ? undefined : `${name} can only be ${allowed.join(' or ')}`;
}

/** Reads one part of a record's envelope as a result holds it; undefined where the record has none. */
export function envelopeReader(name: EnvelopeField, kind: ValueKind['kind']): (record: KafkaRecord) => unknown {
  switch (name) {
    case '_key':
      return record => record.key?.toString('utf8');
    case '_topic':
      return record => record.topic;
    case '_partition':
      return record => record.partition;
    case '_offset':
      return record => record.offset;
    case '_timestamp':
      return kind === 'DateTime' ? record => dateTimeOf(record.timestampMs) : record => record.timestampMs;
    case '_sequence':
      return record => sequenceIn(record.headers);
    case '_headers':
      return record => headersAsJson(record.headers);
  }
}

function sequenceIn(headers: Headers): number | undefined {
  const header = headers.ce_keysequence;
  // Of a repeated header the last one counts, as everywhere (Java's lastHeader).
  const text = textOf(Array.isArray(header) ? header.at(-1) : header);
  if (text === undefined || !/^(?:0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** Each header's text; a list where the name came more than once. */
function headersAsJson(headers: Headers): Readonly<Record<string, unknown>> {
  const entries = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.map(textOf) : textOf(value)]),
  );
}

function textOf(value: Buffer | string | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.toString('utf8');
}
