import pg from 'pg';
import { loadCommands } from '../../lib/app/index.ts';
import { migrateAuth } from '../../lib/auth/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { openPgPool, requireSessions, TransactionPoolingError } from '../../lib/postgres/index.ts';
import { migrate } from '../../services/command-handler/postgres.ts';
import type { Queries } from '../../services/projector/store.ts';
import { migrateViews } from '../../services/projector/versions.ts';
import { untilDone } from '../run-job.ts';
import type { SetUp } from './options.ts';

/**
 * The longest wait for a lock, ms. Statements of the running services queue up behind a change of a table that waits: after this time
 * it lets them pass, and is tried again.
 */
const lockTimeoutMs = 2_000;
const statementTimeoutMs = 60_000;

/**
 * Creates the tables of the services that are named, and adds columns that they lack. It waits for PostgreSQL. It never touches rows, nor
 * which versions of a view are live: that stays with the projectors, which know what they have read.
 * @throws ConfigError; Error when PostgreSQL refuses a statement, or is behind a pooler in transaction mode.
 */
export async function createTables({ env, services, log }: SetUp): Promise<void> {
  const config = readConfig(catalogue, ['app', 'postgres'], env);
  const { folder } = config.app;
  const needsApp = services.has('command-handler');
  if (needsApp && folder === undefined)
    throw new Error('PENSTOCK_APP_FOLDER is required: the app has tables of its own');
  const app = needsApp && folder !== undefined ? await loadCommands(folder) : undefined;
  const pool = openPgPool(config.postgres, {
    max: 1,
    application_name: 'penstock-setup',
    connectionTimeoutMillis: 5_000,
    query_timeout: statementTimeoutMs + 5_000,
    statement_timeout: statementTimeoutMs,
    onConnect: async (client: pg.ClientBase) => void (await client.query(`SET lock_timeout = ${lockTimeoutMs}`)),
  });
  pool.on('error', error =>
    log.debug({ event: 'postgres_connection_broke', reason: messageOf(error) }, 'a connection to PostgreSQL failed'),
  );

  const parts: readonly (readonly [service: string, create: () => Promise<void>])[] = [
    ['router', () => inTransaction(pool, migrateAuth)],
    ['command-handler', () => migrate(pool, app?.migrations ?? [])],
    ['projector', () => inTransaction(pool, migrateViews)],
  ];
  try {
    await untilDone('connecting to PostgreSQL', () => requireSessions(config.postgres), isFinal, log);
    for (const [service, create] of parts) {
      if (!services.has(service)) continue;
      await untilDone(`tables of ${service}`, create, isFinal, log);
      log.info({ event: 'tables_ready', tables: service }, 'tables are there');
    }
  } finally {
    await pool.end();
  }
}

async function inTransaction(pool: pg.Pool, work: (queries: Queries) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  let failed = true;
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    await work({
      query: async <Row>(sql: string, values: readonly unknown[] = []) =>
        (await client.query(sql, [...values])).rows as Row[],
    });
    await client.query('COMMIT');
    failed = false;
  } finally {
    client.release(failed);
  }
}

/** Rights that are missing (42501) and statements that can't be run (class 42, 0A) stay so. */
function isFinal(error: unknown): boolean {
  if (error instanceof TransactionPoolingError) return true;
  return error instanceof pg.DatabaseError && ['42', '0A'].includes((error.code ?? '').slice(0, 2));
}
