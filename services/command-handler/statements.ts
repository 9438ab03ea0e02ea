import type pg from 'pg';
import { bigintegers, booleans, integers, texts } from './binary-arrays.ts';
import type { CommandName, PlannedRow } from './decide-batch.ts';
import {
  columns,
  type Limit,
  type Piece,
  pieceOf,
  placesOf,
  removal,
  rowOf,
  type StoredRow,
  within,
} from './outbox-rows.ts';
import type { OutboxRow, RowPlace, Span } from './types.ts';

/** Named statements of a batch's transaction. All may be pipelined; each sees what is committed when it starts. */

/** What a transaction finds when it begins. */
export interface Opening {
  /** Partitions whose claim holds and whose position was where the batch begins; it is moved to where the batch ends. */
  moved: readonly { topic: string; partition: number }[];
  /** Commands that have a verdict. */
  decided: readonly CommandName[];
}

/**
 * The fence, and the verdicts that are there already. One statement: had somebody else decided one of the commands while
 * this waits for the positions, then those have moved on, and the fence shuts.
 */
export async function open(
  client: pg.ClientBase,
  spans: readonly Span[],
  names: readonly CommandName[],
): Promise<Opening> {
  const { rows } = await client.query<{ topic: string | null; partition: number; key: string; commandId: string }>({
    name: 'penstock_open',
    text: `WITH wanted AS (
        SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $8::int[])
          AS wanted(topic, partition, epoch, from_offset, to_offset, leader_epoch)
      ), moved AS (
        UPDATE penstock.command_positions AS stored SET position = wanted.to_offset,
          leader_epoch = NULLIF(wanted.leader_epoch, -1), leader_epoch_at = wanted.to_offset FROM wanted
        WHERE stored.topic = wanted.topic AND stored.partition = wanted.partition
          AND stored.epoch = wanted.epoch AND stored.position = wanted.from_offset
        RETURNING stored.topic, stored.partition
      )
      SELECT topic, partition, NULL AS key, NULL AS "commandId" FROM moved
      UNION ALL SELECT NULL, NULL, named.user_key, named.command_id
      FROM unnest($6::text[], $7::text[]) AS named(user_key, command_id) CROSS JOIN LATERAL (
        SELECT FROM penstock.verdicts AS stored
        WHERE stored.user_key = named.user_key AND stored.command_id = named.command_id OFFSET 0
      ) AS found`,
    values: [
      texts(spans.map(({ topic }) => topic)),
      integers(spans.map(({ partition }) => partition)),
      bigintegers(spans.map(({ epoch }) => epoch)),
      bigintegers(spans.map(({ fromOffset }) => fromOffset)),
      bigintegers(spans.map(({ toOffset }) => toOffset)),
      texts(names.map(({ key }) => key)),
      texts(names.map(({ commandId }) => commandId)),
      integers(spans.map(({ toLeaderEpoch = -1 }) => toLeaderEpoch)),
    ],
  });
  const back = spans.filter(({ fromOffset, toOffset }) => toOffset < fromOffset);
  if (back.length > 0) await keepCut(client, back);
  const moved: { topic: string; partition: number }[] = [];
  const decided: CommandName[] = [];
  for (const { topic, partition, key, commandId } of rows) {
    if (topic === null) decided.push({ key, commandId });
    else moved.push({ topic, partition });
  }
  return { moved, decided };
}

/**
 * Keeps up to where positions had come that go back with this transaction, because their logs were cut: other handlers and the
 * group may remember the old ones, which are no evidence of a lost ledger any more (evidence.ts).
 */
async function keepCut(client: pg.ClientBase, spans: readonly Span[]): Promise<void> {
  await client.query(
    `INSERT INTO penstock.reconciled_logs AS stored (topic, partition, topic_id, end_offset)
      SELECT topic, partition, position.topic_id, cut.from_offset
      FROM unnest($1::text[], $2::int[], $3::bigint[]) AS cut(topic, partition, from_offset)
      JOIN penstock.command_positions AS position USING (topic, partition) WHERE position.topic_id IS NOT NULL
      ORDER BY topic COLLATE "C", partition
      ON CONFLICT (topic, partition) DO UPDATE SET topic_id = excluded.topic_id, end_offset = CASE
        WHEN stored.topic_id = excluded.topic_id THEN GREATEST(stored.end_offset, excluded.end_offset) ELSE excluded.end_offset END`,
    [
      texts(spans.map(({ topic }) => topic)),
      integers(spans.map(({ partition }) => partition)),
      bigintegers(spans.map(({ fromOffset }) => fromOffset)),
    ],
  );
}

/**
 * Locks the keys in order, takes sequence numbers for their new rows, writes outbox and verdicts with them, and deletes
 * acknowledged rows. Returns each key's last number.
 */
