import pg from 'pg';
import type { AppPlan } from '../app/plan.ts';
import { limitExceeded, messageOf, PenstockError } from '../errors.ts';
import type { Ops } from '../ops/index.ts';
import type { PostgresConfig } from '../postgres/index.ts';
import { viewTypes } from './pg-types.ts';
import { openViewPool } from './pool.ts';
import { type SnapshotTransaction, snapshotOver } from './snapshot.ts';
import type { Views } from './types.ts';
import { liveVersionsSql, VersionCache, type VersionRow } from './versions.ts';

/** Longest time of one statement, ms; a view is read by index, so that this is far beyond any healthy one. */
const statementTimeoutMs = 5_000;
/** A snapshot that nobody uses for this long is given up: it keeps PostgreSQL from clearing old rows. */
const idleTimeoutMs = 15_000;

const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL statement_timeout = ${statementTimeoutMs};
  SET LOCAL idle_in_transaction_session_timeout = ${idleTimeoutMs};
  SET LOCAL TIME ZONE 'UTC';
  ${liveVersionsSql}`;

/** Of rows that one snapshot reads. */
const defaultMaxBytes = 33_554_432;

/**
 * Answers `@view` fields from the tables that the projectors keep. Connects in the background. A snapshot is one
 * transaction on one connection: whoever opens one must close it.
 * @param maxBytes of the rows that one snapshot reads; one that would be more is refused.
 */
export function openViews(
  config: PostgresConfig,
  plan: Pick<AppPlan, 'tables'>,
  ops: Pick<Ops, 'log' | 'readiness' | 'service'>,
  maxBytes = defaultMaxBytes,
): Views {
  const pool = openViewPool(config, ops);
  const versions = new VersionCache();
  return {
    async openSnapshot(signal) {
      refuseIfAborted(signal);
      const transaction = await beginTransaction(await pool.connect(), versions, { maxBytes, signal });
      return snapshotOver(transaction);
    },
    async close() {
      await pool.close();
      ops.log.debug({ event: 'views_closed', tables: plan.tables.size }, 'views closed');
    },
  };
}

/** @throws PenstockError UNAVAILABLE, which nobody is there to read. */
function refuseIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PenstockError('UNAVAILABLE', 'the client wants no answer any more');
}

async function beginTransaction(
  client: pg.PoolClient,
  versions: VersionCache,
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal | undefined },
): Promise<SnapshotTransaction> {
  const types = countedTypes(maxBytes);
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  let begun = false;
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> =>
    (ended ??= (async () => {
      await turn;
      if (begun && !broken) await client.query('COMMIT').catch(onError);
      client.off('error', onError);
      client.release(broken);
    })());

  // The fields of an operation are resolved side by side, a connection answers one statement after the other.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (ended !== undefined) return Promise.reject(new Error('the snapshot is closed'));
    const begin = () => {
      refuseIfAborted(signal);
      return work();
    };
    const mine = turn.then(begin).catch((error: unknown) => {
      throw explained(error);
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  const rows = async (sql: string, values: readonly unknown[]): Promise<unknown[][]> =>
    (await client.query({ text: sql, values: [...values], rowMode: 'array', types })).rows;
  const objects = async (sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]> =>
    (await client.query(sql, [...values])).rows;

  let live: ReadonlyMap<string, VersionRow>;
  try {
    live = await inTurn(async () => {
      begun = true;
      const results = (await client.query(begin)) as unknown as pg.QueryResult<VersionRow>[];
      return new Map(results.at(-1)?.rows.map(row => [row.table, row]));
    });
  } catch (error) {
    await end();
    throw error;
  }
  return {
    query: (sql, values) => inTurn(() => rows(sql, values)),
    async liveVersion(table) {
      const row = live.get(table);
      return row && inTurn(() => versions.get(row, objects));
    },
    end,
  };
}

/** What a value costs besides its text. */
const valueBytes = 16;

/**
 * Values as {@link viewTypes} reads them, until they are too many. The driver keeps no row behind one that throws here: it
 * passes over what PostgreSQL still sends, and the error ends the query.
 */
function countedTypes(maxBytes: number): Pick<typeof viewTypes, 'getTypeParser'> {
  let left = maxBytes;
  return {
    getTypeParser(oid, format) {
      const read = viewTypes.getTypeParser(oid, format);
      return text => {
        left -= text.length + valueBytes;
        if (left >= 0) return read(text);
        throw limitExceeded('PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES', `the rows read have more than ${maxBytes} bytes`);
      };
    },
  };
}

/** Before the first projector has run there are no tables: that is "not available now", as a broken connection is. */
function explained(error: unknown): unknown {
  if (error instanceof PenstockError) return error;
  const unavailable = (message: string) => new PenstockError('UNAVAILABLE', message, {}, error);
  if (!(error instanceof pg.DatabaseError)) return unavailable('views are not available now');
  const code = error.code ?? '08000';
  if (code === '57014') return unavailable('the view took too long to read');
  if (['08', '40', '53', '57', '25'].includes(code.slice(0, 2))) return unavailable('views are not available now');
  if (code === '42P01' || code === '3F000') return unavailable('views are being built');
  return new Error(`a view could not be read: ${messageOf(error)}`, { cause: error });
}
