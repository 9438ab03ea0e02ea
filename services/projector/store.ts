import pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import type { Closable, Ops } from '../../lib/ops/index.ts';
import {
  allOf,
  gather,
  keyLookupsOnly,
  openPgPool,
  type PostgresConfig,
  preparedName,
  requireSessions,
} from '../../lib/postgres/index.ts';
import { viewTypes } from '../../lib/views/index.ts';

/** Statements run in the order in which they are sent; those that don't wait for an answer travel together. */
export interface Queries {
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The projector's PostgreSQL. It may be away at start and go away at any time. */
export interface Store extends Closable {
  /** Commits when `work` resolves, else rolls back. READ COMMITTED: each statement sees what is committed by then. */
  transaction<Result>(work: (queries: Queries) => Promise<Result>): Promise<Result>;
  /** One connection for a longer time, say for an advisory lock. Whatever else happens, it must be released. */
  session(): Promise<StoreSession>;
  /** @throws TransactionPoolingError where connections are no sessions; Error when PostgreSQL is away. */
  requireSessions(): Promise<void>;
}

export interface StoreSession extends Queries {
  transaction: Store['transaction'];
  /** Closes the connection, and so gives back its locks. */
  release(): void;
}

const connectTimeoutMs = 3_000;
const statementTimeoutMs = 60_000;
/**
 * A process that is paused, or gone without a word, inside a transaction holds its locks, and with them its partitions:
 * so long, and no longer, does it keep its successor waiting. A build fetches from Kafka in between.
 */
const idleMs = { batch: 3_000, build: 20_000 };

export function openStore(config: PostgresConfig, ops: Pick<Ops, 'log' | 'service'>): Store {
  const pool = openPgPool(config, {
    max: config.poolSize,
    pipeline: true,
    application_name: `penstock-${ops.service}`,
    connectionTimeoutMillis: connectTimeoutMs,
    // The answer of a server that is gone without a word; longer than its own time-out, which should come first.
    query_timeout: statementTimeoutMs + 5_000,
    statement_timeout: statementTimeoutMs,
    keepAlive: true,
    types: viewTypes,
  });
  pool.on('error', error =>
    ops.log.debug(
      { event: 'postgres_connection_broke', error: messageOf(error) },
      'an idle PostgreSQL connection broke',
    ),
  );
  pool.on('connect', client => {
    // A connection that breaks is told by its next statement.
    client.query(keyLookupsOnly).catch(() => undefined);
  });
  let closing: Promise<void> | undefined;

  const checkOut = async (): Promise<{ client: pg.PoolClient; release(broken?: Error): void }> => {
    const client = await pool.connect();
    let broken: Error | undefined;
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    return {
      client,
      release(error) {
        client.off('error', onError);
        client.release(error ?? broken);
      },
    };
  };

  return {
    async transaction(work) {
      const { client, release } = await checkOut();
      let broken: Error | undefined;
      try {
        return await inTransaction(client, idleMs.batch, work, error => {
          broken = error;
        });
      } finally {
        release(broken);
      }
    },
    async session() {
      const { client, release } = await checkOut();
      return {
        query: queriesOf(client).query,
        transaction: work => inTransaction(client, idleMs.build, work, () => undefined),
        release: () => release(new Error('the session is over')),
      };
    },
    requireSessions: () => requireSessions(config),
    close: () => (closing ??= pool.end()),
  };
}

function queriesOf(client: pg.PoolClient): Queries {
  return {
    query: async <Row>(text: string, values: readonly unknown[] = []) => {
      gather(client);
      return (await client.query({ name: preparedName(text), text, values: [...values] })).rows as Row[];
    },
  };
}

async function inTransaction<Result>(
  client: pg.PoolClient,
  idleTimeoutMs: number,
  work: (queries: Queries) => Promise<Result>,
  onBroken: (error: Error) => void,
): Promise<Result> {
  try {
    gather(client);
    const begin = client.query(
      `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL TIME ZONE 'UTC'; SET LOCAL idle_in_transaction_session_timeout = ${idleTimeoutMs}`,
    );
    const [, result] = await allOf([begin, work(queriesOf(client))]);
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`);
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((rollbackError: unknown) => {
      onBroken(rollbackError instanceof Error ? rollbackError : new Error(messageOf(rollbackError)));
    });
    throw error;
  }
}

/**
 * What a failed transaction means: `away`: PostgreSQL is gone or overloaded, try later; `conflict`: two transactions
 * stood in each other's way, try at once; `record`: a value that PostgreSQL refuses; `defect`: a mistake of ours.
 */
export function faultOf(error: unknown): 'away' | 'conflict' | 'record' | 'defect' {
  if (!(error instanceof pg.DatabaseError)) {
    const isOurs = error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
    return isOurs ? 'defect' : 'away';
  }
  const code = error.code ?? '08000';
  if (['40001', '40P01', '55P03', '23505'].includes(code)) return 'conflict';
  if (['22', '23', '54'].includes(code.slice(0, 2))) return 'record';
  return ['08', '25', '53', '57', '58'].includes(code.slice(0, 2)) ? 'away' : 'defect';
}
