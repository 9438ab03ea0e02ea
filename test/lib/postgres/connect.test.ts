import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectionStringOf, openPgPool } from '../../../lib/postgres/index.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';

let one: ScratchPostgres;
let other: ScratchPostgres;
before(async () => {
  [one, other] = await Promise.all([scratchPostgres(), scratchPostgres()]);
});
after(async () => {
  await one?.drop();
  await other?.drop();
});

test('a pool opens its next connection where the address says by then', async () => {
  const address = { url: one.url };
  const pool = openPgPool(address, { max: 1 });
  const database = async () => (await pool.query<{ name: string }>('SELECT current_database() AS name')).rows[0]?.name;
  assert.equal(await database(), new URL(one.url).pathname.slice(1));
  address.url = other.url;
  const client = await pool.connect();
  client.release(true);
  assert.equal(await database(), new URL(other.url).pathname.slice(1));
  await pool.end();
});

test("an authority's file checks the server's certificate, unless the URL says how", () => {
  const of = (url: string) => connectionStringOf({ url, tlsCaFile: '/etc/ca.crt' });
  assert.equal(of('postgres://h/d'), 'postgres://h/d?sslrootcert=%2Fetc%2Fca.crt&sslmode=verify-full');
  assert.equal(of('postgres://h/d?sslmode=require'), 'postgres://h/d?sslmode=require&sslrootcert=%2Fetc%2Fca.crt');
  assert.equal(connectionStringOf({ url: 'postgres://h/d' }), 'postgres://h/d');
});
