import type { KafkaRecord } from '../../../lib/kafka/index.ts';
import { headerText } from '../../../lib/kafka/index.ts';

/** What a table over these records must hold, worked out the slow way: all of the log at once. */
export interface ReferenceRow {
  id: string;
  fields: Record<string, unknown>;
}

interface Said {
  record: KafkaRecord;
  topic: number;
  key: string;
  sequence: number | undefined;
  body: Record<string, unknown> | undefined;
}

/**
 * @param topics the table's, in its order; `records` each partition in order.
 * @param fits which bodies feed the table at all.
 * @returns rows with all fields that are known, newest first.
 */
export function referenceRows(
  topics: readonly string[],
  records: readonly KafkaRecord[],
  fits: (body: Record<string, unknown>) => boolean,
): ReferenceRow[] {
  const passed = new Map<string, number>();
  const said: Said[] = [];
  for (const record of records) {
    const key = record.key?.toString() ?? '';
    const header = headerText(record.headers, 'ce_keysequence');
    const sequence = header === undefined ? undefined : Number(header);
    if (sequence !== undefined) {
      const place = `${record.topic} ${record.partition} ${key}`;
      if (sequence <= (passed.get(place) ?? -1)) continue;
      passed.set(place, sequence);
    }
    const body = record.value === null ? undefined : (JSON.parse(record.value.toString()) as Record<string, unknown>);
    if (body !== undefined && !fits(body)) continue;
    said.push({ record, topic: topics.indexOf(record.topic), key, sequence, body });
  }
  const tombstones = said.filter(({ body }) => body === undefined);
  const alive = said.filter(
    one => one.body !== undefined && !tombstones.some(grave => grave.key === one.key && isNewer(grave, one)),
  );
  const rows = [...Map.groupBy(alive, ({ body }) => String(body?.id))].map(([id, parts]) => {
    const names = new Set(parts.flatMap(({ body }) => Object.keys(body ?? {})));
    const newestOf = (name: string) => newest(parts.filter(({ body }) => body !== undefined && name in body));
    const fields = Object.fromEntries([...names].map(name => [name, newestOf(name).body?.[name]]));
    return { id, fields, newest: newest(parts) };
  });
  return rows.toSorted((a, b) => byPlace(b.newest, a.newest)).map(({ id, fields }) => ({ id, fields }));
}

/** The newest of each key by sequence, of those the newest by time. */
function newest(parts: readonly Said[]): Said {
  const lineages = Map.groupBy(parts, ({ key, sequence }) => `${key} ${sequence !== undefined}`);
  const heads = [...lineages.values()].map(lineage => lineage.reduce((a, b) => (isNewer(b, a) ? b : a)));
  return heads.reduce((a, b) => (byTime(b, a) > 0 ? b : a));
}

function isNewer(a: Said, b: Said): boolean {
  return a.sequence !== undefined && b.sequence !== undefined ? a.sequence > b.sequence : byTime(a, b) > 0;
}

function byTime(a: Said, b: Said): number {
  return (
    a.record.timestampMs - b.record.timestampMs ||
    a.record.offset - b.record.offset ||
    a.topic - b.topic ||
    a.record.partition - b.record.partition
  );
}

function byPlace(a: Said, b: Said): number {
  return (
    a.record.timestampMs - b.record.timestampMs ||
    a.record.partition - b.record.partition ||
    a.record.offset - b.record.offset ||
    a.topic - b.topic
  );
}
