import type pg from 'pg';
import { messageOf, PenstockError } from '../errors.ts';
import type { Closable, Ops } from '../ops/index.ts';
import { openPgPool, type PostgresConfig, requireSessions, TransactionPoolingError } from '../postgres/index.ts';
import { viewTypes } from './pg-types.ts';

const probeIntervalMs = 2_000;
const retryIntervalMs = 500;
/** Longest time to connect, and to wait for one of the pool's connections. */
const poolWaitMs = 3_000;
/** A server that is gone without a word answers no query; longer than its own time-outs, which should come first. */
const queryTimeoutMs = 10_000;

/** Connections to PostgreSQL, which may be away at start and go away at any time; readiness `postgres` tells. */
export interface ViewPool extends Closable {
  /** @throws PenstockError UNAVAILABLE when none is to be had in time. */
  connect(): Promise<pg.PoolClient>;
}

export function openViewPool(config: PostgresConfig, ops: Pick<Ops, 'log' | 'readiness' | 'service'>): ViewPool {
  const pool = openPgPool(config, {
    max: config.poolSize,
    application_name: `penstock-${ops.service}-views`,
    connectionTimeoutMillis: poolWaitMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    types: viewTypes,
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
  });

  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let down: string | undefined = 'not connected yet';
  let pooled = false;
  ops.readiness.set('postgres', down);
  const probe = async (): Promise<void> => {
    const wasDown = down;
    const sessions = wasDown === undefined ? undefined : await requireSessions(config).then(() => undefined, asError);
    pooled = sessions instanceof TransactionPoolingError;
    down = sessions?.message;
    if (down === undefined) {
      down = await pool.query('SELECT 1').then(
        () => undefined,
        // A pool whose connections are all at work says nothing about PostgreSQL.
        error => (pool.idleCount === 0 && pool.totalCount >= config.poolSize ? wasDown : messageOf(error)),
      );
    }
    if (closed) return;
    ops.readiness.set('postgres', down);
    if (down !== undefined && down !== wasDown)
      ops.log.warn({ event: 'postgres_away', reason: down }, 'PostgreSQL is away');
    if (down === undefined && wasDown !== undefined)
      ops.log.info({ event: 'postgres_back' }, 'PostgreSQL is available');
    timer = setTimeout(() => (probing = probe()), down === undefined ? probeIntervalMs : retryIntervalMs);
    timer.unref();
  };
  let probing = probe();

  return {
    async connect() {
      try {
        if (pooled) throw new TransactionPoolingError();
        return await pool.connect();
      } catch (error) {
        throw new PenstockError('UNAVAILABLE', 'views are not available now', {}, error);
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      await probing;
      await pool.end();
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}
