import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { messageOf, PenstockError } from '../errors.ts';
import type { Closable, Ops } from '../ops/index.ts';
import { openPgPool, type PostgresConfig, readCommitted, requireSessions } from '../postgres/index.ts';
import { migrations } from './schema.ts';

export interface Queries {
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The routers' PostgreSQL: users, failed logins, signing keys. It may be away at start and go away at any time. */
export interface AuthDatabase extends Queries, Closable {
  /** @throws PenstockError UNAVAILABLE while PostgreSQL is away or the tables are not there yet; other errors are defects. */
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Commits when `work` resolves, else rolls back. */
  transaction<Result>(work: (queries: Queries) => Promise<Result>): Promise<Result>;
  /** Called each time that PostgreSQL has become available, first once the tables are there. */
  onAvailable(listener: () => void): void;
}

const probeIntervalMs = 2_000;
const retryIntervalMs = 500;
const queryTimeoutMs = 5_000;
const connectTimeoutMs = 3_000;
const closeTimeoutMs = 1_000;
/** Key of the advisory lock under which tables are made and keys are rotated. */
const lockKey = 0x70656e73;

/** Connects in the background and keeps trying; readiness `postgres` says whether it works. */
export function openAuthDatabase(
  config: PostgresConfig,
  ops: Pick<Ops, 'log' | 'readiness' | 'service'>,
): AuthDatabase {
  const pool = openPgPool(config, {
    max: config.poolSize,
    application_name: `penstock-${ops.service}`,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    statement_timeout: queryTimeoutMs,
    keepAlive: true,
  });
  pool.on('error', error =>
    ops.log.debug(
      { event: 'postgres_connection_broke', error: messageOf(error) },
      'an idle PostgreSQL connection broke',
    ),
  );
  // It may break in the very read that says it is ready: before whoever asked for it can listen.
  pool.on('connect', client => {
    client.on('error', error =>
      ops.log.debug({ event: 'postgres_connection_broke', error: messageOf(error) }, 'a PostgreSQL connection broke'),
    );
    client.query(readCommitted).catch(() => undefined);
  });
  const listeners: (() => void)[] = [];
  let prepared = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let down: string | undefined = 'not connected yet';
  ops.readiness.set('postgres', down);

  const transaction = async <Result>(work: (queries: Queries) => Promise<Result>): Promise<Result> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    let broken: Error | undefined;
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    try {
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
      const result = await work({
        query: async <Row>(sql: string, values: readonly unknown[] = []) =>
          (await client.query(sql, [...values])).rows as Row[],
      });
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((rollbackError: unknown) => {
        broken = rollbackError instanceof Error ? rollbackError : new Error(messageOf(rollbackError));
      });
      throw isAway(error) ? unavailable(error) : error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  };

  const probe = async (): Promise<void> => {
    const wasDown = down;
    try {
      if (wasDown !== undefined) await requireSessions(config);
      if (prepared) await pool.query('SELECT 1');
      else {
        await transaction(migrateAuth);
      }
      prepared = true;
      down = undefined;
    } catch (error) {
      down = messageOf(error instanceof PenstockError && error.cause !== undefined ? error.cause : error);
    }
    if (closed) return;
    ops.readiness.set('postgres', down);
    if (down !== undefined && down !== wasDown)
      ops.log.warn({ event: 'postgres_away', reason: down }, 'PostgreSQL is away');
    if (down === undefined && wasDown !== undefined) {
      ops.log.info({ event: 'postgres_back' }, 'PostgreSQL is available');
      for (const listener of listeners) listener();
    }
    timer = setTimeout(() => (probing = probe()), down === undefined ? probeIntervalMs : retryIntervalMs);
    timer.unref();
  };
  let probing = probe();

  return {
    async query<Row>(sql: string, values: readonly unknown[] = []) {
      if (!prepared) throw unavailable(new Error(down ?? 'not prepared yet'));
      try {
        return (await pool.query(sql, [...values])).rows as Row[];
      } catch (error) {
        throw isAway(error) ? unavailable(error) : error;
      }
    },
    transaction(work) {
      if (!prepared) return Promise.reject(unavailable(new Error(down ?? 'not prepared yet')));
      return transaction(work);
    },
    onAvailable(listener) {
      listeners.push(listener);
      if (prepared && down === undefined) listener();
    },
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      await probing;
      // A server that is frozen never closes its side.
      await Promise.race([pool.end(), sleep(closeTimeoutMs, undefined, { ref: false })]);
    },
  };
}

/** Creates the routers' tables where they are missing. Others wait until the transaction ends. */
export async function migrateAuth(queries: Queries): Promise<void> {
  await lockAuth(queries);
  for (const statement of migrations) await queries.query(statement);
}

/** Takes the lock that all routers share, until the transaction ends. */
export async function lockAuth(queries: Queries): Promise<void> {
  await queries.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
}

function unavailable(cause: unknown): PenstockError {
  if (cause instanceof PenstockError) return cause;
  return new PenstockError('UNAVAILABLE', 'PostgreSQL is away', {}, cause);
}

/**
 * Whether an error means that PostgreSQL is away or overloaded, as against a statement that is wrong: no SQLSTATE at
 * all, or one of the classes connection (08), login (28), no such database (3D), rollback (40), resources (53) and
 * intervention (57).
 */
function isAway(error: unknown): boolean {
  if (error instanceof PenstockError) return false;
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error;
  return ['08', '28', '3D', '40', '53', '57'].includes((error.code ?? '08').slice(0, 2));
}
