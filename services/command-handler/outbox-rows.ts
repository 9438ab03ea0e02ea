import type pg from 'pg';
import { bigintegers, integers, texts } from './binary-arrays.ts';
import type { OutboxRow, RowPlace } from './types.ts';

/** How much is read of the outbox at a time. */
export interface Limit {
  rows: number;
  /** Of values; a single row may be larger. */
  bytes: number;
}

/** Rows in order of partition, key and sequence. */
export interface Piece {
  rows: OutboxRow[];
  /** False when the limit has cut something off. */
  complete: boolean;
}

/** Keeps the beginning of an ordered select of outbox rows, up to so many bytes of values. */
export function within(select: string, bytes: string): string {
  return `SELECT ${columns}, stored.before_bytes::float8 AS "beforeBytes" FROM (
      SELECT cut.*, sum(octet_length(cut.value)) OVER (ORDER BY cut.partition, cut.user_key, cut.sequence) - octet_length(cut.value) AS before_bytes
      FROM (${select}) AS cut
    ) AS stored WHERE stored.before_bytes <= ${bytes} ORDER BY stored.partition, stored.user_key, stored.sequence`;
}

export function pieceOf(rows: readonly (StoredRow & { beforeBytes?: number })[], limit: Limit): Piece {
  const last = rows.at(-1);
  const bytes = last === undefined ? 0 : (last.beforeBytes ?? 0) + Buffer.byteLength(last.value);
  return { rows: rows.map(rowOf), complete: rows.length < limit.rows && bytes <= limit.bytes };
}

/** Deletes rows that are in the log, and only in the incarnation that is. */
export async function remove(pool: pg.Pool, rows: readonly RowPlace[]): Promise<void> {
  await pool.query({ name: 'penstock_remove', text: removal(1), values: [...placesOf(rows)] });
}

/**
 * The delete as SQL, its parameters ({@link placesOf}) from this number on. A row that was changed since it was looked up
 * is another incarnation: the condition on `repetition` is checked again on its new version.
 */
export function removal(first: number): string {
  const [partitions, keys, sequences, repetitions] = [first, first + 1, first + 2, first + 3];
  return `DELETE FROM penstock.outbox AS stored WHERE stored.repetition = ANY($${repetitions}::bigint[])
    AND stored.ctid = ANY(ARRAY(
      SELECT found.ctid FROM unnest($${partitions}::int[], $${keys}::text[], $${sequences}::bigint[], $${repetitions}::bigint[])
        AS gone(partition, user_key, sequence, repetition)
      CROSS JOIN LATERAL (
        SELECT each.ctid FROM penstock.outbox AS each
        WHERE each.partition = gone.partition AND each.user_key = gone.user_key AND each.sequence = gone.sequence
          AND each.repetition = gone.repetition OFFSET 0
      ) AS found
    ))`;
}

/** Which keys' rows a select of what is left is about. */
export type Scope = 'all' | 'announced' | 'old';

const scopes: Readonly<Record<Scope, string>> = {
  all: '',
  announced: 'AND hint.announced',
  old: `AND hint.written_at < clock_timestamp() - interval '1 second'`,
};

/** Rows in order of partition, key and sequence, and the partitions of which the limit has cut something off. */
export interface Remainder {
  rows: OutboxRow[];
  cut: ReadonlySet<number>;
}

/**
 * Every remaining row of the keys that have one in scope, key by key in order of sequence, as far as the limit goes:
 * of a partition's last key the end may be missing and never the beginning. Each partition has the same share of the limit,
 * so that many rows of one do not hide those of another.
 */
