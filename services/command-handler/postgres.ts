import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import pg from 'pg';
import type { LedgerQueries } from '../../lib/app/commands.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { migrations } from './schema.ts';

export interface PoolOptions {
  url: string;
  size: number;
  /**
   * A transaction that stands still for longer is ended by the server, ms: a stopped process must not hold locks that
   * its successor waits for.
   */
  transactionTimeoutMs: number;
}

/**
 * Everything here looks up keys, in tables that grow from nothing or are empty one moment and full the next. A plan made
 * from the statistics of the wrong moment reads all of a table for each batch (seen: all of the outbox for each row to
 * delete). So plans do without statistics: sequential scans are off, statements are planned once (which was a fifth of a
 * small batch's cost), and where a join could walk a whole index, a lateral subquery with OFFSET 0 keeps it a look-up.
 */
const keyLookupsOnly = 'SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off';

/** Pipelined: statements that do not depend on each other's answers travel together. */
export function openPool({ url, size, transactionTimeoutMs }: PoolOptions, log: Logger): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    idle_in_transaction_session_timeout: transactionTimeoutMs,
    statement_timeout: 4 * transactionTimeoutMs,
    query_timeout: 6 * transactionTimeoutMs,
    application_name: 'penstock-command-handler',
  });
  pool.on('error', error => log.warn({ reason: messageOf(error) }, 'an idle connection to PostgreSQL failed'));
  pool.on('connect', client => {
    // A client that is checked out and between two statements has nobody else to tell; its next statement fails.
    client.on('error', error => log.debug({ reason: messageOf(error) }, 'a connection to PostgreSQL failed'));
    client.query(keyLookupsOnly).catch(() => undefined);
  });
  return pool;
}

/** A query by its text; prepared once a connection. */
export function queriesOf(client: pg.ClientBase): LedgerQueries {
  return {
    async query<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      try {
        const { rows } = await client.query({ name: nameOf(text), text, values: [...values] });
        return rows as Row[];
      } catch (error) {
        if (error instanceof Error) ofPostgres.add(error);
        throw error;
      }
    },
  };
}

/**
 * What `send` sends before it returns leaves in one write: otherwise pg writes each statement by itself, and each write
 * wakes the server for nothing.
 */
export function together<T>(client: pg.ClientBase, send: () => T): T {
  const stream = (client as { connection?: { stream?: Partial<Writable> } }).connection?.stream;
  stream?.cork?.();
  try {
    return send();
  } finally {
    stream?.uncork?.();
  }
}

const ofPostgres = new WeakSet<Error>();

/** Whether an error that came out of an app was PostgreSQL's, or its connection's. */
export function isOfPostgres(error: unknown): boolean {
  return error instanceof Error && ofPostgres.has(error);
}

/** Runs the handler's and the app's DDL; one process at a time. */
export async function migrate(pool: pg.Pool, ofApp: readonly string[]): Promise<void> {
  const client = await pool.connect();
  let failed = true;
  try {
    await client.query('BEGIN');
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('penstock.command-handler'))`);
    for (const statement of [...migrations, ...ofApp]) await client.query(statement);
    await client.query('COMMIT');
    failed = false;
  } finally {
    client.release(failed);
  }
}

/** Waits for all, then rejects with the first reason in the order of the list: of pipelined statements, the cause. */
export async function allOf<T extends readonly unknown[]>(promises: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const results = await Promise.allSettled(promises as readonly Promise<unknown>[]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

const names = new Map<string, string>();
/** An app that builds its SQL anew for each batch gets unnamed statements instead of an endless cache. */
const maxNames = 200;

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= maxNames) return undefined;
  const name = `penstock_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
  names.set(text, name);
  return name;
}
