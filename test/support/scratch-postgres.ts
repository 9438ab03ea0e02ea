import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface ScratchPostgres {
  /** postgres:// of an empty database of its own. */
  url: string;
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
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
  return {
    url: url.href,
    query: async <Row>(sql: string, values: readonly unknown[] = []) =>
      (await pool.query(sql, [...values])).rows as Row[],
    async drop() {
      await pool.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}
