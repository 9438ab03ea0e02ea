import type { OutgoingRecord } from '../../lib/kafka/index.ts';
import type { OutboxRow } from './types.ts';

/** `ce_source` of everything that follows from a command. */
export const eventSource = '/penstock/command-handler';
/** Of a value that Kafka refuses for its size, fields that need no more than this are kept, bytes of JSON. */
const stubFieldBytes = 256;

/**
 * Returns an event as it lies in the log: CloudEvents 1.0, Kafka protocol binding, binary content mode.
 * @param traceparent of the span that produces it, where there is one.
 */
export function eventRecord(row: OutboxRow, traceparent = row.traceparent): OutgoingRecord {
  return {
    key: row.key,
    value: row.value,
    headers: {
      ce_specversion: '1.0',
      ce_id: row.eventId,
      ce_type: row.topic,
      ce_source: eventSource,
      ce_time: new Date(row.timeMs).toISOString(),
      ce_keysequence: String(row.sequence),
      'content-type': 'application/json',
      ...(row.commandId === undefined ? {} : { ce_commandid: row.commandId, ce_final: 'true' }),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
  };
}

/**
 * What goes out in place of an event that can never be written: the same sequence, so that the key goes on, with the
 * small fields of its value; with `bare`, none.
 */
export function stubRecord(row: OutboxRow, bare: boolean, traceparent = row.traceparent): OutgoingRecord {
  const fields = bare ? [] : Object.entries(JSON.parse(row.value) as Record<string, unknown>);
  const small = fields.filter(([, field]) => Buffer.byteLength(JSON.stringify(field) ?? '') <= stubFieldBytes);
  const record = eventRecord(row, traceparent);
  return {
    ...record,
    value: JSON.stringify(Object.fromEntries(small)),
    headers: { ...record.headers, penstock_stub: 'true' },
  };
}