export async function record(
  client: pg.ClientBase,
  rows: readonly PlannedRow[],
  counts: ReadonlyMap<string, number>,
  isForeign: (partition: number) => boolean,
  acknowledged: readonly RowPlace[],
): Promise<Map<string, number>> {
  const { rows: reserved } = await client.query<{ key: string; last: number }>({
    name: 'penstock_record',
    text: `WITH reserved AS (
        INSERT INTO penstock.key_sequences AS stored (user_key, sequence)
        SELECT user_key, count FROM unnest($1::text[], $2::bigint[]) AS wanted(user_key, count)
        ORDER BY user_key COLLATE "C"
        ON CONFLICT (user_key) DO UPDATE SET sequence = stored.sequence + excluded.sequence
        RETURNING user_key, sequence
      ), written AS MATERIALIZED (
        SELECT written.*, reserved.sequence - written.back AS sequence
        FROM unnest($3::text[], $4::bigint[], $5::int[], $6::boolean[], $7::text[], $8::text[], $9::text[], $10::text[],
            $11::bigint[], $12::text[])
          AS written(user_key, back, partition, announced, topic, event_id, command_id, traceparent, time_ms, value)
        JOIN reserved USING (user_key)
      ), verdicts AS (
        INSERT INTO penstock.verdicts
          (user_key, command_id, sequence, topic, event_id, traceparent, time_ms, value)
        SELECT user_key, command_id, sequence, topic, event_id, traceparent, time_ms, value
        FROM written WHERE command_id IS NOT NULL
      ), outbox AS (
        INSERT INTO penstock.outbox
          (user_key, sequence, repetition, partition, announced, topic, event_id, command_id, traceparent, time_ms, value)
        SELECT user_key, sequence, 0, partition, announced, topic, event_id, command_id, traceparent, time_ms, value
        FROM written
      ), gone AS (
        ${removal(13)}
      )
      SELECT user_key AS key, sequence::float8 AS last FROM reserved`,
    values: [
      texts([...counts.keys()]),
      bigintegers([...counts.values()]),
      texts(rows.map(({ key }) => key)),
      bigintegers(rows.map(({ key, nth }) => (counts.get(key) ?? 0) - nth)),
      integers(rows.map(({ partition }) => partition)),
      booleans(rows.map(({ partition }) => isForeign(partition))),
      texts(rows.map(({ topic }) => topic)),
      texts(rows.map(({ eventId }) => eventId)),
      texts(rows.map(({ commandId }) => commandId)),
      texts(rows.map(({ traceparent }) => traceparent)),
      bigintegers(rows.map(({ timeMs }) => timeMs)),
      texts(rows.map(({ value }) => value)),
      ...placesOf(acknowledged),
    ],
  });
  return new Map(reserved.map(({ key, last }) => [key, last]));
}

/** Puts stored verdicts into the outbox once more, under their original sequence numbers. */
export async function repeat(
  client: pg.ClientBase,
  names: readonly CommandName[],
  partitionOf: (key: string) => number,
  isForeign: (partition: number) => boolean,
): Promise<OutboxRow[]> {
  const partitions = names.map(({ key }) => partitionOf(key));
  const { rows } = await client.query<StoredRow>({
    name: 'penstock_repeat',
    text: `INSERT INTO penstock.outbox AS stored
        (user_key, sequence, repetition, partition, announced, topic, event_id, command_id, traceparent, time_ms, value)
      SELECT user_key, sequence, nextval('penstock.repetition'), wanted.partition, wanted.announced, topic, event_id,
        command_id, traceparent, time_ms, value
      FROM unnest($1::text[], $2::text[], $3::int[], $4::boolean[]) AS wanted(user_key, command_id, partition, announced)
      CROSS JOIN LATERAL (
        SELECT sequence, topic, event_id, traceparent, time_ms, value FROM penstock.verdicts AS stored
        WHERE stored.user_key = wanted.user_key AND stored.command_id = wanted.command_id OFFSET 0
      ) AS verdict
      ORDER BY user_key COLLATE "C", sequence
      ON CONFLICT (partition, user_key, sequence) DO UPDATE
        SET repetition = excluded.repetition, announced = stored.announced OR excluded.announced
      RETURNING ${columns}`,
    values: [
      texts(names.map(({ key }) => key)),
      texts(names.map(({ commandId }) => commandId)),
      integers(partitions),
      booleans(partitions.map(isForeign)),
    ],
  });
  return rows.map(rowOf);
}

/** A key whose rows are asked for, but for those that memory knows: they reach up to `above`. */
export interface Beyond {
  key: string;
  partition: number;
  above: number;
}

/**
 * Remaining rows of these keys that neither memory knows nor this transaction has written, as far as the limit goes.
 * Must be a statement of its own behind {@link record}: only then does it see all that was committed before the keys
 * were locked.
 */
export async function rest(client: pg.ClientBase, keys: readonly Beyond[], limit: Limit): Promise<Piece> {
  const { rows } = await client.query<StoredRow>({
    name: 'penstock_rest',
    text: within(
      `SELECT stored.* FROM unnest($1::int[], $2::text[], $3::bigint[]) AS wanted(partition, user_key, above)
      CROSS JOIN LATERAL (
        SELECT * FROM penstock.outbox AS each
        WHERE each.partition = wanted.partition AND each.user_key = wanted.user_key AND each.sequence > wanted.above
          AND each.xmin <> pg_current_xact_id()::xid
        ORDER BY each.sequence LIMIT $4
      ) AS stored
      ORDER BY stored.partition, stored.user_key, stored.sequence LIMIT $4`,
      '$5',
    ),
    values: [
      integers(keys.map(({ partition }) => partition)),
      texts(keys.map(({ key }) => key)),
      bigintegers(keys.map(({ above }) => above)),
      limit.rows,
      limit.bytes,
    ],
  });
  return pieceOf(rows, limit);
}
