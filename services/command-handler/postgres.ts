import type { Writable } from 'node:stream';
import type pg from 'pg';
import type { LedgerQueries } from '../../lib/app/commands.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { keyLookupsOnly, openPgPool, type PostgresAddress, preparedName } from '../../lib/postgres/index.ts';
import { migrations } from './schema.ts';

export interface PoolOptions {
  address: PostgresAddress;
  size: number;
  /**
   * A transaction that stands still for longer is ended by the server, ms: a stopped process must not hold locks that
   * its successor waits for.
   */
  transactionTimeoutMs: number;
  /** Asked about each new connection before anybody has it; one that it rejects is closed. */
  verify?(client: pg.ClientBase): Promise<void>;
}

/** Pipelined: statements that do not depend on each other's answers travel together. */
export function openPool({ address, size, transactionTimeoutMs, verify }: PoolOptions, log: Logger): pg.Pool {
  const pool = openPgPool(address, {
    onConnect: verify,
    max: size,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    idle_in_transaction_session_timeout: transactionTimeoutMs,
    statement_timeout: 4 * transactionTimeoutMs,
    query_timeout: 6 * transactionTimeoutMs,
    application_name: 'penstock-command-handler',
  });
  pool.on('error', error =>
    log.warn(
      { event: 'postgres_connection_failed', reason: messageOf(error) },
      'an idle connection to PostgreSQL failed',
    ),
  );
  pool.on('connect', client => {
    // A client that is checked out and between two statements has nobody else to tell; its next statement fails.
    client.on('error', error =>
      log.debug({ event: 'postgres_connection_broke', reason: messageOf(error) }, 'a connection to PostgreSQL failed'),
    );
    client.query(keyLookupsOnly).catch(() => undefined);
  });
  return pool;
}

/** A query by its text; prepared once a connection. */
export function queriesOf(client: pg.ClientBase): LedgerQueries {
  return {
    async query<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      try {
        const { rows } = await client.query({ name: preparedName(text), text, values: [...values] });
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
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('penstock.command-handler'))`);
    for (const statement of [...migrations, ...ofApp]) await client.query(statement);
    await client.query('COMMIT');
    failed = false;
  } finally {
    client.release(failed);
  }
}
