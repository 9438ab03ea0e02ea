import type pg from 'pg';
import type { CommandName, PlannedRow } from './decide-batch.ts';
import { columns, type Limit, type Piece, pieceOf, rowOf, type StoredRow, within } from './outbox-rows.ts';
import type { OutboxRow, Span } from './types.ts';

/** Named statements of a batch's transaction. All may be pipelined; each sees what is committed when it starts. */

/** Moves the positions of partitions that are still claimed with this epoch and stand where the batch begins. */
export async function fence(
  client: pg.ClientBase,
  spans: readonly Span[],
): Promise<{ topic: string; partition: number }[]> {
  const { rows } = await client.query({
    name: 'penstock_fence',
    text: `WITH wanted AS (
        SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
          AS wanted(topic, partition, epoch, from_offset, to_offset)
      )
      UPDATE penstock.command_positions AS stored SET position = wanted.to_offset FROM wanted
      WHERE stored.topic = wanted.topic AND stored.partition = wanted.partition
        AND stored.epoch = wanted.epoch AND stored.position = wanted.from_offset
      RETURNING stored.topic, stored.partition`,
    values: [
      spans.map(({ topic }) => topic),
      spans.map(({ partition }) => partition),
      spans.map(({ epoch }) => epoch),
      spans.map(({ fromOffset }) => fromOffset),
      spans.map(({ toOffset }) => toOffset),
    ],
  });
  return rows;
}

/** Which of these commands have a verdict. */
export async function lookUp(client: pg.ClientBase, names: readonly CommandName[]): Promise<CommandName[]> {
  const { rows } = await client.query({
    name: 'penstock_look_up',
    text: `SELECT user_key AS key, command_id AS "commandId" FROM penstock.verdicts
      JOIN unnest($1::text[], $2::text[]) AS wanted(user_key, command_id) USING (user_key, command_id)`,
    values: [names.map(({ key }) => key), names.map(({ commandId }) => commandId)],
  });
  return rows;
}

/** Locks the keys in order and takes sequence numbers for their new rows. Returns each key's last number. */
export async function reserve(
  client: pg.ClientBase,
  counts: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ key: string; last: number }>({
    name: 'penstock_reserve',
    text: `INSERT INTO penstock.key_sequences AS stored (user_key, sequence)
      SELECT user_key, count FROM unnest($1::text[], $2::bigint[]) AS wanted(user_key, count)
      ORDER BY user_key COLLATE "C"
      ON CONFLICT (user_key) DO UPDATE SET sequence = stored.sequence + excluded.sequence
      RETURNING user_key AS key, sequence::float8 AS last`,
    values: [[...counts.keys()], [...counts.values()]],
  });
  return new Map(rows.map(({ key, last }) => [key, last]));
}

/** Writes outbox and verdicts with the numbers that {@link reserve} has taken; its answer need not be awaited. */
export async function write(
  client: pg.ClientBase,
  rows: readonly PlannedRow[],
  counts: ReadonlyMap<string, number>,
  isForeign: (partition: number) => boolean,
): Promise<void> {
  await client.query({
    name: 'penstock_write',
    text: `WITH written AS MATERIALIZED (
        SELECT written.*, reserved.sequence - written.back AS sequence
        FROM unnest($1::text[], $2::bigint[], $3::int[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bigint[], $10::text[])
          AS written(user_key, back, partition, announced, topic, event_id, command_id, traceparent, time_ms, value)
        JOIN penstock.key_sequences AS reserved USING (user_key)
      ), verdicts AS (
        INSERT INTO penstock.verdicts
          (user_key, command_id, sequence, topic, event_id, traceparent, time_ms, value)
        SELECT user_key, command_id, sequence, topic, event_id, traceparent, time_ms, value
        FROM written WHERE command_id IS NOT NULL
      )
      INSERT INTO penstock.outbox
        (user_key, sequence, repetition, partition, announced, topic, event_id, command_id, traceparent, time_ms, value)
      SELECT user_key, sequence, 0, partition, announced, topic, event_id, command_id, traceparent, time_ms, value
      FROM written`,
    values: [
      rows.map(({ key }) => key),
      rows.map(({ key, nth }) => (counts.get(key) ?? 0) - nth),
      rows.map(({ partition }) => partition),
      rows.map(({ partition }) => isForeign(partition)),
      rows.map(({ topic }) => topic),
      rows.map(({ eventId }) => eventId),
      rows.map(({ commandId }) => commandId),
      rows.map(({ traceparent }) => traceparent),
      rows.map(({ timeMs }) => timeMs),
      rows.map(({ value }) => value),
    ],
  });
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
      JOIN penstock.verdicts USING (user_key, command_id)
      ORDER BY user_key COLLATE "C", sequence
      ON CONFLICT (partition, user_key, sequence) DO UPDATE
        SET repetition = excluded.repetition, announced = stored.announced OR excluded.announced
      RETURNING ${columns}`,
    values: [
      names.map(({ key }) => key),
      names.map(({ commandId }) => commandId),
      partitions,
      partitions.map(isForeign),
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
 * Must be a statement of its own behind {@link reserve}: only then does it see all that was committed before the keys
 * were locked.
 */
export async function rest(client: pg.ClientBase, keys: readonly Beyond[], limit: Limit): Promise<Piece> {
  const { rows } = await client.query<StoredRow>({
    name: 'penstock_rest',
    text: within(
      `SELECT stored.* FROM unnest($1::int[], $2::text[], $3::bigint[]) AS wanted(partition, user_key, above)
      JOIN penstock.outbox AS stored ON stored.partition = wanted.partition AND stored.user_key = wanted.user_key
        AND stored.sequence > wanted.above
      WHERE stored.xmin <> pg_current_xact_id()::xid
      ORDER BY stored.partition, stored.user_key, stored.sequence LIMIT $4`,
      '$5',
    ),
    values: [
      keys.map(({ partition }) => partition),
      keys.map(({ key }) => key),
      keys.map(({ above }) => above),
      limit.rows,
      limit.bytes,
    ],
  });
  return pieceOf(rows, limit);
}
