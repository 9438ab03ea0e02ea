import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { until } from './until.ts';

export interface ScratchPostgres {
  /** postgres:// of an empty database of its own. */
  url: string;
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Copies the database as it is now, breaking all connections to it. Returns what puts the copy in its place, as often as called. */
  backUp(): Promise<() => Promise<void>>;
  /** Gives the database another default isolation level, for connections that are opened from now on. */
  defaultIsolation(level: 'repeatable read' | 'serializable'): Promise<void>;
  /** Drops the database, with whoever is still connected. */
  drop(): Promise<void>;
}

/** An empty database on the server of TEST_POSTGRES. */
export async function scratchPostgres(): Promise<ScratchPostgres> {
  const server = process.env.TEST_POSTGRES;
  if (server === undefined) throw new Error('TEST_POSTGRES is not set');
  const name = `penstock_test_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on('error', () => undefined);
  const copies: string[] = [];
  return {
    url: url.href,
    async backUp() {
      const copy = `${name}_${copies.length}`;
      await copyDatabase(admin, name, copy);
      copies.push(copy);
      return () => replaceDatabase(admin, name, copy);
    },
    query: async <Row>(sql: string, values: readonly unknown[] = []) =>
      (await pool.query(sql, [...values])).rows as Row[],
    async defaultIsolation(level) {
      await admin.query(`ALTER DATABASE ${name} SET default_transaction_isolation = '${level}'`);
    },
    async drop() {
      await pool.end();
      for (const each of [name, ...copies]) await admin.query(`DROP DATABASE ${each} WITH (FORCE)`);
      await admin.end();
    },
  };
}

/** A copy of a database that others may be using: their connections break, and none is let in until the copy is made. */
export async function copyDatabase(admin: pg.Client, name: string, copy: string): Promise<void> {
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  try {
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    // They are told to end; the template must have none.
    await until(`a copy of ${name}`, () =>
      admin.query(`CREATE DATABASE ${copy} TEMPLATE ${name}`).then(
        () => true,
        () => false,
      ),
    );
  } finally {
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  }
}

/** Puts a copy in the place of a database, as restoring a backup does. */
export async function replaceDatabase(admin: pg.Client, name: string, copy: string): Promise<void> {
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${copy}`);
}
