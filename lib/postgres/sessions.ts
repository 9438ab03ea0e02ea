import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectionOf, type PostgresAddress } from './connect.ts';

/** What stands between us and PostgreSQL gives each transaction another session. Helps: another address, or another mode of it. */
export class TransactionPoolingError extends Error {
  constructor() {
    super(
      'PENSTOCK_POSTGRES_URL leads to a pooler in transaction mode: settings, prepared statements, LISTEN and locks need a ' +
        'connection to be one session. Connect to PostgreSQL itself, or set pool_mode = session for this database',
    );
    this.name = 'TransactionPoolingError';
  }
}

const timeoutMs = 3_000;
const closeTimeoutMs = 1_000;
/** Transactions that are held open beside the connection that is watched, one more each round. */
const rounds = 4;

/**
 * Resolves when a connection to this URL is one session for as long as it lasts. PostgreSQL tells each connection the id of
 * its session's process: where that is not the process that answers, somebody stands between. Whether he keeps the session is
 * seen by taking sessions for transactions of other connections: by default PgBouncer gives away the one that was used last.
 * Where there is none left to take, a watched connection that still has its own is one session.
 * @throws TransactionPoolingError; Error when PostgreSQL is away.
 */
export async function requireSessions(address: PostgresAddress): Promise<void> {
  const opened: pg.Client[] = [];
  const open = async (): Promise<pg.Client> => {
    const client = new pg.Client({
      ...connectionOf(address),
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      application_name: 'penstock-sessions',
    });
    client.on('error', () => undefined); // the next query says it
    opened.push(client);
    await client.connect();
    return client;
  };
  try {
    const watched = await open();
    const session = await sessionOf(watched);
    if (session === toldOf(watched)) return;
    for (let round = 0; round < rounds; round++) {
      const taken = await begun(open).catch(() => undefined);
      if (taken === session || (await sessionOf(watched)) !== session) throw new TransactionPoolingError();
      // The pooler has no session left to give, and the watched connection keeps its own.
      if (taken === undefined) return;
    }
  } finally {
    const ended = Promise.all(opened.map(client => client.end().catch(() => undefined)));
    // A server that is frozen never closes its side.
    await Promise.race([ended, sleep(closeTimeoutMs, undefined, { ref: false })]);
  }
}

/** Begins a transaction on another connection, and returns the session that it has taken. */
async function begun(open: () => Promise<pg.Client>): Promise<number> {
  const client = await open();
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  return sessionOf(client);
}

/** The process id of the session that answers a query now. */
export async function sessionOf(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** The process id that the connection was told at its start; @types/pg does not know it. */
function toldOf(client: pg.Client): number | null {
  return (client as pg.Client & { processID: number | null }).processID;
}
