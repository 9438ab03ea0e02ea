import type pg from 'pg';
import { texts } from './binary-arrays.ts';
import type { Known, Trace } from './evidence.ts';

/** A ledger that has gone back, and that nobody has reconciled with the log yet. */
export interface LedgerFault {
  reason: string;
  detectedAt: string;
}

/**
 * By how much every epoch rises when a ledger is found to have gone back. It had forgotten claims: a handler that still
 * remembers one of them must never meet its own epoch again.
 */
const epochStep = 1_000_000;

export async function readFault(client: pg.ClientBase | pg.Pool): Promise<LedgerFault | undefined> {
  const { rows } = await client.query<LedgerFault>({
    name: 'penstock_ledger_fault',
    text: `SELECT reason, to_char(detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "detectedAt"
      FROM penstock.ledger_fault`,
  });
  return rows[0];
}

/**
 * Stops the commands of the whole database, and not of one partition: all partitions draw sequence numbers for each other's keys, so
 * that one whose own position is right may still give a number away twice. Raises every epoch with it, in one
 * statement: each handler's next transaction is fenced, and when it claims again it finds the fault. A fault that is known stays.
 */
export async function recordFault(client: pg.ClientBase | pg.Pool, reason: string): Promise<void> {
  await client.query(
    `WITH recorded AS (
      INSERT INTO penstock.ledger_fault (reason) VALUES ($1) ON CONFLICT DO NOTHING RETURNING reason
    ), locked AS MATERIALIZED (
      SELECT topic, partition FROM penstock.command_positions ORDER BY topic, partition FOR UPDATE
    )
    UPDATE penstock.command_positions AS stored SET epoch = stored.epoch + $2 FROM locked, recorded
    WHERE stored.topic = locked.topic AND stored.partition = locked.partition`,
    [reason, epochStep],
  );
}

/** What the ledger has of each trace, in their order. */
export async function knownOf(client: pg.ClientBase | pg.Pool, traces: readonly Trace[]): Promise<Known[]> {
  const { rows } = await client.query<{ sequence: number; verdictId: string | null }>({
    name: 'penstock_known',
    text: `SELECT COALESCE(last.sequence, 0)::float8 AS sequence, verdict.event_id AS "verdictId"
      FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS seen(user_key, command_id, place)
      LEFT JOIN LATERAL (
        SELECT sequence FROM penstock.key_sequences AS stored WHERE stored.user_key = seen.user_key OFFSET 0
      ) AS last ON true
      LEFT JOIN LATERAL (
        SELECT event_id FROM penstock.verdicts AS stored
        WHERE stored.user_key = seen.user_key AND stored.command_id = seen.command_id OFFSET 0
      ) AS verdict ON true
      ORDER BY seen.place`,
    values: [texts(traces.map(({ key }) => key)), texts(traces.map(({ commandId }) => commandId))],
  });
  return rows.map(({ sequence, verdictId }) => ({ sequence, verdictId: verdictId ?? undefined }));
}

/** A log of which others' memory counts no more up to `endOffset`: `ledger-reconcile` has dealt with it, or it was cut. */
export interface ReconciledLog {
  topic: string;
  partition: number;
  topicId: string;
  endOffset: number;
}

export async function reconciledLogs(client: pg.ClientBase | pg.Pool): Promise<ReconciledLog[]> {
  const { rows } = await client.query<ReconciledLog>({
    name: 'penstock_reconciled',
    text: `SELECT topic, partition, topic_id AS "topicId", end_offset::float8 AS "endOffset" FROM penstock.reconciled_logs`,
  });
  return rows;
}
