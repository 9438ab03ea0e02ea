import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectionOf, openPgPool } from '../../../lib/postgres/index.ts';
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

test("an authority's file checks the server's certificate, unless the URL says how", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-ca-'));
  const tlsCaFile = join(folder, 'ca.crt');
  const of = (url: string) => connectionOf({ url, tlsCaFile });
  assert.throws(() => of('postgres://h/d'), /ENOENT/);
  await writeFile(tlsCaFile, 'PEM');
  const checked = { connectionString: 'postgres://h/d', ssl: { ca: Buffer.from('PEM') } };
  assert.deepEqual(of('postgres://h/d'), checked);
  assert.deepEqual(of('postgres://h/d?sslmode=require'), checked);
  await rm(folder, { recursive: true });
  assert.deepEqual(of('postgres://h/d'), checked, 'a file that is being replaced');
  for (const url of ['postgres://h/d?sslmode=disable', 'postgres://h/d?sslrootcert=/other']) {
    assert.deepEqual(of(url), { connectionString: url });
  }
  assert.deepEqual(connectionOf({ url: 'postgres://h/d' }), { connectionString: 'postgres://h/d' });
});