export async function remaining(
  client: pg.ClientBase | pg.Pool,
  partitions: readonly number[],
  scope: Scope,
  limit: Limit,
): Promise<Remainder> {
  const share = { rows: Math.ceil(limit.rows / partitions.length), bytes: limit.bytes / partitions.length };
  const { rows } = await client.query<StoredRow & { beforeBytes: number }>({
    name: `penstock_remaining_${scope}`,
    text: `SELECT ${columns}, stored.before_bytes::float8 AS "beforeBytes" FROM (
        SELECT cut.*, sum(octet_length(cut.value)) OVER (PARTITION BY cut.partition ORDER BY cut.user_key, cut.sequence)
          - octet_length(cut.value) AS before_bytes
        FROM unnest($1::int[]) AS asked(partition) CROSS JOIN LATERAL (
          SELECT stored.* FROM (
            WITH RECURSIVE keys AS (
              SELECT (${nextKey(scope)}) AS user_key
              UNION ALL SELECT (${nextKey(scope, 'keys.user_key')}) FROM keys WHERE keys.user_key IS NOT NULL
            ), first_keys AS MATERIALIZED (SELECT user_key FROM keys WHERE user_key IS NOT NULL LIMIT $2)
            SELECT user_key FROM first_keys ORDER BY user_key
          ) AS wanted CROSS JOIN LATERAL (
            SELECT * FROM penstock.outbox AS each
            WHERE each.partition = asked.partition AND each.user_key = wanted.user_key
            ORDER BY each.sequence LIMIT $2
          ) AS stored ORDER BY wanted.user_key, stored.sequence LIMIT $2
        ) AS cut
      ) AS stored WHERE stored.before_bytes <= $3 ORDER BY stored.partition, stored.user_key, stored.sequence`,
    values: [integers(partitions), share.rows, Math.floor(share.bytes)],
  });
  const cut = new Set<number>();
  const counts = new Map<number, number>();
  for (const { partition, beforeBytes, value } of rows) {
    const count = (counts.get(partition) ?? 0) + 1;
    counts.set(partition, count);
    if (count >= share.rows || beforeBytes + Buffer.byteLength(value) > share.bytes) cut.add(partition);
  }
  return { rows: rows.map(rowOf), cut };
}

/** Selects a partition's first key in scope, or the next one behind another: a key with a long backlog costs no more than others. */
function nextKey(scope: Scope, behind?: string): string {
  return `SELECT hint.user_key FROM penstock.outbox AS hint WHERE hint.partition = asked.partition
    ${behind === undefined ? '' : `AND hint.user_key > ${behind}`} ${scopes[scope]} ORDER BY hint.user_key LIMIT 1`;
}

/** Tells the handlers that listen whose partitions have got rows from somebody else. */
export async function announce(client: pg.ClientBase | pg.Pool, partitions: Iterable<number>): Promise<void> {
  const list = [...partitions].join();
  // A notification holds 8,000 bytes.
  await client.query('SELECT pg_notify($1, $2)', [channel, list.length < 7_000 ? list : everyPartition]);
}

export const channel = 'penstock_outbox';
export const everyPartition = '*';

export const columns = `stored.user_key AS key, stored.sequence::float8 AS sequence, stored.repetition::float8 AS repetition,
  stored.partition, stored.topic, stored.event_id AS "eventId",
  stored.command_id AS "commandId", stored.traceparent, stored.time_ms::float8 AS "timeMs", stored.value`;

export type StoredRow = Omit<OutboxRow, 'commandId' | 'traceparent' | 'appendedMs'> & {
  commandId: string | null;
  traceparent: string | null;
};

export function rowOf(row: StoredRow): OutboxRow {
  const { commandId, traceparent } = row;
  return {
    key: row.key,
    sequence: row.sequence,
    repetition: row.repetition,
    partition: row.partition,
    topic: row.topic,
    eventId: row.eventId,
    timeMs: row.timeMs,
    value: row.value,
    commandId: commandId ?? undefined,
    traceparent: traceparent ?? undefined,
    appendedMs: undefined,
  };
}

/** Columns of places: partitions, keys, sequences, repetitions. */
export function placesOf(rows: readonly RowPlace[]): readonly Buffer[] {
  return [
    integers(rows.map(({ partition }) => partition)),
    texts(rows.map(({ key }) => key)),
    bigintegers(rows.map(({ sequence }) => sequence)),
    bigintegers(rows.map(({ repetition }) => repetition)),
  ];
}
